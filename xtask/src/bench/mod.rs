//! `cargo xtask bench`: what the operator costs on a node full of containers, measured from outside: processes from the
//! simulator's own count, API writes from the API server's audit log, times from a watch of the API server.

pub mod load;
mod measure;
mod raw;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use hcs_tests::{Node, NodeOptions, binaries};

use crate::args::Bench;
use crate::stack::{self, Stack};
use measure::Fleet;
use report::Report;

/// The agent's own default: what a node in use would have.
const RELIST: Duration = Duration::from_secs(30);

/// How many ends of containers are timed.
const EXITS: usize = 300;

/// Calls of runhcs that hang while as many are timed again.
const HANGING: usize = 10;

/// Containers and objects for the raw rates: enough to be long against a start, short against the rest.
const RAW: u32 = 200;

/// Runs the measurements and prints them against the goals. Fails if a goal is missed.
pub fn bench(args: &Bench) -> Result<ExitCode> {
    let executables = stack::build(true)?;
    let runtime = tokio::runtime::Runtime::new().context("failed to start the async runtime")?;
    let report = runtime.block_on(async {
        let dir = binaries::workspace().join(".hcs/bench");
        let options = NodeOptions {
            relist_interval: RELIST,
            ..NodeOptions::default()
        };
        let run = async {
            let stack = Stack::start(&dir, 1, &executables, &options).await?;
            measured(&stack, args).await
        };
        tokio::select! {
            report = run => report,
            _ = tokio::signal::ctrl_c() => anyhow::bail!("interrupted"),
        }
    })?;
    let text = report.markdown();
    println!("\n{text}");
    if args.write {
        let (_, load) = document()?;
        write(&text, &load)?;
    }
    Ok(if report.all_met() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Where the part of the document begins that `cargo xtask load` writes.
const LOAD: &str = "\n## Load\n";

/// The document's two parts: costs, and the node under load.
fn document() -> Result<(String, String)> {
    let file = file();
    let text = std::fs::read_to_string(&file)
        .with_context(|| format!("failed to read {}", file.display()))?;
    let (costs, load) = text.split_at(text.find(LOAD).unwrap_or(text.len()));
    Ok((costs.to_owned(), load.to_owned()))
}

fn write(costs: &str, load: &str) -> Result<()> {
    let file = file();
    std::fs::write(&file, format!("{costs}{load}"))
        .with_context(|| format!("failed to write {}", file.display()))?;
    println!("wrote {}", file.display());
    Ok(())
}

fn file() -> PathBuf {
    binaries::workspace().join("docs/benchmarks.md")
}

async fn measured(stack: &Stack, args: &Bench) -> Result<Report> {
    let node: &Node = stack.nodes.first().context("there is no node")?;
    let mut report = Report::of(args.containers);

    eprintln!("Measuring the raw rates with {RAW} containers");
    let runtime_ceiling = raw::runtime_rate(stack, RAW).await?;
    let api_ceiling = raw::api_rate(stack, RAW).await?;

    let empty = node
        .agent()
        .resident_bytes()
        .context("the agent is not running")?;
    eprintln!(
        "Creating {} objects while the agent is away",
        args.containers
    );
    node.agent().stop();
    let mut fleet = Fleet::create(stack, node, args.containers).await?;
    eprintln!("Starting the agent");
    let becoming = fleet.becomes_running(node).await?;
    let full = node
        .agent()
        .resident_bytes()
        .context("the agent is not running")?;

    eprintln!("Watching the steady state for {} s", args.steady);
    let steady = fleet.steady(node, Duration::from_secs(args.steady)).await?;
    let full = full.max(
        node.agent()
            .resident_bytes()
            .context("the agent is not running")?,
    );

    let ends = EXITS.min(args.containers as usize / 3);
    eprintln!("Timing {ends} ends");
    let exits = fleet.exits(ends).await?;
    eprintln!("The same beside {HANGING} calls that hang");
    fleet.hang(node, HANGING).await?;
    let beside_hung = fleet.exits(ends).await?;

    report.costs(&becoming, &steady);
    report.exits(&exits, &beside_hung);
    report.memory(empty, full);
    report.rates(becoming.rate(), runtime_ceiling, api_ceiling);
    Ok(report)
}
