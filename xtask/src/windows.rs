//! The Windows part of `cargo xtask test`: the Windows build, its unit tests under wine, and the scenarios on the two
//! grounds whose nodes are Windows. Where the packages cannot be had, each is skipped, loudly and counted.

use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};
use hcs_tests::Ground;
use hcs_tests::binaries;
use hcs_tests::windows::{self, Executables, Toolchain};

use crate::args;
use crate::test::{Choice, Counts, program, run_side_by_side, run_tests, runners};

/// The tests in which the real runhcs, and the simulator built for Windows, play the script of verbs under wine.
pub const TRANSCRIPTS: [&str; 2] = [
    "the_real_runhcs_says_what_is_recorded",
    "the_simulator_built_for_windows_says",
];

/// Builds for Windows what all parts of this module run, and the machine that they run on: minutes the first time.
pub fn build() -> Result<()> {
    let Some(toolchain) = toolchain("the Windows build") else {
        return Ok(());
    };
    executables(&toolchain)?;
    windows::runhcs()?;
    let dir = tempfile::tempdir().context("failed to make a temporary folder")?;
    windows::Prefix::new(&toolchain, &dir.path().join("wine"))?;
    Ok(())
}

/// The Windows executables, built once.
fn executables(toolchain: &Toolchain) -> Result<&'static Executables> {
    static BUILT: OnceLock<Executables> = OnceLock::new();
    if let Some(built) = BUILT.get() {
        return Ok(built);
    }
    let built = Executables::build(toolchain)?;
    Ok(BUILT.get_or_init(|| built))
}

/// Runs the unit tests under wine.
pub fn unit(args: &args::Test) -> Result<Counts> {
    let Some(toolchain) = toolchain("the Windows build and its unit tests") else {
        return Ok(Counts::SKIPPED);
    };
    executables(&toolchain)?;
    let dir = tempfile::tempdir().context("failed to make a temporary folder")?;
    let prefix = windows::Prefix::new(&toolchain, &dir.path().join("wine"))?;
    let mut cargo = Executables::tests(&toolchain, &prefix)?;
    cargo.args(args.filter.as_deref());
    run_tests(cargo)
}

/// Plays the script of verbs under wine, on the real runhcs and on the simulator.
pub fn transcripts(_: &args::Test) -> Result<Counts> {
    let Some(toolchain) = toolchain("the transcripts of Windows programs") else {
        return Ok(Counts::SKIPPED);
    };
    let mut transcripts = program("transcripts")?;
    transcripts.args(TRANSCRIPTS);
    executables(&toolchain)?.name_to(&mut transcripts);
    run_tests(transcripts)
}

/// Runs the scenarios on a ground. `shared` says how a test finds the control plane and the executables.
pub fn scenarios(
    ground: Ground,
    choice: Choice<'_>,
    shared: &dyn Fn(&mut Command),
) -> Result<Counts> {
    let Some(toolchain) = toolchain("the scenarios on Windows nodes") else {
        return Ok(Counts::SKIPPED);
    };
    let executables = executables(&toolchain)?;
    println!("\n=== Scenarios on the ground {}", ground.name());
    let shared = |command: &mut Command| {
        shared(command);
        executables.name_to(command);
    };
    let (runs, left_out) = runners(ground, choice, &shared)?;
    let mut counts = run_side_by_side(runs)?;
    counts.add(left_out);
    Ok(counts)
}

/// Whether this is a CI job.
pub fn in_ci() -> bool {
    std::env::var_os("CI").is_some_and(|ci| !ci.is_empty())
}

/// What Windows programs are built and run with; says so loudly where it cannot be had.
fn toolchain(what: &str) -> Option<Toolchain> {
    static FOUND: OnceLock<Result<Toolchain>> = OnceLock::new();
    match FOUND.get_or_init(find_or_install) {
        Ok(toolchain) => Some(toolchain.clone()),
        Err(why) => {
            eprintln!("\n!!! SKIPPED: {what}: {why:#}\n");
            None
        }
    }
}

/// Looks for it; installs it where this is a CI job that may.
fn find_or_install() -> Result<Toolchain> {
    let missing = match Toolchain::find() {
        Ok(toolchain) => return Ok(toolchain),
        Err(missing) => missing,
    };
    if !in_ci() || !binaries::on_path("apt-get") {
        bail!("this machine has no {missing}");
    }
    eprintln!("Installing {}: a minute", windows::PACKAGES.join(" "));
    windows::install()
        .with_context(|| format!("this machine has no {missing}, nor can it be installed"))?;
    Toolchain::find().context("even now this machine lacks something")
}
