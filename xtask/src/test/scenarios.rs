//! The tests that need a control plane. It is started for them, and they are asked afterwards whether they left anything.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use hcs_tests::binaries::{self, Workspace};
use hcs_tests::ground::GROUND;
use hcs_tests::{ControlPlane, Ground, control_plane, helm};
use runhcs_sim::SimNode;

use super::counts::Counts;
use super::programs::{self, SCENARIOS};
use super::run::{run_side_by_side, run_tests};
use crate::{args, interrupt, skips, stack, windows};

/// Those scenarios that wait for each other: together with others they would hold threads for nothing.
const IN_TURN: &str = "own_control_plane::";

/// How many of them have begun at once: all. Most of these wait for their turn, and none should wait for a thread.
const THREADS_IN_TURN: &str = "20";

/// Says which lifecycle, or which point of one, is played.
const FAULTS: &str = "HCS_FAULTS";
/// Says which random sequences are played.
const SEED: &str = "HCS_SEED";

/// Where in a control plane's folder some tests have one of their own.
const OWN: [&str; 5] = ["own-1", "own-2", "own-3", "own-4", "chart"];

/// How many scenarios play at once. They mostly wait: more than there are processors.
const THREADS: &str = "6";

/// As [`THREADS`], on the real runhcs, where nothing else may be left to play beside them.
const THREADS_AT_THE_END: &str = "9";

/// The integration tests: the scenarios on Linux, and all others but what needs Windows.
pub fn on_linux(args: &args::Test) -> Result<Counts> {
    let filter = args.filter.as_deref();
    // The first time this takes minutes, in which no test should seem to hang.
    helm::program()?;
    on_a_control_plane("linux", |shared| {
        let (mut runs, left_out) = runners(Ground::Linux, Choice::of(filter), shared)?;
        let others = programs::all()?
            .iter()
            .filter(|program| program.name != SCENARIOS);
        let others = others.map(|program| {
            let mut others = program.command();
            others.args(filter).env("RUST_TEST_THREADS", THREADS);
            let elsewhere = windows::TRANSCRIPTS.iter();
            others.args(elsewhere.flat_map(|test| ["--skip", test]));
            shared(&mut others);
            others
        });
        runs.push(others.collect());
        let mut counts = run_side_by_side(runs)?;
        counts.add(left_out);
        Ok(counts)
    })
}

/// Which of a ground's scenarios are played.
#[derive(Clone, Copy)]
pub enum Choice<'a> {
    /// All.
    All,
    /// Those that have this text in their names.
    Named(&'a str),
    /// Those that the real runhcs cannot do.
    LeftByTheRealRunhcs,
}

impl<'a> Choice<'a> {
    fn of(filter: Option<&'a str>) -> Self {
        filter.map_or(Self::All, Self::Named)
    }
}

/// The runners of the scenarios on a ground, and the count of those that it cannot play. Those that wait for each other
/// have a runner of their own, beside the rest. `shared` says how a test finds the control plane and the executables.
/// Runners of an inner list are for one after the other.
pub fn runners(
    ground: Ground,
    choice: Choice<'_>,
    shared: &dyn Fn(&mut Command),
) -> Result<(Vec<Vec<Command>>, Counts)> {
    let left_out = match choice {
        Choice::All => skips::on(ground, None)?,
        Choice::Named(filter) => skips::on(ground, Some(filter))?,
        Choice::LeftByTheRealRunhcs => skips::left_by_the_real_runhcs()?,
    };
    let runner = |choice: &[&str], threads: &str| {
        let mut scenarios = programs::command(SCENARIOS)?;
        scenarios
            .args(choice)
            .args(&left_out.args)
            .env(GROUND, ground.name())
            .env("RUST_TEST_THREADS", threads);
        shared(&mut scenarios);
        Ok::<_, anyhow::Error>(vec![scenarios])
    };
    let threads = if ground == Ground::WineReal {
        THREADS_AT_THE_END
    } else {
        THREADS
    };
    let runners = match choice {
        Choice::All => vec![
            runner(&["--skip", IN_TURN], threads)?,
            runner(&[IN_TURN], THREADS_IN_TURN)?,
        ],
        Choice::Named(filter) => vec![runner(&[filter], threads)?],
        Choice::LeftByTheRealRunhcs => vec![runner(&[], threads)?],
    };
    Ok((runners, left_out.counts))
}

/// The scenarios on Windows nodes with the simulator. A call of a program is many times the work there: where nobody asked
/// for this part, it leaves to the real runhcs what that can do. Not so in CI.
pub fn on_windows(args: &args::Test) -> Result<Counts> {
    let choice = if args.only.is_empty() && args.filter.is_none() && !windows::in_ci() {
        Choice::LeftByTheRealRunhcs
    } else {
        Choice::of(args.filter.as_deref())
    };
    on_a_control_plane("wine-sim", |shared| {
        windows::scenarios(Ground::WineSim, choice, shared)
    })
}

/// The scenarios on Windows nodes with the real runhcs.
pub fn on_real_runhcs(args: &args::Test) -> Result<Counts> {
    let choice = Choice::of(args.filter.as_deref());
    on_a_control_plane("wine-real", |shared| {
        windows::scenarios(Ground::WineReal, choice, shared)
    })
}

/// The agent killed at each point.
pub fn deaths(args: &args::Test) -> Result<Counts> {
    faults("crash::", FAULTS, args)
}

/// The agent shown each perturbed view.
pub fn views(args: &args::Test) -> Result<Counts> {
    faults("views::", FAULTS, args)
}

/// Random sequences of spec changes.
pub fn sequences(args: &args::Test) -> Result<Counts> {
    faults("sequences::", SEED, args)
}

/// One of the programmes on real parts that take long: the module of its tests, and the variable that the filter is for.
fn faults(module: &str, variable: &str, args: &args::Test) -> Result<Counts> {
    let filter = args.filter.as_deref();
    on_a_control_plane("faults", |shared| {
        let mut faults = programs::command("faults")?;
        faults.args([module, "--ignored", "--nocapture"]);
        faults.envs(filter.map(|filter| (variable, filter)));
        shared(&mut faults);
        run_tests(faults)
    })
}

/// What the tests of this module need, built: minutes the first time, in which tests that run already would be held up.
pub fn build() -> Result<()> {
    for name in binaries::CONTROL_PLANE {
        binaries::control_plane(name)?;
    }
    programs::all()?;
    Workspace::get()?;
    Ok(())
}

/// Runs tests on one control plane that is started for them, with the project installed on it. They find it, and the
/// workspace's executables, by what the function that they are given adds to their command.
fn on_a_control_plane(
    name: &str,
    tests: impl FnOnce(&dyn Fn(&mut Command)) -> Result<Counts>,
) -> Result<Counts> {
    let executables = Workspace::get()?;
    let runtime = tokio::runtime::Runtime::new().context("failed to start the async runtime")?;
    let dir = binaries::target_folder()?.join("scenarios").join(name);
    // A run that was killed may have left its nodes' containers running.
    let own = OWN.map(|own| dir.join(own));
    stack::remove_old_nodes(&dir)?;
    for own in &own {
        stack::remove_old_nodes(own)?;
    }
    let control_plane = runtime.block_on(async {
        let control_plane = ControlPlane::start(&dir).await?;
        control_plane.install().await?;
        Ok::<_, hcs_tests::Error>(control_plane)
    })?;
    let tests = tests(&|command| {
        command
            .env(control_plane::SHARED, &dir)
            .env(binaries::BIN_DIR, executables.folder());
    });
    let mut left = leftovers(&dir)?;
    for own in &own {
        left |= leftovers(own)?;
    }
    interrupt::go_on()?;
    control_plane.all_running()?;
    let mut counts = tests?;
    if left {
        counts.add(Counts::FAILED);
    }
    println!("Logs: {}", dir.display());
    Ok(counts)
}

/// Whether scenarios have left containers running. Ends them.
fn leftovers(dir: &Path) -> Result<bool> {
    let mut any = false;
    let Ok(nodes) = std::fs::read_dir(dir.join("nodes")) else {
        return Ok(false);
    };
    for node in nodes {
        let node = node.context("failed to list the nodes")?.path();
        let Ok(sim) = SimNode::open(&node) else {
            continue;
        };
        let containers = sim
            .containers()
            .context("failed to list a node's containers")?;
        if containers
            .iter()
            .any(|container| container.status != "stopped")
        {
            eprintln!("containers were left running on {}", node.display());
            any = true;
        }
        sim.stop_all().context("failed to end what was left")?;
    }
    Ok(any)
}
