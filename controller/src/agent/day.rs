//! The time of day, which people and NTP set forwards and backwards.
//!
//! Grace periods, backoffs and times to live are kept as times of day, so that they outlive the agent. When the clock is
//! set, they move along with it: what was to be in ten seconds is still to be in ten seconds. An agent that did not run
//! then knows it by when the machine was booted, which is another time of day since. Across a boot nobody can know; but
//! nothing in a record lies further ahead than a wait may last.

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
    last: Mutex<(Instant, Look)>,
}

/// What a look at the clock shows.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// The time of day.
    pub day: Timestamp,
    /// By how much the clock was set forwards since the agent began.
    pub set_by: SignedDuration,
    /// When the machine was booted, by the clock as it is set now.
    pub booted_at: Timestamp,
}

impl Day {
    /// By a clock that shows what the machine's does.
    pub fn new(clock: Clock) -> Self {
        let look = Look {
            day: (clock.day)(),
            set_by: SignedDuration::ZERO,
            booted_at: Timestamp::MIN,
        };
        Self {
            clock,
            last: Mutex::new((Instant::now(), look)),
        }
    }

    /// The time of day. Asked at least with each renewal of the Lease, so that drift is none.
    pub fn now(&self) -> Timestamp {
        self.look().day
    }

    /// What the clock shows.
    pub fn look(&self) -> Look {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (before, last) = &mut *last;
        let (at, day) = (Instant::now(), (self.clock.day)());
        let passed = SignedDuration::try_from(at.duration_since(*before)).unwrap_or_default();
        let jump = day.duration_since(last.day) - passed;
        if jump.abs() > JUMP {
            tracing::warn!(
                seconds = jump.as_secs(),
                "the clock was set; waits go on as they were"
            );
            last.set_by += jump;
        }
        (*before, last.day) = (at, day);
        last.booted_at = day.checked_sub((self.clock.uptime)()).unwrap_or(day);
        *last
    }
}

impl Record {
    /// By how much the clock was set since these times were last moved along.
    fn jump(&mut self, look: &Look, boot_id: &str) -> SignedDuration {
        let since_boot = self
            .booted_at
            .map(|then| look.booted_at.duration_since(then));
        let since_boot = since_boot.filter(|jump| jump.abs() > JUMP);
        let jump = match self.set_by {
            Some(before) => look.set_by - before,
            // It was left by an agent before this one: in this boot, if its attempt was made in it.
            None if self.boot_id == boot_id => since_boot.unwrap_or_default(),
            None => SignedDuration::ZERO,
        };
        self.set_by = Some(look.set_by);
        if self.booted_at.is_none() || since_boot.is_some() {
            self.booted_at = Some(look.booted_at);
        }
        jump
    }

    /// Moves its times along with a clock that was set, and brings back into reach what lies further ahead than it may.
    pub fn heed_clock(&mut self, day: &Day, boot_id: &str, restart: &RestartSettings) {
        let look = day.look();
        let now = look.day;
        let jump = self.jump(&look, boot_id);
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
