//! `cargo xtask test`: every check and every test, in an order in which the cheap ones fail first, and one line at the
//! end that counts them all.

mod counts;
mod programs;
mod run;
mod scenarios;

use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};

pub use self::counts::Counts;
pub use self::programs::{SCENARIOS, command as program};
pub use self::run::{run_side_by_side, run_tests};
pub use self::scenarios::{Choice, runners};
use crate::args::{self, Part};
use crate::checks::{self, Check};
use crate::{interrupt, windows};

/// Runs the tests of a part that are asked for.
type Tests = fn(&args::Test) -> Result<Counts>;

/// What needs more than the tests themselves; the parts of a line run one after the other. Scenarios on Linux mostly wait,
/// so that they leave room for another line; programs under wine are work, and keep to one.
const LINES: [&[(Part, Tests)]; 2] = [
    &[
        (Part::Scenarios, scenarios::on_linux),
        (Part::Transcripts, windows::transcripts),
        (Part::Faults, scenarios::deaths),
        (Part::Views, scenarios::views),
        (Part::Sequences, scenarios::sequences),
    ],
    &[
        (Part::Windows, windows::unit),
        (Part::Grounds, scenarios::on_windows),
        (Part::RealRunhcs, scenarios::on_real_runhcs),
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
    if args.wants(Part::Unit) {
        interrupt::go_on()?;
        let unit = announced(Part::Unit, || unit(args.filter.as_deref()));
        found.add(Part::Unit, unit);
    }
    found.extend(lines(args)?);
    if !found.failures.is_empty() {
        for gist in run::gists() {
            println!("\n{}", gist.trim_end());
        }
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
                let run = || interrupt::go_on().and_then(|()| tests(args));
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
