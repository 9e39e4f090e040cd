//! The connection to the API server: `KUBECONFIG`, or the pod's service account; and requests with a deadline.

use std::time::Duration;

use kube::{Client, Config};

/// A connection that takes longer is given up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A request that takes longer is given up.
const REQUEST_DEADLINE: Duration = Duration::from_secs(15);

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
