//! The agent is killed before each change of a file, before each write to the API server and before it hears of it, and
//! before and after each call of runhcs. The next agent brings the world to where it would have been.

use futures::StreamExt as _;
use hcs_tests::{ControlPlane, Result};

use super::lifecycles::{LIFECYCLES, Lifecycle};
use super::lives::{Lived, Point, play};
use super::snapshot::difference;

/// Lives at once: they wait more than they work.
const AT_ONCE: usize = 6;

/// A run of all tests plays one in so many points of the first lifecycle.
const SAMPLE: usize = 4;

/// A point of the environment's choice, to play it alone: `HCS_FAULTS_POINT='states 17'`.
const ONLY: &str = "HCS_FAULTS_POINT";

fn differences(
    without: &Lived,
    with: &Lived,
    lifecycle: &Lifecycle,
    number: usize,
    point: &Point,
) -> Vec<String> {
    let name = format!("{} {number} {point:?}", lifecycle.name);
    let mut found = Vec::new();
    if !with.died {
        found.push(format!("{name}: not reached"));
    }
    for (step, (before, after)) in without.moves.iter().zip(&with.moves).enumerate() {
        if before != after {
            let lines = difference(before, after).join("\n  ");
            found.push(format!("{name}: after move {step}:\n  {lines}"));
        }
    }
    found
}

/// Plays a lifecycle once without a fault and then once for each point; says what went wrong, and how many points.
async fn die_everywhere(lifecycle: &Lifecycle, each: usize) -> Result<(usize, Vec<String>)> {
    let without = play(lifecycle, None).await?;
    let only = std::env::var(ONLY).ok();
    let chosen = |number: usize| match &only {
        Some(only) => *only == format!("{} {number}", lifecycle.name),
        None => number.is_multiple_of(each),
    };
    let all = without.points.iter().enumerate();
    let points: Vec<_> = all.filter(|(number, _)| chosen(*number)).collect();
    let left = without.points.len() - points.len();
    println!("{}: {left} points are left to a longer run", lifecycle.name);
    let lives = points.into_iter().map(|(number, point)| {
        let without = &without;
        async move {
            let found = match play(lifecycle, Some(point)).await {
                Ok(with) => differences(without, &with, lifecycle, number, point),
                Err(error) => vec![format!("{} {number} {point:?}: {error:?}", lifecycle.name)],
            };
            for found in &found {
                println!("{found}");
            }
            found
        }
    });
    let found: Vec<Vec<String>> = futures::stream::iter(lives)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    Ok((found.len(), found.into_iter().flatten().collect()))
}

async fn die_in(lifecycles: &[Lifecycle], each: usize) -> Result {
    ControlPlane::shared().await?;
    let (mut points, mut failures) = (Vec::new(), Vec::new());
    for lifecycle in lifecycles {
        let (count, mut found) = die_everywhere(lifecycle, each).await?;
        println!(
            "{}: {count} points, {} differences",
            lifecycle.name,
            found.len()
        );
        points.push(count);
        failures.append(&mut found);
    }
    let all: usize = points.iter().sum();
    println!("{all} points of death in {} lifecycles", points.len());
    assert!(
        failures.is_empty(),
        "{} of {all}:\n{}",
        failures.len(),
        failures.join("\n\n")
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_is_killed_leaves_the_next_one_all_it_needs() -> Result {
    die_in(&LIFECYCLES[..1], SAMPLE).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes many minutes, and is asked for"]
async fn an_agent_that_is_killed_at_any_point_of_any_lifecycle_leaves_the_next_one_all_it_needs()
-> Result {
    die_in(LIFECYCLES, 1).await
}
