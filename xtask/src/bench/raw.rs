//! The raw ceilings: the same processes and the same writes with nothing around them, on the same machine in the same
//! run. No agent can make containers Running faster than the slower of the two.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use futures::{StreamExt, TryStreamExt, stream};
use hcs_crds::HcsContainer;
use hcs_tests::Container;
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use runhcs_sim::SimNode;
use serde_json::json;

use crate::stack::Stack;

/// Calls and writes at the same time: as many as the agent has under way by default.
fn parallel() -> usize {
    2 * std::thread::available_parallelism().map_or(1, usize::from)
}

const NAMESPACE: &str = "kube-public";

/// Containers per second that `runhcs create`, `start` and `ps` alone make Running.
pub async fn runtime_rate(stack: &Stack, count: u32) -> Result<f64> {
    let node = stack.nodes.first().context("there is no node")?;
    let dir = stack.control_plane.dir().join("raw");
    if dir.exists() {
        std::fs::remove_dir_all(&dir).context("failed to remove the last run's raw node")?;
    }
    std::fs::create_dir_all(&dir).context("failed to create the raw node")?;
    let sim = SimNode::install(&dir, node.sim().executable()).context("failed to install it")?;
    let mut bundles = Vec::new();
    for number in 0..count {
        let mut container = Container::named(&format!("raw{number}"))
            .on(node)
            .running("/bin/sleep", ["100000"]);
        let bundle = dir.join("bundles").join(format!("raw{number}"));
        std::fs::create_dir_all(&bundle).context("failed to create a bundle")?;
        let config = serde_json::to_vec(&container.config())?;
        container.build(NAMESPACE)?;
        std::fs::write(bundle.join("config.json"), config).context("failed to write a bundle")?;
        bundles.push((format!("raw{number}"), bundle));
    }
    let runhcs = sim.executable().to_owned();
    let started = Instant::now();
    stream::iter(bundles)
        .map(Ok::<_, anyhow::Error>)
        .try_for_each_concurrent(parallel(), |(id, bundle)| {
            let runhcs = runhcs.clone();
            async move {
                tokio::task::spawn_blocking(move || make_running(&runhcs, &id, &bundle)).await?
            }
        })
        .await?;
    let rate = f64::from(count) / started.elapsed().as_secs_f64();
    sim.stop_all().context("failed to end the raw containers")?;
    Ok(rate)
}

fn make_running(runhcs: &Path, id: &str, bundle: &Path) -> Result<()> {
    let bundle = bundle.as_os_str();
    call(
        Command::new(runhcs)
            .arg("create")
            .arg("--bundle")
            .arg(bundle)
            .arg(id),
    )?;
    call(Command::new(runhcs).args(["start", id]))?;
    call(Command::new(runhcs).args(["ps", "--format", "json", id]))
}

fn call(command: &mut Command) -> Result<()> {
    let command = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let status = command
        .status()
        .with_context(|| format!("failed to start {command:?}"))?;
    if !status.success() {
        bail!("{command:?} failed: {status}");
    }
    Ok(())
}

/// Containers per second for which the API server takes a finalizer and a status.
pub async fn api_rate(stack: &Stack, count: u32) -> Result<f64> {
    let containers: Api<HcsContainer> =
        Api::namespaced(stack.control_plane.client().await?, NAMESPACE);
    let node = stack.nodes.first().context("there is no node")?;
    let names: Vec<String> = (0..count).map(|number| format!("raw{number}")).collect();
    for name in &names {
        let object = Container::named(name)
            .on(node)
            .on_node_named("no-such-node")
            .running("/bin/sleep", ["100000"])
            .build(NAMESPACE)?;
        containers.create(&PostParams::default(), &object).await?;
    }
    let started = Instant::now();
    stream::iter(names)
        .map(Ok::<_, anyhow::Error>)
        .try_for_each_concurrent(parallel(), |name| {
            let containers = containers.clone();
            async move {
                let finalizer = json!({"metadata": {"finalizers": [hcs_crds::FINALIZER]}});
                let merge = Patch::Merge(&finalizer);
                containers
                    .patch(&name, &PatchParams::default(), &merge)
                    .await?;
                let params = PatchParams::apply("raw").force();
                containers
                    .patch_status(&name, &params, &Patch::Apply(&status(&name)))
                    .await?;
                Ok(())
            }
        })
        .await?;
    let rate = f64::from(count) / started.elapsed().as_secs_f64();
    remove(&containers).await?;
    Ok(rate)
}

/// A status as large as an agent's.
fn status(name: &str) -> serde_json::Value {
    let condition = |type_: &str| {
        json!({
            "type": type_, "status": "True", "reason": "Running", "message": "as desired",
            "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1,
        })
    };
    let command = |verb: &str| json!({"command": verb, "exitCode": 0, "durationMs": 10});
    json!({
        "apiVersion": format!("{}/{}", hcs_crds::GROUP, hcs_crds::VERSION),
        "kind": "HcsContainer",
        "metadata": {"name": name},
        "status": {
            "observedGeneration": 1, "phase": "Running", "containerID": "hc-raw-1", "attempt": 1,
            "pid": 4242, "restartCount": 0, "processes": {"count": 1, "pids": [1], "truncated": false},
            "recentCommands": [command("create"), command("start"), command("ps")],
            "conditions": [condition("Ready"), condition("RuntimeResponsive")],
        },
    })
}

async fn remove(containers: &Api<HcsContainer>) -> Result<()> {
    let none = json!({"metadata": {"finalizers": null}});
    for object in containers.list(&ListParams::default()).await? {
        let name = object.metadata.name.unwrap_or_default();
        containers
            .patch(&name, &PatchParams::default(), &Patch::Merge(&none))
            .await?;
        containers.delete(&name, &DeleteParams::default()).await?;
    }
    Ok(())
}
