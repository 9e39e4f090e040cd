//! The agent is killed before each change of a file, before each write to the API server and before it hears of it, and
//! before, in and after each call of runhcs. The next agent brings the world to where it would have been.

use std::time::Duration;

use futures::StreamExt as _;
use hcs_tests::{ControlPlane, Result};

use super::lifecycles::{LIFECYCLES, Lifecycle};
use super::lives::{Lived, Manner, play};
use super::points::Point;
use super::snapshot::difference;

/// Lives at once: they wait more than they work.
const AT_ONCE: usize = 6;
/// How often a point that was not reached is tried. What a run has more than another is the report of a step that took
/// over a second, so it is slow from the second time on. And so often one after which all came to rest too late: what is
/// late each time is late by itself, not by what else the machine had to do.
const TRIES: usize = 3;
/// After its death and with the next agent, all is at rest so much later than it would have been at most, beside the time
/// in which something waited for a processor.
pub const CALM: Duration = Duration::from_secs(5);
/// A run of all tests plays one in so many points of the first lifecycle, and says nothing of time on a machine that
/// may be busy.
pub const SAMPLE: usize = 4;
/// Lifecycles or points to play alone: `HCS_FAULTS='states'`, `HCS_FAULTS='states 17'`.
const ONLY: &str = "HCS_FAULTS";

/// What came of the deaths in a lifecycle.
#[derive(Default)]
struct Deaths {
    played: usize,
    left: usize,
    unreached: Vec<String>,
    failures: Vec<String>,
    /// The longest that it took to come to rest, beyond what it takes without a fault.
    slowest: Duration,
}

/// What became of one point.
#[derive(Default)]
struct Death {
    reached: bool,
    failures: Vec<String>,
    /// How much later all came to rest, and without the time in which something waited for a processor.
    late: (Duration, Duration),
}

/// What a death changed that it must not, and how much later all came to rest: in all, and without the time in which
/// something waited for a processor.
fn compared(without: &Lived, with: &Lived) -> (Vec<String>, (Duration, Duration)) {
    let mut found = Vec::new();
    let mut late = <(Duration, Duration)>::default();
    for (step, (before, after)) in without.moves.iter().zip(&with.moves).enumerate() {
        if before.world != after.world {
            let lines = difference(&before.world, &after.world).join("\n  ");
            found.push(format!("after move {step}:\n  {lines}"));
        }
        if after.died {
            let later = after.busy.saturating_sub(before.busy);
            late.0 = late.0.max(later);
            late.1 = late.1.max(later.saturating_sub(after.starved));
        }
    }
    (found, late)
}

async fn die_at(lifecycle: &Lifecycle, without: &Lived, point: &Point, calm: Duration) -> Death {
    let mut death = Death::default();
    let mut manner = Manner::Plain;
    for _ in 0..TRIES {
        let with = match play(lifecycle, Some(point), manner).await {
            Ok(with) if !with.died => {
                manner = Manner::Slow;
                continue;
            }
            Ok(with) => with,
            Err(error) => {
                death.failures.push(format!("{error:?}"));
                return death;
            }
        };
        let (differences, late) = compared(without, &with);
        // A slow life is busy for longer, with a death or without.
        let late = if manner == Manner::Slow {
            Default::default()
        } else {
            late
        };
        death.late = if death.reached {
            (death.late.0.min(late.0), death.late.1.min(late.1))
        } else {
            late
        };
        death.reached = true;
        death.failures = differences;
        if death.late.1 <= calm || !death.failures.is_empty() {
            return death;
        }
    }
    if death.late.1 > calm {
        let late = death.late.1;
        let late = format!("at rest {late:?} later than without a death, or more, {TRIES} times");
        death.failures.push(late);
    }
    death
}

/// The lifecycle that is to be played alone, and the point.
fn only() -> Option<(String, Option<usize>)> {
    let only = std::env::var(ONLY).ok()?;
    let mut words = only.split(' ');
    let name = words.next()?.to_owned();
    Some((name, words.next().and_then(|number| number.parse().ok())))
}

/// Plays a lifecycle without a fault, and then once for each point, or one in `each` of them.
async fn die_everywhere(
    lifecycle: &Lifecycle,
    of: fn(&Point) -> bool,
    each: usize,
    calm: Duration,
) -> Result<Deaths> {
    // The traced one is slower, which may bring writes that are not there otherwise; of it only the files count.
    let (without, traced) = futures::try_join!(
        play(lifecycle, None, Manner::Plain),
        play(lifecycle, None, Manner::Traced)
    )?;
    let is_file = |point: &&Point| matches!(point, Point::File(..));
    let files = traced.points.iter().filter(is_file);
    let all = without.points.iter().chain(files);
    let all: Vec<&Point> = all.filter(|point| of(point)).collect();
    let only = only().filter(|(_, point)| point.is_some());
    let chosen = |number: usize| match &only {
        Some((_, point)) => *point == Some(number),
        None => number.is_multiple_of(each),
    };
    let numbered = all.iter().enumerate().filter(|(number, _)| chosen(*number));
    let lives = numbered.map(|(number, point)| {
        let without = &without;
        async move {
            let name = format!("{} {number} {point:?}", lifecycle.name);
            (name, die_at(lifecycle, without, point, calm).await)
        }
    });
    let mut deaths = Deaths::default();
    let mut lives = futures::stream::iter(lives).buffer_unordered(AT_ONCE);
    while let Some((name, death)) = lives.next().await {
        deaths.played += 1;
        if death.late.0 > deaths.slowest {
            println!("{name}: at rest {:.1} s later", death.late.0.as_secs_f64());
            deaths.slowest = death.late.0;
        }
        if !death.reached && death.failures.is_empty() {
            println!("{name}: not reached");
            deaths.unreached.push(name.clone());
        }
        for failure in death.failures {
            println!("{name}: {failure}");
            deaths.failures.push(format!("{name}: {failure}"));
        }
    }
    deaths.left = all.len() - deaths.played;
    Ok(deaths)
}

/// Plays one in `each` of these points of lifecycles, and fails if any makes a difference or a rest that comes so late.
pub async fn play_points(
    lifecycles: &[Lifecycle],
    of: fn(&Point) -> bool,
    each: usize,
    calm: Duration,
) -> Result {
    ControlPlane::shared().await?;
    let mut all = Deaths::default();
    let chosen = |lifecycle: &&Lifecycle| only().is_none_or(|(name, _)| name == lifecycle.name);
    for lifecycle in lifecycles.iter().filter(chosen) {
        let mut deaths = die_everywhere(lifecycle, of, each, calm)
            .await
            .unwrap_or_else(|error| Deaths {
                failures: vec![format!("{} without a fault: {error:?}", lifecycle.name)],
                ..Deaths::default()
            });
        println!(
            "{}: {} points, {} not reached, {} failures, at rest at most {:.1} s later; {} points left out",
            lifecycle.name,
            deaths.played,
            deaths.unreached.len(),
            deaths.failures.len(),
            deaths.slowest.as_secs_f64(),
            deaths.left,
        );
        all.played += deaths.played;
        all.left += deaths.left;
        all.slowest = all.slowest.max(deaths.slowest);
        all.unreached.append(&mut deaths.unreached);
        all.failures.append(&mut deaths.failures);
    }
    println!(
        "{} points, {} not reached, at rest at most {:.1} s later; {} points left out",
        all.played,
        all.unreached.len(),
        all.slowest.as_secs_f64(),
        all.left,
    );
    assert!(
        all.unreached.len() * 20 <= all.played,
        "too many points were not reached:\n{}",
        all.unreached.join("\n")
    );
    assert!(
        all.failures.is_empty(),
        "{} of {}:\n{}",
        all.failures.len(),
        all.played,
        all.failures.join("\n\n")
    );
    Ok(())
}

fn is_death(point: &Point) -> bool {
    !matches!(point, Point::View(_))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_is_killed_leaves_the_next_one_all_it_needs() -> Result {
    play_points(&LIFECYCLES[..1], is_death, SAMPLE, Duration::MAX).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes long: cargo xtask test --only faults"]
async fn an_agent_that_is_killed_at_any_point_of_any_lifecycle_leaves_the_next_one_all_it_needs()
-> Result {
    play_points(LIFECYCLES, is_death, 1, CALM).await
}
