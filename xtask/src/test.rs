//! `cargo xtask test`: every check and every test, in an order in which the cheap ones fail first, and one line at the
//! end that counts them all.

mod counts;
mod run;
mod scenarios;

use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};

pub use self::counts::Counts;
pub use self::run::run_tests;
use crate::args::{self, Part};
use crate::checks::{self, Check};
use crate::{interrupt, windows};

/// Runs the tests of a part that have a text in their names.
type Tests = fn(Option<&str>) -> Result<Counts>;

/// What needs more than the tests themselves. Most of it waits for something most of the time, so that the lines run
/// side by side; the parts of a line run one after the other.
const LINES: [&[(Part, Tests)]; 3] = [
    &[
        (Part::Scenarios, scenarios::on_linux),
        (Part::Faults, scenarios::deaths),
        (Part::Views, scenarios::views),
        (Part::Sequences, scenarios::sequences),
    ],
    &[
        (Part::Windows, windows::unit),
        (Part::Grounds, scenarios::on_windows),
    ],
    &[
        (Part::Transcripts, |_| {
            windows::transcripts(windows::TRANSCRIPT_OF_SIMULATOR)
        }),
        (Part::RealRunhcs, scenarios::real_runhcs),
    ],
];

/// What became of the parts.
#[derive(Default)]
struct Found {
    counts: Counts,
    failures: Vec<Part>,
}

impl Found {
    fn add(&mut self, part: Part, result: Result<Counts>) {
        let counts = result.unwrap_or_else(|error| {
            eprintln!("{part:?} failed: {error:#}");
            Counts::FAILED
        });
        if counts.failed > 0 {
            self.failures.push(part);
        }
        self.counts.add(counts);
    }

    fn extend(&mut self, others: Self) {
        self.counts.add(others.counts);
        self.failures.extend(others.failures);
    }
}

/// Runs the parts asked for. Fails if anything failed.
pub fn test(args: &args::Test) -> Result<ExitCode> {
    let started = Instant::now();
    interrupt::watch()?;
    let mut found = Found::default();
    for (part, check) in checks::all() {
        if args.wants(part) {
            interrupt::go_on()?;
            found.add(part, announced(part, || checked(check)));
        }
    }
<<<<<<< HEAD
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
=======
    if args.wants(Part::Unit) {
        interrupt::go_on()?;
        let unit = announced(Part::Unit, || unit(args.filter.as_deref()));
        found.add(Part::Unit, unit);
    }
    found.extend(lines(args)?);
    if !found.failures.is_empty() {
        let names: Vec<_> = found.failures.iter().map(Part::to_string).collect();
        println!("\nFailed: {}", names.join(", "));
    }
    println!("\nAll of it took {} s.", started.elapsed().as_secs());
    println!(
        "{} passed, {} failed, {} skipped",
        found.counts.passed, found.counts.failed, found.counts.skipped
    );
    std::io::stdout()
        .flush()
        .context("failed to write the result")?;
    Ok(if found.failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// A check counts only when it fails, or cannot be made.
fn checked(check: fn() -> Result<Check>) -> Result<Counts> {
    Ok(match check()? {
        Check::Passed => Counts::default(),
        Check::Skipped(why) => {
            eprintln!("\n!!! {why}\n");
            Counts::SKIPPED
        }
    })
}

/// The parts of [`LINES`].
fn lines(args: &args::Test) -> Result<Found> {
    let mut found = Found::default();
    let mut wanted = LINES.map(<[_]>::to_vec);
    for line in &mut wanted {
        line.retain(|(part, _)| args.wants(*part));
        for (part, _) in line.extract_if(.., |(part, _)| !args.runs(*part)) {
            println!("\n!!! SKIPPED, not run unless asked for: cargo xtask test --only {part}");
            found.counts.add(Counts::SKIPPED);
        }
    }
    let parts = || wanted.iter().flatten().map(|(part, _)| *part);
    if parts().count() == 0 {
        return Ok(found);
    }
    interrupt::go_on()?;
    said("Build", || {
        scenarios::build()?;
        if parts().any(Part::is_windows) {
            windows::build()?;
        }
        Ok::<_, anyhow::Error>(())
    })?;
    let run = |line: Vec<(Part, Tests)>| {
        move || {
            let mut found = Found::default();
            for (part, tests) in line {
                let filter = args.filter.as_deref();
                let run = || interrupt::go_on().and_then(|()| tests(filter));
                found.add(part, announced(part, run));
            }
            found
        }
    };
    for line in run::side_by_side(wanted.into_iter().map(run).collect()) {
        found.extend(line);
    }
    Ok(found)
}

fn announced<T>(part: Part, run: impl FnOnce() -> T) -> T {
    said(&part.to_string(), run)
}

/// Does something, and says so, and how long it took.
fn said<T>(what: &str, run: impl FnOnce() -> T) -> T {
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
<<<<<<< HEAD

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
=======
