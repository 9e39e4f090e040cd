//! The time of day, which people and NTP set forwards and backwards.
//!
//! Grace periods, backoffs and times to live are kept as times of day, so that they outlive the agent. When the clock is
//! set, they move along with it: what was to be in ten seconds is still to be in ten seconds. An agent that did not run
//! then cannot know; but nothing in a record lies further ahead than a wait may last.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hcs_crds::RestartSettings;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::context::Clock;
use super::record::Record;

/// A clock that differs by more from the time that has passed was set; less is its drift, and what NTP makes up for.
const JUMP: SignedDuration = SignedDuration::from_secs(2);

/// The clock, and by how much it was set since the agent began.
#[derive(Debug)]
pub struct Day {
    clock: Clock,
    last: Mutex<Look>,
}

#[derive(Debug)]
struct Look {
    at: Instant,
    day: Timestamp,
    set_by: SignedDuration,
}

impl Day {
    /// By a clock that shows what the machine's does.
    pub fn new(clock: Clock) -> Self {
        let look = Look {
            at: Instant::now(),
            day: clock(),
            set_by: SignedDuration::ZERO,
        };
        Self {
            clock,
            last: Mutex::new(look),
        }
    }

    /// The time of day. Asked at least with each renewal of the Lease, so that drift is none.
    pub fn now(&self) -> Timestamp {
        self.look().0
    }

    /// The time of day, and by how much the clock was set forwards.
    pub fn look(&self) -> (Timestamp, SignedDuration) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, day) = (Instant::now(), (self.clock)());
        let passed = SignedDuration::try_from(at.duration_since(last.at)).unwrap_or_default();
        let jump = day.duration_since(last.day) - passed;
        if jump.abs() > JUMP {
            tracing::warn!(
                seconds = jump.as_secs(),
                "the clock was set; waits go on as they were"
            );
            last.set_by += jump;
        }
        (last.at, last.day) = (at, day);
        (day, last.set_by)
    }
}

impl Record {
    /// Moves its times along with a clock that was set, and brings back into reach what lies further ahead than it may.
    pub fn heed_clock(&mut self, day: &Day, restart: &RestartSettings) {
        let (now, set_by) = day.look();
        let jump = set_by - self.set_by;
        self.set_by = set_by;
        let moved = |time: Timestamp| time.checked_add(jump).unwrap_or(time);
        let most = Duration::from_secs(restart.max_backoff_seconds.into());
        let latest = now.checked_add(most.max(Duration::from_secs(1)));
        let latest = latest.unwrap_or(Timestamp::MAX);
        let past = [
            self.started_at.as_mut(),
            self.stop.as_mut().map(|stop| &mut stop.signaled_at),
            self.ended.as_mut().map(|ended| &mut ended.at),
        ];
        for time in past.into_iter().flatten() {
            *time = moved(*time).min(now);
        }
        let ahead = [
            self.retry_after.as_mut(),
            self.trouble
                .as_mut()
                .map(|trouble| &mut trouble.retry_after),
        ];
        for time in ahead.into_iter().flatten() {
            *time = moved(*time).min(latest);
        }
    }
}
