//! The operator: `agent` on each Windows node, `controller` once in the cluster.

mod agent;
mod cli;
mod controller;
mod http;
mod kube_client;
mod metrics;
mod platform;
mod run_agent;
mod run_controller;
mod settings;
mod shutdown;
mod telemetry;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    match cli::Cli::parse().run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
