//! What the tests of faults have in common: the lifecycles side by side, each point in a world of its own, compared with
//! the run without a fault.

use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use super::scripts::{SCRIPTS, Script};
use super::snapshot::WRONG;
use super::world::Played;

/// How much longer than without a fault an agent may be busy: the end of a container that nobody waited for is found by
/// the next list.
const LATER: Duration = Duration::from_secs(35);

/// What a fault changed that it must not.
pub fn differences(without: &Played, with: &Played, excused: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for (number, (before, after)) in without.moves.iter().zip(&with.moves).enumerate() {
        if before.0 != after.0 {
            let lines = lines_that_differ(&before.0, &after.0);
            if !lines
                .iter()
                .all(|line| excused.contains(&line.trim_end_matches(',')))
            {
                found.push(format!("after move {number}:\n{}", lines.join("\n")));
            }
        }
        let wrong = after.0.lines().find(|line| line.starts_with(WRONG));
        found.extend(wrong.map(|wrong| format!("after move {number}: {wrong}")));
        if after.1 > before.1 + LATER {
            let (before, after) = (before.1, after.1);
            found.push(format!("move {number} took {after:?}, not {before:?}"));
        }
    }
    found
}

fn lines_that_differ(before: &str, after: &str) -> Vec<String> {
    let (before, after): (Vec<_>, Vec<_>) = (before.lines().collect(), after.lines().collect());
    let without = before.iter().filter(|line| !after.contains(line));
    let with = after.iter().filter(|line| !before.contains(line));
    let lines = without.map(|line| format!("- {}", line.trim()));
    lines
        .chain(with.map(|line| format!("+ {}", line.trim())))
        .collect()
}

/// Where worlds are: in memory if there is such a place, as thousands of records are synced. All of a lifecycle's are in
/// one folder, one after the other, since a spec's hash has its paths in it.
pub fn place() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        tempfile::tempdir_in(memory).unwrap()
    } else {
        tempfile::tempdir().unwrap()
    }
}

/// Does it for all lifecycles, or the one that `HCS_FAULTS_SCRIPT` names.
pub fn for_each_script(what: impl Fn(&'static Script) + Sync) {
    let only = std::env::var("HCS_FAULTS_SCRIPT").ok();
    let chosen = |script: &&Script| only.as_deref().is_none_or(|only| only == script.name);
    let left = Mutex::new(SCRIPTS.iter().filter(chosen));
    let worker = || {
        loop {
            let Some(script) = left.lock().unwrap().next() else {
                return;
            };
            what(script);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(worker);
        }
    });
}
