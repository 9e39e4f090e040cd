//! `cargo xtask demo`: what a newcomer watches first.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use hcs_crds::{DesiredState, HcsContainer, Phase, conditions};
use hcs_tests::live::{has, observed};
use hcs_tests::{Container, Live, NodeOptions, Scenario};
use kube::Api;
use kube::api::ListParams;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::args::Demo;
use crate::kubectl::Kubectl;
use crate::samples;
use crate::stack::{self, Stack};

/// How long the samples may take to become Ready.
const READY: Duration = Duration::from_mins(2);

/// Runs the demo, until Ctrl-C unless `--once`.
pub fn demo(args: &Demo) -> Result<ExitCode> {
    let executables = stack::build(false)?;
    let runtime = tokio::runtime::Runtime::new().context("failed to start the async runtime")?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let run = async {
            let options = NodeOptions::default();
            let stack = Stack::start(&args.dir, 1, &executables, &options).await?;
            if args.once {
                walk(&stack).await
            } else {
                show(&stack).await
            }
        };
        // Whichever way it ends, the stack is dropped with `run`, and everything ends with it.
        let result = tokio::select! {
            result = run => result,
            _ = terminate.recv() => Ok(interrupted(args.once)),
            _ = interrupt.recv() => Ok(interrupted(args.once)),
        };
        if result.is_ok() {
            println!("\nStopped; nothing is left running.");
        }
        result
    })
}

/// To leave the demo is its end; to leave the walk is to have seen less than all of it.
fn interrupted(once: bool) -> ExitCode {
    if once {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// Applies the samples, shows them becoming Ready, and stays.
async fn show(stack: &Stack) -> Result<ExitCode> {
    let kubectl = Kubectl::of(&stack.control_plane);
    let node = stack.nodes.first().context("there is no node")?;
    let samples = stack.control_plane.dir().join("samples");
    let count = samples::write_for(node, &samples)?;
    println!(
        "\n$ kubectl apply -f manifests/samples   # with paths of this machine: {}",
        samples.display()
    );
    print!("{}", kubectl.apply(&samples).await?);
    watch_until_ready(stack, &kubectl, count).await?;
    print_commands(stack);
    loop {
        stack.control_plane.all_running()?;
        stack.controller.running()?;
        node.agent().running()?;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Prints `kubectl get hcs` each time that a row has changed, until all are Ready.
async fn watch_until_ready(stack: &Stack, kubectl: &Kubectl, count: usize) -> Result<()> {
    let containers: Api<HcsContainer> = Api::all(stack.control_plane.client().await?);
    let deadline = tokio::time::Instant::now() + READY;
    let mut shown = String::new();
    println!("\n$ kubectl get hcs --watch");
    loop {
        let objects = containers.list(&ListParams::default()).await?.items;
        let ready = objects.iter().filter(|object| settled(object)).count();
        let table = kubectl.get_hcs().await?;
        if without_age(&table) != without_age(&shown) {
            println!("{table}");
            shown = table;
        }
        if ready >= count && ready == objects.len() {
            println!("{ready} of {ready} are Ready.");
            return Ok(());
        }
        if tokio::time::Instant::now() > deadline {
            let all = kubectl
                .output(&["describe", "hcs", "--all-namespaces"])
                .await?;
            bail!("only {ready} of {count} became Ready within {READY:?}:\n{all}");
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// The table without its last column, which alone changes by itself.
fn without_age(table: &str) -> Vec<Vec<&str>> {
    let mut rows: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    for row in &mut rows {
        row.pop();
    }
    rows
}

fn settled(object: &HcsContainer) -> bool {
    observed(object) && has(object, conditions::READY, "True")
}

fn print_commands(stack: &Stack) {
    let dir = stack.control_plane.dir().display();
    println!("\nThe API server is yours until Ctrl-C. In another terminal:\n");
    println!("  export KUBECONFIG={dir}/kubeconfig PATH={dir}/bin:$PATH");
    println!("  kubectl get hcs -A -o wide");
    println!("  kubectl explain hcs.spec");
    println!("  kubectl edit hcs -n default");
    println!("  {dir}/nodes/node-1/runhcs list            # what the node's runhcs says");
    println!("  tail -f {dir}/nodes/node-1/agent.log");
}

/// The states that `--once` walks through.
async fn walk(stack: &Stack) -> Result<ExitCode> {
    let kubectl = Kubectl::of(&stack.control_plane);
    let node = stack.nodes.first().context("there is no node")?;
    let scenario = Scenario::beside(Arc::clone(&stack.control_plane), node, "default").await?;
    let walker = Container::named("walker")
        .on(node)
        .hyperv()
        .tty(80, 25)
        .running_for_ever()
        .desired(DesiredState::Created);
    let container = scenario.create(walker).await?;
    let step = Step {
        kubectl: &kubectl,
        container: &container,
    };
    step.reaches("created", Phase::Created).await?;
    step.goes_to("running", DesiredState::Running, Phase::Running)
        .await?;
    step.goes_to("paused", DesiredState::Paused, Phase::Paused)
        .await?;
    step.goes_to("running again", DesiredState::Running, Phase::Running)
        .await?;
    container
        .patch_spec(json!({"tty": {"width": 132, "height": 43}}))
        .await?;
    let resized = |object: &HcsContainer| {
        let tty = object.status.as_ref().and_then(|status| status.tty);
        observed(object) && tty.is_some_and(|tty| (tty.width, tty.height) == (132, 43))
    };
    container
        .comes_to("has a console of 132×43", resized)
        .await?;
    step.show("resized to 132×43").await?;
    step.goes_to("stopped", DesiredState::Stopped, Phase::Stopped)
        .await?;
    container.delete().await?;
    container.is_gone().await?;
    println!("\n== deleted");
    println!(
        "{}",
        kubectl.output(&["get", "hcs"]).await.unwrap_or_default()
    );
    scenario.leaves_nothing_on(node).await?;
    println!("All states came true.");
    Ok(ExitCode::SUCCESS)
}

struct Step<'a> {
    kubectl: &'a Kubectl,
    container: &'a Live,
}

impl Step<'_> {
    async fn goes_to(&self, title: &str, desired: DesiredState, phase: Phase) -> Result<()> {
        self.container.set_desired(desired).await?;
        self.reaches(title, phase).await
    }

    /// Waits for the phase and for Ready, and prints the row as the API server gives it.
    async fn reaches(&self, title: &str, phase: Phase) -> Result<()> {
        let so = |object: &HcsContainer| {
            let now = object.status.as_ref().map(|status| status.phase);
            settled(object) && now == Some(phase)
        };
        self.container
            .comes_to(&format!("is {phase:?} and Ready"), so)
            .await?;
        self.show(title).await
    }

    async fn show(&self, title: &str) -> Result<()> {
        println!("\n== {title}");
        print!(
            "{}",
            self.kubectl
                .output(&["get", "hcs", self.container.name(), "-o", "wide"])
                .await?
        );
        Ok(())
    }
}
