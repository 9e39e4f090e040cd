//! The connection to the API server: `KUBECONFIG`, or the pod's service account.

use std::time::Duration;

use kube::{Client, Config};

/// A connection that takes longer is given up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No configuration.
    #[error("failed to find the API server: set KUBECONFIG, or run in a pod")]
    Infer(#[from] kube::config::InferConfigError),
    /// A configuration that cannot be used.
    #[error("failed to set up the connection to the API server")]
    Setup(#[from] kube::Error),
}

/// A client whose own retries are off: each caller bounds and repeats its requests itself.
pub async fn connect() -> Result<Client, ClientError> {
    let mut config = Config::infer().await?;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.default_retry = false;
    Ok(Client::try_from(config)?)
}
