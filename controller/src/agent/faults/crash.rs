//! The agent dies before each of its effects, and while each of its requests is under way: the next one brings the world
//! to where it would have been.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use super::scripts::{SCRIPTS, Script};
use super::world::{Played, World};
use crate::agent::fixtures::Death;

/// How much longer than without a fault an agent may be busy: the end of a container that nobody waited for is found by
/// the next list.
const LATER: Duration = Duration::from_secs(35);

/// What a death changed that it must not.
fn differences(without: &Played, with: &Played, excused: &[&str]) -> Vec<String> {
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

/// What nobody can know where the agent died at this effect: that a start has failed is told once.
fn excused(script: &Script, effect: &str) -> &'static [&'static str] {
    if script.name == "start-fails" && effect.starts_with("disk") {
        return &[
            "- \"initiator\": \"Operator\"",
            "- \"reason\": \"StartFailed\"",
            "+ \"initiator\": \"Guest\"",
        ];
    }
    &[]
}

/// How often a point that was not reached is tried again.
const TRIES: usize = 5;

/// What came of the deaths in a lifecycle.
struct Deaths {
    points: usize,
    failures: Vec<String>,
    /// Points that were in the run without a fault and not in any of those with one.
    unreached: Vec<String>,
}

/// Where worlds are: in memory if there is such a place, as thousands of records are synced. All of a lifecycle's are in
/// one folder, one after the other, since a spec's hash has its paths in it.
fn place() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        tempfile::tempdir_in(memory).unwrap()
    } else {
        tempfile::tempdir().unwrap()
    }
}

fn die_at_each_point(script: &Script) -> Deaths {
    let (mut failures, mut unreached) = (Vec::new(), Vec::new());
    let place = place();
    let dir = place.path().join("node");
    let without = World::play(script, &[], &dir);
    let mut points = 0;
    for (life, effects) in without.lives.iter().enumerate() {
        for (number, effect) in effects.iter().enumerate() {
            let same = effects[..number].iter().filter(|e| *e == effect).count();
            let amid = effect
                .starts_with("api")
                .then_some(Death::Amid(effect.clone(), same));
            for death in std::iter::once(Death::Before(effect.clone(), same)).chain(amid) {
                points += 1;
                let mut deaths = vec![Death::Never; life];
                deaths.push(death.clone());
                let play = || World::play(script, &deaths, &dir);
                let is_reached = |with: &Played| {
                    with.lives.get(life).and_then(|life| life.last()) == Some(effect)
                };
                // Where two effects race, as a status and a finalizer do, one that was repeated is not in each run.
                let tries = std::iter::repeat_with(play).take(TRIES);
                let mut tries = tries.filter(is_reached);
                let Some(with) = tries.next() else {
                    unreached.push(format!("{} life {life} {death:?}", script.name));
                    continue;
                };
                let found = differences(&without, &with, excused(script, effect));
                let told = |what| format!("{} life {life} {death:?}: {what}", script.name);
                failures.extend(found.into_iter().map(told));
            }
        }
    }
    Deaths {
        points,
        failures,
        unreached,
    }
}

#[test]
#[cfg_attr(
    windows,
    ignore = "its points are those of Linux; under wine a file costs too much"
)]
fn an_agent_that_dies_at_any_point_leaves_the_next_one_all_it_needs() {
    let only = std::env::var("HCS_FAULTS_SCRIPT").ok();
    let chosen = |script: &&Script| only.as_deref().is_none_or(|only| only == script.name);
    let left = Mutex::new(SCRIPTS.iter().filter(chosen));
    let found = Mutex::new((BTreeMap::new(), Vec::new(), Vec::new()));
    let worker = || {
        loop {
            let Some(script) = left.lock().unwrap().next() else {
                return;
            };
            let mut deaths = die_at_each_point(script);
            let mut found = found.lock().unwrap();
            found.0.insert(script.name, deaths.points);
            found.1.append(&mut deaths.failures);
            found.2.append(&mut deaths.unreached);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(worker);
        }
    });
    let (points, failures, unreached) = found.into_inner().unwrap();
    let all: usize = points.values().sum();
    println!(
        "{all} points of death in {} lifecycles: {points:?}",
        points.len()
    );
    assert!(
        unreached.is_empty(),
        "{} of {all} not reached:\n{}",
        unreached.len(),
        unreached.join("\n")
    );
    assert!(
        failures.is_empty(),
        "{} of {all}:\n{}",
        failures.len(),
        failures.join("\n")
    );
}
