//! A node without Windows, runhcs or API server: what the agent's scenarios are played on.
//!
//! The scenarios run under tokio's paused time: an hour passes in no time at all, and the time of
//! day that the agent sees passes with it.

use std::cell::Cell;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

mod api;
mod history;
mod life;
mod node;
mod node_api;
mod objects;
mod runtime;
mod whole;

pub use api::{Answer, FakeApi, Said};
pub use history::View;
pub use life::{Death, Life, Mortal, PAGE, change};
pub use node::{NODE, Node, options};
pub use objects::{Shape, object, short, uid};
pub use runtime::{FakeRuntime, Manner, fails, hangs, late, panics, seen_by};
pub use whole::Whole;

/// The time of day, which passes as tokio's time does.
pub fn paused_now() -> Timestamp {
    static START: LazyLock<(Instant, Timestamp)> = LazyLock::new(|| {
        let day = Timestamp::from_second(1_800_000_000).unwrap();
        (Instant::now(), day)
    });
    let (start, day) = *START;
    let now = tokio::time::Instant::now().into_std();
    // The first test to ask has not always begun first.
    let today = day + now.saturating_duration_since(start) - start.saturating_duration_since(now);
    today + LIVED.get() + JUMPED.get()
}

/// For how long the machine has been up: whoever sets its clock does not change that.
pub fn paused_uptime() -> Duration {
    let booted = Timestamp::from_second(1_700_000_000).unwrap();
    let up = paused_now().duration_since(booted) - JUMPED.get();
    Duration::try_from(up).unwrap()
}

thread_local! {
    /// How long earlier runtimes of this test have lived: each begins a paused time of its own.
    static LIVED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    /// By how much somebody has set the clock.
    static JUMPED: Cell<SignedDuration> = const { Cell::new(SignedDuration::ZERO) };
}

/// In a new runtime, goes on from the time that an earlier one has reached.
pub fn resume_time(reached: Timestamp) {
    let lost = reached.duration_since(paused_now());
    LIVED.set(LIVED.get() + Duration::try_from(lost).unwrap_or_default());
}

/// Somebody sets the clock forwards, or backwards.
pub fn clock_jumps(hours: i64) {
    JUMPED.set(JUMPED.get() + SignedDuration::from_hours(hours));
}

/// Lets time pass, and with it all that was waiting for it.
pub async fn pass(seconds: f64) {
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
}
