//! The end-to-end tests' harness: a real etcd, kube-apiserver and kube-controller-manager on loopback, simulated nodes
//! with real agents, and words to write scenarios with. `cargo xtask demo` and `up` are made of the same parts.
//!
//! It runs on Unix: kube-apiserver is not made for Windows.
#![cfg(unix)]

pub mod audit;
pub mod binaries;
#[cfg(target_os = "linux")]
pub mod builder;
mod cached;
pub mod calm;
pub mod certificates;
mod container;
pub mod control_plane;
mod error;
pub mod eventually;
pub mod gitops;
pub mod ground;
pub mod helm;
pub mod kubeconfig;
pub mod live;
pub mod load;
pub mod node;
pub mod operator;
mod port;
pub mod process;
pub mod proxy;
mod scenario;
pub mod small_disk;
pub mod tracer;
pub mod windows;

pub use container::Container;
pub use control_plane::ControlPlane;
pub use error::{Error, Result};
pub use eventually::eventually;
pub use ground::Ground;
pub use helm::Helm;
pub use live::Live;
pub use node::{Node, NodeOptions};
pub use scenario::{PATIENCE, Scenario};
