//! The operator: `agent` on each Windows node, `controller` once in the cluster.

// Where else files are made and removed, no crash leaves anything half done.
#![allow(clippy::disallowed_methods)]

mod agent;
mod cli;
mod controller;
mod http;
#[cfg(any(windows, test))]
mod in_cluster;
mod kube_client;
mod metrics;
#[cfg(any(windows, test))]
mod node_setup;
mod platform;
mod run_agent;
mod run_controller;
#[cfg(windows)]
mod service;
mod settings;
mod shutdown;
mod telemetry;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    platform::keep_heap_small();
    match cli::Cli::parse().run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
