//! The Windows part of `cargo xtask test`: the Windows build, its unit tests under wine, and the scenarios on the two
//! grounds whose nodes are Windows. Where the packages cannot be had, each is skipped, loudly and counted.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};
use hcs_tests::Ground;
use hcs_tests::binaries::{self, workspace};
use hcs_tests::ground::GROUND;
use hcs_tests::windows::{self, Toolchain};

use crate::test::{Counts, run_tests};

/// The grounds whose nodes are Windows.
const GROUNDS: [Ground; 2] = [Ground::WineSim, Ground::WineReal];

/// Scenarios on Windows nodes: a node is a wine machine with a dozen processes, so fewer at once than on Linux.
const SCENARIO_THREADS: &str = "4";

/// The transcripts of Windows programs.
pub const TRANSCRIPTS: [&str; 2] = [
    "the_real_runhcs_says_what_is_recorded",
    "the_simulator_built_for_windows_says",
];

/// Builds for Windows, and runs the unit tests under wine.
pub fn unit(filter: Option<&str>) -> Result<Counts> {
    let Some(toolchain) = toolchain("the Windows build and its unit tests") else {
        return Ok(Counts::SKIPPED);
    };
    windows::Executables::build(&toolchain)?;
    let dir = tempfile::tempdir().context("failed to make a temporary folder")?;
    let prefix = windows::Prefix::new(&toolchain, &dir.path().join("wine"))?;
    let mut cargo = windows::Executables::tests(&toolchain, &prefix)?;
    cargo.args(filter);
    run_tests(cargo)
}

/// Plays the script of verbs on the real runhcs and on the simulator built for Windows.
pub fn transcripts() -> Result<Counts> {
    let Some(toolchain) = toolchain("the transcripts of Windows programs") else {
        return Ok(Counts::SKIPPED);
    };
    windows::Executables::build(&toolchain)?;
    let args = ["test", "--workspace", "--test", "transcripts", "--"];
    let mut cargo = crate::checks::cargo(&args);
    cargo.args(TRANSCRIPTS);
    run_tests(cargo)
}

/// Runs the scenarios on each ground. `shared` says how a test finds the control plane and the executables.
pub fn scenarios(filter: Option<&str>, shared: &dyn Fn(&mut Command)) -> Result<Counts> {
    let mut counts = Counts::default();
    if toolchain("the scenarios on Windows nodes").is_none() {
        return Ok(Counts::SKIPPED);
    }
    for ground in GROUNDS {
        println!("\n=== Scenarios on the ground {}", ground.name());
        let skipped = Skip::read(&workspace().join("tests/windows/skipped.txt"))?;
        let mut cargo = crate::checks::cargo(&["test", "--workspace", "--test", "scenarios", "--"]);
        for skip in skipped.iter().filter(|skip| skip.on(ground)) {
            if skip.counts {
                println!(
                    "!!! skipped on {}: {}: {}",
                    ground.name(),
                    skip.test,
                    skip.why
                );
                counts.add(Counts::SKIPPED);
            }
            cargo.args(["--skip", &skip.test]);
        }
        cargo
            .args(filter)
            .env(GROUND, ground.name())
            .env("RUST_TEST_THREADS", SCENARIO_THREADS);
        shared(&mut cargo);
        counts.add(run_tests(cargo)?);
    }
    Ok(counts)
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
    let in_ci = std::env::var_os("CI").is_some_and(|ci| !ci.is_empty());
    if !in_ci || !binaries::on_path("apt-get") {
        bail!("this machine has no {missing}");
    }
    eprintln!("Installing {}: a minute", windows::PACKAGES.join(" "));
    windows::install()
        .with_context(|| format!("this machine has no {missing}, nor can it be installed"))?;
    Toolchain::find().context("even now this machine lacks something")
}

/// A line of `tests/windows/skipped.txt`.
struct Skip {
    ground: String,
    test: String,
    why: String,
    /// Whether it is a scenario that a ground cannot do, rather than one that has no node.
    counts: bool,
}

impl Skip {
    fn read(file: &Path) -> Result<Vec<Self>> {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("failed to read {}", file.display()))?;
        text.lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(Self::parse)
            .collect()
    }

    fn parse(line: &str) -> Result<Self> {
        let mut words = line.splitn(3, ' ').map(str::trim);
        let (Some(ground), Some(test), Some(why)) = (words.next(), words.next(), words.next())
        else {
            bail!("not a ground, a test and a reason: {line}");
        };
        let known = ground == "both" || GROUNDS.iter().any(|known| known.name() == ground);
        if !known {
            bail!("not a ground: {line}");
        }
        Ok(Self {
            ground: ground.to_owned(),
            test: test.to_owned(),
            why: why.to_owned(),
            counts: why != "no node",
        })
    }

    fn on(&self, ground: Ground) -> bool {
        self.ground == "both" || self.ground == ground.name()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_what_is_skipped_is_understood() {
        let skips = Skip::read(&workspace().join("tests/windows/skipped.txt")).unwrap();
        assert!(skips.iter().all(|skip| !skip.why.is_empty()));
    }

    #[test]
    fn a_line_without_a_reason_is_refused() {
        assert!(Skip::parse("wine-real some_test").is_err());
        assert!(Skip::parse("moon some_test because").is_err());
    }

    #[test]
    fn both_means_both() {
        let skip = Skip::parse("both x no node").unwrap();
        assert!(skip.on(Ground::WineSim) && skip.on(Ground::WineReal) && !skip.counts);
    }
}
