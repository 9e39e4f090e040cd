//! A simulator of `runhcs`, for tests and for trying things out where there is no Windows.
//!
//! The binary `runhcs-sim`, installed as `runhcs` in a node's folder, takes the same command line
//! as runhcs v0.11.7 and gives the same output, errors, exit codes and side effects; a container's
//! `process.args` run as a real process. [`SimNode`] installs such a node, injects faults, reboots
//! it, and shows what runs on it.

pub mod calls;
pub mod cli;
mod container;
mod context;
pub mod failure;
pub mod faults;
mod go_json;
mod ipc;
mod names;
pub mod node;
pub mod outcome;
pub mod platform;
mod registry;
mod shim;
mod sim_node;
mod spec;
pub mod systems;
mod tabwriter;
mod verbs;

pub use calls::CallRecord;
pub use faults::{Action, Fault, Point};
pub use node::{NullSignal, PauseProcessIsolation, Release, Settings, ShimStdio};
pub use platform::exit_code_on_this_platform;
pub use sim_node::{ContainerSnapshot, SimNode};
