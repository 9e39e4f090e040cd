//! The agent dies before each of its effects, and while each of its requests is under way: the next one brings the world
//! to where it would have been.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::compare::{differences, for_each_script, place};
use super::scripts::Script;
use super::world::{Played, World};
use crate::agent::fixtures::Death;

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

/// How often a point that was not reached is tried again: of two effects that race, the run without a fault may have had the
/// rarer order. A run takes some hundredths of a second.
const TRIES: usize = 200;

/// What came of the deaths in a lifecycle.
struct Deaths {
    points: usize,
    failures: Vec<String>,
    /// Points that were in the run without a fault and not in any of those with one.
    unreached: Vec<String>,
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
    let found = Mutex::new((BTreeMap::new(), Vec::new(), Vec::new()));
    for_each_script(|script| {
        let mut deaths = die_at_each_point(script);
        let mut found = found.lock().unwrap();
        found.0.insert(script.name, deaths.points);
        found.1.append(&mut deaths.failures);
        found.2.append(&mut deaths.unreached);
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
