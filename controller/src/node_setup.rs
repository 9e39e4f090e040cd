//! What the DaemonSet's HostProcess pod runs on a node: it makes its own program the service, and
//! gives that what only a pod has.
//!
//! Windows ends every process of the pod with the pod, so the agent cannot be one of them. The
//! service is the service manager's; whatever ends this process, it and its containers go on.

pub mod credentials;
pub mod plan;
pub mod release;
#[cfg(windows)]
mod run;
mod tail;

#[cfg(windows)]
pub use run::{Args, run};
