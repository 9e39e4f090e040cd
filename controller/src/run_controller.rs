//! Runs the controller as a process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::metrics::Metrics;
use crate::settings::LogFormat;
use crate::{controller, http, kube_client, shutdown, telemetry};

/// The controller's settings.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// How long an object may wait for its node's agent before it is said that none comes.
    #[arg(long, env = "HCS_OPERATOR_PATIENCE", value_name = "TIME", default_value = "30s",
          value_parser = humantime::parse_duration)]
    patience: Duration,
    /// Where /healthz, /readyz and /metrics are served.
    #[arg(
        long,
        env = "HCS_OPERATOR_HTTP_ADDRESS",
        value_name = "IP:PORT",
        default_value = "127.0.0.1:9641"
    )]
    http_address: SocketAddr,
    /// A file to write the bound address of the probes to.
    #[arg(long, env = "HCS_OPERATOR_HTTP_ADDRESS_FILE", value_name = "FILE")]
    http_address_file: Option<PathBuf>,
    /// What is logged, as a tracing filter.
    #[arg(
        long,
        env = "HCS_OPERATOR_LOG_LEVEL",
        value_name = "FILTER",
        default_value = "info"
    )]
    log_level: String,
    /// How log lines look.
    #[arg(
        long,
        env = "HCS_OPERATOR_LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "text"
    )]
    log_format: LogFormat,
}

/// Runs until it is told to stop.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    telemetry::init(&args.log_level, args.log_format)
        .with_context(|| format!("--log-level {:?}", args.log_level))?;
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(serve(args))?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(args: Args) -> anyhow::Result<()> {
    let client = kube_client::connect().await?;
    let listener = http::listen(args.http_address, args.http_address_file.as_deref())
        .await
        .with_context(|| format!("--http-address {}", args.http_address))?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "controller started");
    tokio::select! {
        () = controller::run(client, args.patience) => bail!("the controller ended by itself"),
        served = http::serve(listener, Arc::new(|| Ok(())), Metrics::default()) => {
            served.context("failed to serve the probes")?;
        }
        () = shutdown::requested() => tracing::info!("told to stop"),
    }
    Ok(())
}
