//! Runs the controller as a process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::controller::leader::{Election, Elector};
use crate::metrics::Metrics;
use crate::settings::LogFormat;
use crate::{controller, http, kube_client, shutdown, telemetry};

/// Renewals are half a second apart, then.
const SHORTEST_LEASE: Duration = Duration::from_secs(4);

/// The controller's settings.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// How long an object may wait for its node's agent before it is said that none comes.
    #[arg(long, env = "HCS_OPERATOR_PATIENCE", value_name = "TIME", default_value = "30s",
          value_parser = humantime::parse_duration)]
    patience: Duration,
    /// The operator's namespace, where the agents' Leases and the controller's own are kept.
    #[arg(long, env = "POD_NAMESPACE", default_value = "hcs-operator-system")]
    namespace: String,
    /// Who this process is in the controller's Lease, for people. Default: the machine's name.
    #[arg(long, env = "POD_NAME")]
    identity: Option<String>,
    /// How long the leader's Lease lasts: after a leader that was killed, another one acts that
    /// much later. A leader that cannot renew it stops at two thirds of that.
    #[arg(long, env = "HCS_OPERATOR_LEADER_LEASE_DURATION", value_name = "TIME", default_value = "15s",
          value_parser = humantime::parse_duration)]
    leader_lease_duration: Duration,
    /// How long a Node must be absent from the cluster, and its agent silent, before it is gone for
    /// good: then objects that are being deleted are let go without it.
    #[arg(long, env = "HCS_OPERATOR_NODE_GONE_AFTER", value_name = "TIME", default_value = "15m",
          value_parser = humantime::parse_duration)]
    node_gone_after: Duration,
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
    telemetry::init(&args.log_level, args.log_format, std::io::stderr)
        .with_context(|| format!("--log-level {:?}", args.log_level))?;
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(serve(args))?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(args: Args) -> anyhow::Result<()> {
    if args.leader_lease_duration < SHORTEST_LEASE {
        bail!("--leader-lease-duration: must be at least {SHORTEST_LEASE:?}");
    }
    let client = kube_client::connect(None).await?;
    let listener = http::listen(args.http_address, args.http_address_file.as_deref())
        .await
        .with_context(|| format!("--http-address {}", args.http_address))?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "controller started");
    let metrics = Metrics::default();
    let election = Election {
        namespace: args.namespace.clone(),
        name: args.identity.unwrap_or_else(machine_name),
        duration: args.leader_lease_duration,
    };
    let elector = Elector::new(client.clone(), election);
    let settings = controller::Settings {
        namespace: args.namespace,
        patience: args.patience,
        node_gone_after: args.node_gone_after,
    };
    tokio::select! {
        () = controller::run(client, &settings, &elector, &metrics) => {
            bail!("the controller ended by itself")
        }
        served = http::serve(listener, Arc::new(|| Ok(())), metrics.clone()) => {
            served.context("failed to serve the probes")?;
        }
        () = shutdown::requested() => tracing::info!("told to stop"),
    }
    // Nothing is done any more by now, so another may.
    elector.resign().await;
    Ok(())
}

fn machine_name() -> String {
    let variables = ["HOSTNAME", "COMPUTERNAME"];
    let name = variables
        .into_iter()
        .find_map(|name| std::env::var(name).ok());
    name.unwrap_or_else(|| "hcs-operator-controller".into())
}
