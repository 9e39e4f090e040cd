//! What an agent is shown is late, has gaps, or is from the past: in the end the world is where it would have been. The
//! patterns are Sieve's (OSDI'22), at each change of an object.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::compare::{differences, for_each_script, place};
use super::scripts::Script;
use super::world::World;
use crate::agent::fixtures::View;

/// A run of all tests plays one in so many of the views; with this variable a run plays all.
const SAMPLE: usize = 10;
const ALL: &str = "HCS_FAULTS_ALL";

/// All views of a lifecycle with so many changes, kind by kind, so that one in so many are some of each.
fn views(changes: usize) -> Vec<View> {
    let kinds = [View::Frozen, View::Broken, View::Overtaken].into_iter();
    let late = kinds.flat_map(|kind| (0..changes).map(kind));
    let older = (0..changes).flat_map(|at| (1..=at + 1).map(move |ago| View::Older(at, ago)));
    late.chain(older).collect()
}

/// Those of them that this run plays: spread over all kinds and changes.
fn chosen(views: &[View]) -> Vec<View> {
    let each = if std::env::var_os(ALL).is_some() {
        1
    } else {
        SAMPLE
    };
    views.iter().copied().step_by(each).collect()
}

fn name(view: View) -> &'static str {
    match view {
        View::Whole => "whole",
        View::Frozen(_) => "frozen",
        View::Broken(_) => "broken",
        View::Older(..) => "older",
        View::Overtaken(_) => "overtaken",
    }
}

#[test]
#[cfg_attr(
    windows,
    ignore = "its points are those of Linux; under wine a file costs too much"
)]
fn whatever_an_agent_is_shown_of_the_objects_the_world_comes_to_where_it_would_have_been() {
    let found = Mutex::new((BTreeMap::new(), Vec::new(), 0));
    for_each_script(|script: &Script| {
        let place = place();
        let dir = place.path().join("node");
        let without = World::play(script, &[], &dir);
        let views = views(without.changes);
        let chosen = chosen(&views);
        found.lock().unwrap().2 += views.len() - chosen.len();
        for view in chosen {
            let with = World::play_shown(script, &[], view, &dir);
            let differences = differences(&without, &with, &[]);
            let told = |what| format!("{} {view:?}: {what}", script.name);
            let mut found = found.lock().unwrap();
            *found.0.entry(name(view)).or_insert(0_usize) += 1;
            found.1.extend(differences.into_iter().map(told));
        }
    });
    let (points, failures, left) = found.into_inner().unwrap();
    let all: usize = points.values().sum();
    println!("{all} perturbed views: {points:?}; {left} are left to a run with {ALL}=1");
    assert!(
        failures.is_empty(),
        "{} differences:\n{}",
        failures.len(),
        failures.join("\n")
    );
}
