//! `cargo xtask load`: a node under load for as long as one likes, while its agent is killed every minute.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use hcs_tests::load::{Figures, Load};
use hcs_tests::{Scenario, binaries};

use super::{LOAD, document, write};
use crate::args;
use crate::stack::{self, Stack};

/// Short enough to wait for three of them at the end, and long enough not to be a load of its own.
const RELIST: Duration = Duration::from_secs(10);

/// Puts the load on a node of its own and prints what was seen. Fails if anything is not as it should be.
pub fn load(args: &args::Load) -> Result<ExitCode> {
    let executables = stack::build(true)?;
    let runtime = tokio::runtime::Runtime::new().context("failed to start the async runtime")?;
    let load = Load::of(args.containers, Duration::from_mins(args.minutes));
    let figures = runtime.block_on(async {
        let dir = binaries::workspace().join(".hcs/load");
        let run = async {
            let stack = Stack::start(&dir, 1, &executables, &Load::node_options(RELIST)).await?;
            let node = stack.nodes.first().context("there is no node")?;
            let scenario = Scenario::beside(stack.control_plane.clone(), node, "default").await?;
            eprintln!(
                "{} containers: {} end over and over, {} hang, {} changes a minute, for {} minutes",
                load.containers, load.looping, load.hanging, load.changes_per_minute, args.minutes
            );
            Ok(load.run(&scenario, node).await?)
        };
        tokio::select! {
            figures = run => figures,
            _ = tokio::signal::ctrl_c() => anyhow::bail!("interrupted"),
        }
    })?;
    println!("\n{figures}");
    if args.write {
        let (costs, _) = document()?;
        write(&costs, &markdown(&load, args.minutes, &figures))?;
    }
    let problems = figures.problems();
    for problem in &problems {
        println!("**{problem}**");
    }
    Ok(if problems.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn markdown(load: &Load, minutes: u64, figures: &Figures) -> String {
    let mut text = format!(
        "{LOAD}\nWritten by `cargo xtask load --write`: {} containers, of which {} end by themselves over and over and {} \
         hang in\n`start`, {} changes of specs a minute, for {minutes} minutes, with the agent killed (SIGKILL) every \
         minute. In the\nend each object was Ready with one container, there was no other container, and over three \
         relists the\nagent called and wrote nothing.\n\n| what | seen |\n| --- | --- |\n",
        load.containers, load.looping, load.hanging, load.changes_per_minute
    );
    for (what, seen) in figures.rows() {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "| {what} | {seen} |");
    }
    text
}
