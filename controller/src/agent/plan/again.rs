//! Whether and when a container that has ended is made again.

use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::time::Duration;

use hcs_crds::{Initiator, Reason, RestartSettings, Termination, whole_seconds};
use jiff::Timestamp;

use super::{Desired, Goal, Settled, outdated, policy_restarts};
use crate::agent::record::{Cause, Ended, Record};

/// Share of a backoff by which it may be shortened, so that containers that fail together do not
/// come back together.
const JITTER: f64 = 0.1;

/// Whether there is a next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// Yes: at this time, or at once.
    At(Option<Timestamp>),
    /// No.
    Never(Settled),
}

/// Whether the object's container is made again, by its restart policy and its history.
pub fn again(d: &Desired, r: &Record) -> Again {
    let Some(ended) = &r.ended else {
        return Again::At(r.retry_after);
    };
    if r.rearm || ended.cause.is_operator() || outdated(d, r) {
        return Again::At(None);
    }
    // A container that should be kept created has no run that could be complete.
    if d.goal == Goal::Created {
        return Again::At(r.retry_after);
    }
    if !policy_restarts(d.restart_policy, ended.exit_code) {
        let completed = ended.cause == Cause::Guest && ended.exit_code == Some(0);
        return Again::Never(if completed {
            Settled::Completed
        } else {
            Settled::Failed
        });
    }
    if ended.cause.is_charged() && d.max_restarts.is_some_and(|max| r.failures > max) {
        return Again::Never(Settled::LimitReached);
    }
    Again::At(r.retry_after)
}

/// What is known of an end when it is accounted for.
pub struct Ending {
    /// The init process's exit code, where a handle was held.
    pub exit_code: Option<u32>,
    /// Whether runhcs no longer knows the container.
    pub absent: bool,
    /// The node's boot id now.
    pub boot_id: String,
    /// When it was noticed.
    pub at: Timestamp,
}

/// Notes how the current attempt ended, and when the next is due.
pub fn account_end(r: &mut Record, settings: &RestartSettings, ending: &Ending) {
    let cause = cause_of(r, ending);
    let ran = r
        .started_at
        .map(|start| ending.at.duration_since(start).as_secs());
    if cause.is_charged() {
        let reset = ran.is_some_and(|s| s >= i64::from(settings.reset_after_seconds));
        r.failures = if reset {
            1
        } else {
            r.failures.saturating_add(1)
        };
        let delay = backoff(settings, r.failures, &(&r.object.uid, r.attempt));
        r.retry_after = ending.at.checked_add(delay).ok();
    } else {
        r.retry_after = None;
    }
    r.last_termination = Some(Box::new(termination(r, cause, ending)));
    r.ended = Some(Ended {
        exit_code: ending.exit_code,
        cause,
        at: ending.at,
    });
    r.rearm |= cause.is_operator();
    r.stop = None;
    r.processes = None;
}

fn cause_of(r: &Record, ending: &Ending) -> Cause {
    match &r.stop {
        Some(stop) if stop.forced => Cause::Forced,
        Some(_) => Cause::Stopped,
        None if r.start_error.is_some() => Cause::StartFailed,
        None if r.boot_id != ending.boot_id => Cause::Rebooted,
        None if ending.exit_code.is_none() && ending.absent => Cause::Lost,
        None => Cause::Guest,
    }
}

fn termination(r: &Record, cause: Cause, ending: &Ending) -> Termination {
    let of_code = ending
        .exit_code
        .map(|code| Termination::of_exit_code(code.into()));
    let mut last = of_code.unwrap_or_default();
    last.initiator = match cause {
        Cause::Guest => Initiator::Guest,
        Cause::Stopped | Cause::Forced | Cause::StartFailed => Initiator::Operator,
        Cause::Lost => Initiator::Unknown,
        Cause::Rebooted => Initiator::Node,
    };
    last.reason = match cause {
        Cause::Lost => Some(Reason::ContainerLost.to_string()),
        Cause::Rebooted => Some(Reason::NodeRebooted.to_string()),
        Cause::StartFailed => Some(Reason::StartFailed.to_string()),
        Cause::Forced => Some(Reason::ForceKilled.to_string()),
        Cause::Guest | Cause::Stopped => last.reason,
    };
    last.started_at = r.started_at.map(whole_seconds);
    last.finished_at = Some(whole_seconds(ending.at));
    last
}

/// Delay before the attempt that follows `failures` ends in a row: doubled each time, capped, and
/// shortened by up to a tenth. The jitter comes from `seed`, so that the same end gives the same
/// delay whoever computes it.
pub fn backoff(settings: &RestartSettings, failures: u32, seed: &impl Hash) -> Duration {
    let initial = u64::from(settings.initial_backoff_seconds);
    let max = u64::from(settings.max_backoff_seconds).max(initial);
    let doublings = failures.saturating_sub(1).min(32);
    let seconds = initial.saturating_mul(1 << doublings).min(max);
    let mut hasher = DefaultHasher::new();
    seed.hash(&mut hasher);
    #[allow(clippy::cast_precision_loss)] // a fraction of 1 needs no more than 16 bits
    let fraction = (hasher.finish() & 0xffff) as f64 / 65_536.0;
    Duration::from_secs(seconds).mul_f64(1.0 - JITTER * fraction)
}

#[cfg(test)]
mod tests;
