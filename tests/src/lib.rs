//! The end-to-end tests' harness: a real etcd, kube-apiserver and kube-controller-manager on loopback, simulated nodes
//! with real agents, and words to write scenarios with. `cargo xtask demo` and `up` are made of the same parts.
//!
//! It runs on Unix: kube-apiserver is not made for Windows.

pub mod audit;
pub mod binaries;
pub mod certificates;
pub mod control_plane;
mod error;
pub mod eventually;
pub mod kubeconfig;
pub mod operator;
mod port;
pub mod process;

pub use control_plane::ControlPlane;
pub use error::{Error, Result};
pub use eventually::eventually;
