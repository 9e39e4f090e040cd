//! Runs the agent as a process: folders, connection, probes, and the signal to stop.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use anyhow::{Context as _, bail};
use jiff::Timestamp;

use crate::agent::runtime::RunhcsRuntime;
use crate::agent::{self, Clock, Options};
use crate::metrics::Metrics;
use crate::settings::AgentSettings;
use crate::{http, kube_client, platform, shutdown, telemetry};

/// Threads: the agent waits more than it computes, and shares its node with what it runs.
const WORKERS: usize = 2;
/// Threads that write records; a disk does no more at once.
const BLOCKING_THREADS: usize = 4;
/// How often a lock is tried that may come free.
const LOCK_POLL: Duration = Duration::from_millis(50);
/// Where the bound address of the probes is written, below the data folder.
pub const ADDRESS_FILE: &str = "http-address";

/// Runs until it is told to stop. Containers go on without the agent.
pub fn run(settings: AgentSettings) -> anyhow::Result<ExitCode> {
    telemetry::init(&settings.log_level, settings.log_format, io::stderr)
        .with_context(|| format!("--log-level {:?}", settings.log_level))?;
    work(settings, None)?;
    Ok(ExitCode::SUCCESS)
}

/// The same with logging set up already; `kubeconfig` outweighs what the environment says.
pub fn work(settings: AgentSettings, kubeconfig: Option<&Path>) -> anyhow::Result<()> {
    let data = settings.data.clone();
    let _lock = prepare(&data)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .max_blocking_threads(BLOCKING_THREADS)
        .enable_all()
        .build()?;
    runtime.block_on(serve(settings, kubeconfig))?;
    // What still runs is cut off here; the next agent finds out how far it got.
    runtime.shutdown_background();
    Ok(())
}

/// Makes the data folder, refuses one that others can write to, and keeps a second agent out.
fn prepare(data: &Path) -> anyhow::Result<fs::File> {
    platform::create_private_folder(data)
        .with_context(|| format!("--data-dir: failed to make {}", data.display()))?;
    let distrust = platform::distrust(data)
        .with_context(|| format!("--data-dir: failed to look at {}", data.display()))?;
    if let Some(why) = distrust {
        bail!(
            "--data-dir: {} is not safe: {why}; look at what is in it, then let only \
             administrators write there: {}",
            data.display(),
            platform::remedy(data)
        );
    }
    let path = data.join("agent.lock");
    let lock = fs::File::options().create(true).append(true).open(&path);
    let lock = lock.with_context(|| format!("failed to open {}", path.display()))?;
    let locked = comes_free(|| platform::lock(&lock), platform::LOCK_OUTLIVES);
    if !locked.with_context(|| format!("failed to lock {}", path.display()))? {
        bail!(
            "--data-dir: another agent works in {}; stop it first",
            data.display()
        );
    }
    Ok(lock)
}

/// Whether a lock can be had within this time.
fn comes_free(mut lock: impl FnMut() -> io::Result<bool>, patience: Duration) -> io::Result<bool> {
    let end = Instant::now() + patience;
    loop {
        let had = lock()?;
        if had || Instant::now() >= end {
            return Ok(had);
        }
        thread::sleep(LOCK_POLL);
    }
}

async fn serve(settings: AgentSettings, kubeconfig: Option<&Path>) -> anyhow::Result<()> {
    let metrics = Metrics::default();
    let client = kube_client::connect(kubeconfig).await?;
    let other_root = settings
        .client
        .root
        .clone()
        .filter(|root| root != "default");
    let runtime = Arc::new(RunhcsRuntime::new(
        settings.client,
        settings.scratch_timeout,
        settings.shim_logs,
        settings.parallel,
        metrics.clone(),
    ));
    let address_file = settings.data.join(ADDRESS_FILE);
    if let Some(root) = other_root {
        tracing::warn!(
            root,
            "--runhcs-root: runhcs v0.11.7 does not tell its shims of any root but \"default\", so no container can be created"
        );
    }
    let options = Options {
        node: settings.node.clone(),
        data: settings.data,
        policy: settings.policy,
        relist_interval: settings.relist_interval,
        lease: settings.lease,
        page: settings.page,
        clock: Clock {
            day: Timestamp::now,
            uptime: platform::uptime,
        },
    };
    let agent = agent::start(options, client, runtime, metrics.clone()).await?;
    let listener = http::listen(settings.http_address, Some(&address_file))
        .await
        .with_context(|| format!("--http-address {}", settings.http_address))?;
    let readiness = agent.readiness.clone();
    tracing::info!(
        node = settings.node,
        version = env!("CARGO_PKG_VERSION"),
        "agent started"
    );
    tokio::select! {
        () = agent.run() => bail!("the agent ended by itself"),
        served = http::serve(listener, Arc::new(move || readiness.check()), metrics) => {
            served.context("failed to serve the probes")?;
        }
        () = shutdown::requested() => tracing::info!("told to stop; containers go on"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_comes_free_in_time_is_had() {
        let mut tries = 0;
        let third = || {
            tries += 1;
            Ok(tries == 3)
        };
        assert!(comes_free(third, Duration::from_mins(1)).unwrap());
        assert_eq!(tries, 3);
    }

    #[test]
    fn a_lock_that_stays_anothers_is_not_waited_for_without_end() {
        for patience in [Duration::ZERO, LOCK_POLL] {
            assert!(!comes_free(|| Ok(false), patience).unwrap());
        }
        let broken = || Err(io::ErrorKind::PermissionDenied.into());
        assert!(comes_free(broken, Duration::from_mins(1)).is_err());
    }
}
