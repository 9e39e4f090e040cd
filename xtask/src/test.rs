//! `cargo xtask test`: every check and every test, in an order in which the cheap ones fail first, and one line at the
//! end that counts them all.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, Result};
use hcs_tests::binaries::{self, Workspace};
use hcs_tests::{ControlPlane, Ground, control_plane, helm};
use runhcs_sim::SimNode;

use crate::args::{self, Part};
use crate::checks::{self, Check};
use crate::{interrupt, skips, stack, windows};

/// Scenarios mostly wait: more of them at once than there are processors.
const SCENARIO_THREADS: &str = "8";

/// Says which lifecycle, or which point of one, is played.
const FAULTS: &str = "HCS_FAULTS";
/// Says which random sequences are played.
const SEED: &str = "HCS_SEED";

/// Where in the shared control plane's folder some tests have one of their own.
const OWN: [&str; 2] = ["own", "chart"];

/// How many tests passed, failed and were skipped. A check that failed counts as a failed test.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    passed: u64,
    failed: u64,
    skipped: u64,
}

impl Counts {
    const FAILED: Self = Self {
        passed: 0,
        failed: 1,
        skipped: 0,
    };
    /// One that was skipped.
    pub const SKIPPED: Self = Self::skipped(1);

    /// So many that were skipped.
    pub const fn skipped(skipped: u64) -> Self {
        Self {
            passed: 0,
            failed: 0,
            skipped,
        }
    }

    /// Adds others.
    pub fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }

    /// From a closing line of Rust's test runner:
    /// `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s`.
    fn from_line(line: &str) -> Option<Self> {
        let (_, counts) = line
            .trim()
            .strip_prefix("test result: ")?
            .split_once(". ")?;
        let mut found = Self::default();
        for part in counts.split("; ") {
            let (number, what) = part.split_once(' ')?;
            match (number.parse(), what) {
                (Ok(number), "passed") => found.passed = number,
                (Ok(number), "failed") => found.failed = number,
                (Ok(number), "ignored") => found.skipped = number,
                _ => {}
            }
        }
        Some(found)
    }
}

/// Runs the parts asked for. Fails if anything failed.
pub fn test(args: &args::Test) -> Result<ExitCode> {
    let started = Instant::now();
    let wanted = |part: Part| args.only.is_empty() || args.only.contains(&part);
    interrupt::watch()?;
    let mut counts = Counts::default();
    let mut failures = Vec::new();
    for (part, check) in checks::all() {
        if !wanted(part) {
            continue;
        }
        interrupt::go_on()?;
        match announced(&format!("{part:?}"), check) {
            Ok(Check::Passed) => {}
            Ok(Check::Skipped(why)) => {
                eprintln!("\n!!! {why}\n");
                counts.add(Counts::SKIPPED);
            }
            Err(error) => {
                eprintln!("{part:?} failed: {error:#}");
                failures.push(format!("{part:?}"));
                counts.add(Counts::FAILED);
            }
        }
    }
    for (part, tests) in [
        (Part::Unit, unit as fn(_) -> _),
        (Part::Scenarios, scenarios),
        (Part::Windows, windows::unit),
        (Part::Grounds, grounds),
        (Part::Faults, |filter| faults("crash::", FAULTS, filter)),
        (Part::Views, |filter| faults("views::", FAULTS, filter)),
        (Part::Sequences, |filter| {
            faults("sequences::", SEED, filter)
        }),
        (Part::Transcripts, |_| {
            windows::transcripts(windows::TRANSCRIPT_OF_SIMULATOR)
        }),
        (Part::RealRunhcs, real_runhcs),
    ] {
        if !wanted(part) {
            continue;
        }
        if args.only.is_empty() && part.waits_to_be_asked_for() {
            let name = format!("{part:?}").to_lowercase();
            println!("\n!!! SKIPPED, not run unless asked for: cargo xtask test --only {name}");
            counts.add(Counts::SKIPPED);
            continue;
        }
        interrupt::go_on()?;
        match announced(&format!("{part:?}"), || tests(args.filter.as_deref())) {
            Ok(found) => {
                if found.failed > 0 {
                    failures.push(format!("{part:?}"));
                }
                counts.add(found);
            }
            Err(error) => {
                eprintln!("{part:?} failed: {error:#}");
                failures.push(format!("{part:?}"));
                counts.add(Counts::FAILED);
            }
        }
    }
    if !failures.is_empty() {
        println!("\nFailed: {}", failures.join(", "));
    }
    println!("\nAll of it took {} s.", started.elapsed().as_secs());
    println!(
        "{} passed, {} failed, {} skipped",
        counts.passed, counts.failed, counts.skipped
    );
    std::io::stdout()
        .flush()
        .context("failed to write the result")?;
    Ok(if failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn announced<T>(what: &str, run: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("\n=== {what}");
    let started = Instant::now();
    let result = run();
    println!("=== {what}: {} s", started.elapsed().as_secs());
    result
}

/// Unit tests, examples and documentation examples: what needs no control plane. Always the whole
/// workspace: another choice of packages can mean other features of what they share, and those would
/// be built again.
fn unit(filter: Option<&str>) -> Result<Counts> {
    let mut counts = Counts::default();
    for kinds in [&["--lib", "--bins", "--examples"][..], &["--doc"][..]] {
        let mut cargo = checks::cargo(&["test", "--workspace", "--no-fail-fast"]);
        cargo.args(kinds).args(filter);
        counts.add(run_tests(cargo)?);
    }
    Ok(counts)
}

/// The integration tests: the scenarios, and the others.
fn scenarios(filter: Option<&str>) -> Result<Counts> {
    // The first time this takes minutes, in which no test should seem to hang.
    helm::program()?;
    on_a_control_plane(|shared| {
        let mut cargo = checks::cargo(&["test", "--workspace", "--no-fail-fast", "--test", "*"]);
        cargo.args(filter).arg("--");
        let mut counts = skips::leave_out(Ground::Linux, filter, &mut cargo)?;
        cargo
            .args(
                [
                    windows::TRANSCRIPT_OF_SIMULATOR,
                    windows::TRANSCRIPT_OF_RUNHCS,
                ]
                .iter()
                .flat_map(|test| ["--skip", test]),
            )
            .env("RUST_TEST_THREADS", SCENARIO_THREADS);
        shared(&mut cargo);
        counts.add(run_tests(cargo)?);
        Ok(counts)
    })
}

/// The scenarios on Windows nodes with the simulator.
fn grounds(filter: Option<&str>) -> Result<Counts> {
    on_a_control_plane(|shared| windows::scenarios(Ground::WineSim, filter, shared))
}

/// All that the real runhcs plays under wine.
fn real_runhcs(filter: Option<&str>) -> Result<Counts> {
    let mut counts =
        on_a_control_plane(|shared| windows::scenarios(Ground::WineReal, filter, shared))?;
    counts.add(windows::transcripts(windows::TRANSCRIPT_OF_RUNHCS)?);
    Ok(counts)
}

/// One of the programmes on real parts that take long: the module of its tests, and the variable that the filter is for.
fn faults(module: &str, variable: &str, filter: Option<&str>) -> Result<Counts> {
    on_a_control_plane(|shared| {
        let mut cargo = checks::cargo(&["test", "--workspace", "--test", "faults", module, "--"]);
        cargo.args(["--ignored", "--nocapture"]);
        cargo.envs(filter.map(|filter| (variable, filter)));
        shared(&mut cargo);
        run_tests(cargo)
    })
}

/// Runs tests on one control plane that is started for them. They find it, and the workspace's executables, by what the
/// function that they are given adds to their command.
fn on_a_control_plane(
    tests: impl FnOnce(&dyn Fn(&mut Command)) -> Result<Counts>,
) -> Result<Counts> {
    for name in binaries::CONTROL_PLANE {
        binaries::control_plane(name)?;
    }
    let executables = Workspace::build(false)?;
    let runtime = tokio::runtime::Runtime::new().context("failed to start the async runtime")?;
    let dir = binaries::target_folder()?.join("scenarios/shared");
    // A run that was killed may have left its nodes' containers running.
    let own = OWN.map(|own| dir.join(own));
    stack::remove_old_nodes(&dir)?;
    for own in &own {
        stack::remove_old_nodes(own)?;
    }
    let control_plane = runtime.block_on(ControlPlane::start(&dir))?;
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
fn leftovers(dir: &std::path::Path) -> Result<bool> {
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

/// Runs cargo test, shows what it prints, and sums up the closing lines of all its runners. A run that fails without a
/// failed test (it did not compile, it crashed) counts as one.
pub fn run_tests(mut cargo: Command) -> Result<Counts> {
    let text = format!("{cargo:?}");
    let mut child = interrupt::spawn(cargo.stdout(Stdio::piped()))?;
    let output = child
        .stdout
        .take()
        .context("cargo has no standard output")?;
    let mut counts = Counts::default();
    for line in BufReader::new(output).lines() {
        let line = line.context("failed to read cargo's output")?;
        println!("{line}");
        counts.add(Counts::from_line(&line).unwrap_or_default());
    }
    interrupt::ending();
    let status = child.wait().context("failed to wait for cargo")?;
    if !status.success() && counts.failed == 0 {
        eprintln!("{text} failed without a failed test: {status}");
        counts.add(Counts::FAILED);
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_are_counted() {
        let line = "test result: FAILED. 10 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.27s";
        let counts = Counts {
            passed: 10,
            failed: 2,
            skipped: 1,
        };
        assert_eq!(Counts::from_line(line), Some(counts));
    }

    #[test]
    fn other_lines_are_not() {
        for line in ["", "running 3 tests", "test result: none", "test a ... ok"] {
            assert_eq!(Counts::from_line(line), None, "{line}");
        }
    }
}
