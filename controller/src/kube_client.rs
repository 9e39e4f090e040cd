//! The connection to the API server: `KUBECONFIG`, or the pod's service account; and requests with a deadline.

use std::path::Path;
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};

/// A connection that takes longer is given up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection that says nothing for that long after a request is dead. Watches bring a bookmark a
/// minute, or end.
const READ_TIMEOUT: Duration = Duration::from_secs(100);
/// A request that takes longer is given up.
const REQUEST_DEADLINE: Duration = Duration::from_secs(15);

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No configuration.
    #[error("failed to find the API server: set KUBECONFIG, or run in a pod")]
    Infer(#[from] kube::config::InferConfigError),
    /// A configuration that cannot be read.
    #[error("failed to read the kubeconfig")]
    Kubeconfig(#[from] KubeconfigError),
    /// A configuration that cannot be used.
    #[error("failed to set up the connection to the API server")]
    Setup(#[from] kube::Error),
}

/// A client whose own retries are off: each caller bounds and repeats its requests itself.
/// `kubeconfig` outweighs what the environment says.
pub async fn connect(kubeconfig: Option<&Path>) -> Result<Client, ClientError> {
    let given = match kubeconfig {
        Some(file) => Some(Kubeconfig::read_from(file)?),
        None => of_pod()
            .map(|text| Kubeconfig::from_yaml(&text))
            .transpose()?,
    };
    let mut config = match given {
        Some(given) => Config::from_custom_kubeconfig(given, &KubeConfigOptions::default()).await?,
        None => Config::infer().await?,
    };
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = Some(READ_TIMEOUT);
    config.reset_reader_on_write = true;
    config.default_retry = false;
    Ok(Client::try_from(config)?)
}

/// The kubeconfig of a pod on Windows, unless KUBECONFIG names one.
#[cfg(windows)]
fn of_pod() -> Option<String> {
    let pod = crate::in_cluster::InCluster::find()?;
    let config = crate::in_cluster::InCluster::kubeconfig(&pod.server, &pod.folder);
    std::env::var_os("KUBECONFIG")
        .is_none()
        .then(|| config.to_string())
}

/// `Config::infer` knows where a pod has it.
#[cfg(unix)]
fn of_pod() -> Option<String> {
    None
}

/// A request that failed.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The API server refused it, or could not be reached.
    #[error("failed to {what}: {source}")]
    Request {
        /// What was to be done.
        what: &'static str,
        /// The client's error.
        source: Box<kube::Error>,
    },
    /// No answer in time.
    #[error("failed to {what}: no answer within {} s", REQUEST_DEADLINE.as_secs())]
    Deadline {
        /// What was to be done.
        what: &'static str,
    },
}

impl ApiError {
    /// Whether the object is not there any more.
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Request { source, .. }
            if matches!(&**source, kube::Error::Api(status) if status.code == 404))
    }

    /// Whether somebody else has written in between.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Request { source, .. }
            if matches!(&**source, kube::Error::Api(status) if status.code == 409))
    }

    /// Whether the API server has refused the request for what it says, so that the same one would
    /// be refused again.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Request { source, .. }
            if matches!(&**source, kube::Error::Api(status)
                if (400..500).contains(&status.code) && status.code != 429))
    }
}

/// Waits for a request's answer until the deadline. `what` completes "failed to".
pub async fn within<T>(
    what: &'static str,
    request: impl Future<Output = kube::Result<T>>,
) -> Result<T, ApiError> {
    match tokio::time::timeout(REQUEST_DEADLINE, request).await {
        Ok(answer) => answer.map_err(|source| ApiError::Request {
            what,
            source: Box::new(source),
        }),
        Err(_) => Err(ApiError::Deadline { what }),
    }
}
