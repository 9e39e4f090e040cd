//! What is left out of a run, by name: `tests/windows/skipped.txt` says which scenarios a ground cannot do, and why. Each
//! test that is left out so is counted.

use std::process::Stdio;

use anyhow::{Context, Result, bail};
use hcs_tests::Ground;
use hcs_tests::binaries::workspace;
use hcs_tests::small_disk::SmallDisk;

use crate::test::{Counts, SCENARIOS, program};

/// A line of the file.
struct Skip {
    ground: String,
    test: String,
    why: String,
    /// Whether it is a scenario that a ground cannot do, rather than one that has no node.
    counts: bool,
}

/// What is left out: what the tests' program is told of it, and how many tests that are.
#[derive(Default)]
pub struct LeftOut {
    /// For the command line of the tests' program.
    pub args: Vec<String>,
    /// The tests that a user would look for.
    pub counts: Counts,
}

impl LeftOut {
    fn skip(&mut self, test: &str) {
        self.args.extend(["--skip".to_owned(), test.to_owned()]);
    }
}

/// What this ground cannot do of the scenarios whose name has `filter` in it. Says each line of the file that was used, and
/// how many tests it left out.
pub fn on(ground: Ground, filter: Option<&str>) -> Result<LeftOut> {
    left_out(ground, &scenarios(filter)?, &Skip::all()?, filter.is_none())
}

/// As [`on`], of these scenarios; if they are all that there are, each line must be used.
fn left_out(ground: Ground, scenarios: &[String], skips: &[Skip], all: bool) -> Result<LeftOut> {
    let mut out = LeftOut::default();
    for skip in skips.iter().filter(|skip| skip.on(ground)) {
        out.skip(&skip.test);
        let left_out = scenarios.iter().filter(|name| name.contains(&skip.test));
        let left_out = u64::try_from(left_out.count())?;
        if left_out == 0 && all {
            bail!("no scenario is called {}", skip.test);
        }
        if skip.counts && left_out > 0 {
            let (ground, test, why) = (ground.name(), &skip.test, &skip.why);
            println!("!!! {left_out} skipped on {ground}: {test}: {why}");
            out.counts.add(Counts::skipped(left_out));
        }
    }
    without_small_disks(scenarios, &mut out)?;
    Ok(out)
}

/// For the simulator on Windows nodes, where the real runhcs plays too: what that cannot do, so that each scenario plays
/// once. Says how many are left to it.
pub fn left_by_the_real_runhcs() -> Result<LeftOut> {
    let (scenarios, skips) = (scenarios(None)?, Skip::all()?);
    let mut out = left_out(Ground::WineSim, &scenarios, &skips, true)?;
    let (here, there) = shared_out(scenarios, &skips);
    out.args.extend(here);
    println!(
        "!!! {there} skipped on wine-sim: they play on wine-real; on both in CI, or: cargo xtask test --only grounds"
    );
    out.counts.add(Counts::skipped(u64::try_from(there)?));
    Ok(out)
}

/// Of these scenarios: the parts of names of those that the simulator alone can do on Windows, and how many both can do.
fn shared_out(mut scenarios: Vec<String>, skips: &[Skip]) -> (Vec<String>, usize) {
    let mut here = Vec::new();
    for skip in skips {
        let (on_sim, on_real) = (skip.on(Ground::WineSim), skip.on(Ground::WineReal));
        if on_sim || on_real {
            scenarios.retain(|name| !name.contains(&skip.test));
        }
        if on_real && !on_sim {
            here.push(skip.test.clone());
        }
    }
    (here, scenarios.len())
}

/// Leaves out the scenarios that put small disks over folders, where this user may not mount any.
fn without_small_disks(scenarios: &[String], out: &mut LeftOut) -> Result<()> {
    const NAME: &str = "full_disks::";
    if SmallDisk::may_be_had() {
        return Ok(());
    }
    out.skip(NAME);
    let left_out = scenarios.iter().filter(|name| name.contains(NAME)).count();
    println!("!!! {left_out} skipped: {NAME}: this user may not mount a tmpfs; root may");
    out.counts.add(Counts::skipped(u64::try_from(left_out)?));
    Ok(())
}

/// The names of all scenarios that have `filter` in them.
fn scenarios(filter: Option<&str>) -> Result<Vec<String>> {
    let mut list = program(SCENARIOS)?;
    list.args(["--list", "--format", "terse"]).args(filter);
    let output = list.stderr(Stdio::inherit()).output();
    let output = output.context("failed to list the scenarios")?;
    if !output.status.success() {
        bail!("the list of scenarios failed: {}", output.status);
    }
    let text = String::from_utf8(output.stdout).context("the list of scenarios is not UTF-8")?;
    let names = text.lines().filter_map(|line| line.strip_suffix(": test"));
    Ok(names.map(str::to_owned).collect())
}

impl Skip {
    /// All lines of the file.
    fn all() -> Result<Vec<Self>> {
        let file = workspace().join("tests/windows/skipped.txt");
        let text = std::fs::read_to_string(&file)
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
        let known = ground == "both" || Ground::ALL.iter().any(|known| known.name() == ground);
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
        (self.ground == "both" && ground.is_windows()) || self.ground == ground.name()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_what_is_skipped_is_understood() {
        let skips = Skip::all().unwrap();
        assert!(skips.iter().all(|skip| !skip.why.is_empty()));
    }

    #[test]
    fn a_line_without_a_reason_is_refused() {
        assert!(Skip::parse("wine-real some_test").is_err());
        assert!(Skip::parse("moon some_test because").is_err());
    }

    #[test]
    fn what_the_real_runhcs_cannot_do_is_left_to_the_simulator_and_nothing_else() {
        let skips = [
            "wine-real faults:: injects faults",
            "both linux:: links",
            "wine-sim ends:: exit codes",
        ]
        .map(|line| Skip::parse(line).unwrap());
        let scenarios = ["faults::a", "faults::b", "linux::c", "ends::d", "lives::e"];
        let (here, there) = shared_out(scenarios.map(str::to_owned).into(), &skips);
        assert_eq!(here, ["faults::"]);
        assert_eq!(there, 1);
    }

    #[test]
    fn both_means_both_that_are_windows() {
        let skip = Skip::parse("both x no node").unwrap();
        assert!(skip.on(Ground::WineSim) && skip.on(Ground::WineReal) && !skip.counts);
        assert!(!skip.on(Ground::Linux));
        assert!(Skip::parse("linux x why").unwrap().on(Ground::Linux));
    }
}
