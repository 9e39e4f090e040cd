//! From what is wanted and what is there to the next step.
//!
//! `plan` is a pure function: no clock, no file, no process is touched here. Each step is
//! idempotent, and after each the caller observes and plans again, so that a plan never goes stale.

use hcs_crds::{RestartPolicy, UpdatePolicy};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::record::{Record, Stage, TerminalSize};

mod again;
mod predict;
#[cfg(test)]
mod tests;

pub use again::{Again, Ending, account_end, again, backoff};
pub use predict::predict;

/// What the container should come to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Created, its init process not started.
    Created,
    /// Its init process runs.
    Running,
    /// Its init process was started and is suspended.
    Paused,
    /// Nothing of it runs; what is left of it may stay.
    Stopped,
    /// No container; the object stays.
    Deleted,
    /// The object is being deleted: no container, no files, no finalizer.
    Gone,
}

/// What runhcs has under the current attempt's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Observed {
    /// Nothing.
    Absent,
    /// Created, not started.
    Created,
    /// Started.
    Running,
    /// Suspended.
    Paused,
    /// Ended; its state is still kept.
    Stopped,
    /// `create` died before it was done, or the state cannot be read.
    HalfMade,
}

/// A spec that passed all checks, reduced to what decides.
#[derive(Clone, Debug)]
pub struct Desired {
    /// `metadata.generation`.
    pub generation: i64,
    /// What should come to be.
    pub goal: Goal,
    /// Hash of everything that only a new container can honour.
    pub hash: String,
    /// `spec.restartRequest`.
    pub restart_request: Option<String>,
    /// `spec.restartPolicy`.
    pub restart_policy: RestartPolicy,
    /// `spec.restart.maxRestarts`.
    pub max_restarts: Option<u32>,
    /// `spec.updatePolicy`.
    pub update_policy: UpdatePolicy,
    /// Size of the scratch file in GB; none where no scratch is wanted.
    pub scratch_gb: Option<u32>,
    /// `spec.tty`.
    pub tty: Option<TerminalSize>,
    /// `spec.terminationGracePeriodSeconds`.
    pub grace: SignedDuration,
    /// `spec.restart.resetAfterSeconds`.
    pub reset_after: SignedDuration,
    /// `spec.ttlSecondsAfterFinished`.
    pub ttl: Option<SignedDuration>,
}

/// The next thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Make the scratch file, or make it anew in another size.
    CreateScratch,
    /// `runhcs create`, as a new attempt.
    Create,
    /// `runhcs start`.
    Start,
    /// `runhcs pause`.
    Pause,
    /// `runhcs resume`.
    Resume,
    /// `runhcs resize-tty`.
    Resize(TerminalSize),
    /// `runhcs ps`.
    ListProcesses,
    /// `runhcs kill` with the stop signal.
    Kill,
    /// `runhcs delete`.
    Delete,
    /// `runhcs delete --force`.
    ForceDelete,
    /// Note how the attempt ended.
    AccountEnd,
    /// Forget a run of failures that lies far enough back.
    ForgetFailures,
    /// Remove what is left on the node, then the finalizer.
    Finalize,
    /// Delete the object, whose time to live after its end is over.
    DeleteObject,
    /// Nothing before `until`.
    Wait {
        /// When to plan again.
        until: Timestamp,
        /// What is waited for.
        why: Waiting,
    },
    /// Nothing more to do.
    Settled {
        /// How it stands.
        how: Settled,
        /// When to plan again, if time alone changes the answer.
        wake: Option<Timestamp>,
    },
}

/// What a wait is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// The restart backoff.
    Backoff,
    /// The end of the grace period.
    Grace,
    /// Another try of the step that failed.
    Retry,
}

/// How an object stands when nothing more is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Observed equals desired.
    Reached,
    /// It ended as it should and its restart policy leaves it at that.
    Completed,
    /// It failed and its restart policy leaves it at that.
    Failed,
    /// It failed more often than `maxRestarts` allows.
    LimitReached,
}

/// The kind of a step, without its arguments: what a failure is filed under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs)] // the variants are those of `Step`
pub enum StepKind {
    Validate,
    CreateScratch,
    Create,
    Start,
    Pause,
    Resume,
    Resize,
    ListProcesses,
    Kill,
    Delete,
    ForceDelete,
    Finalize,
    DeleteObject,
}

impl Step {
    /// The kind of a step that runs something; none for waits and bookkeeping.
    pub fn kind(&self) -> Option<StepKind> {
        Some(match self {
            Self::CreateScratch => StepKind::CreateScratch,
            Self::Create => StepKind::Create,
            Self::Start => StepKind::Start,
            Self::Pause => StepKind::Pause,
            Self::Resume => StepKind::Resume,
            Self::Resize(_) => StepKind::Resize,
            Self::ListProcesses => StepKind::ListProcesses,
            Self::Kill => StepKind::Kill,
            Self::Delete => StepKind::Delete,
            Self::ForceDelete => StepKind::ForceDelete,
            Self::Finalize => StepKind::Finalize,
            Self::DeleteObject => StepKind::DeleteObject,
            Self::AccountEnd | Self::ForgetFailures | Self::Wait { .. } | Self::Settled { .. } => {
                return None;
            }
        })
    }
}

/// The next step, or a wait where that step failed a moment ago with this same spec.
pub fn plan(desired: &Desired, record: &Record, observed: Observed, now: Timestamp) -> Step {
    let step = decide(desired, record, observed, now);
    match &record.trouble {
        Some(trouble)
            if step.kind() == Some(trouble.step)
                && trouble.generation == desired.generation
                && now < trouble.retry_after =>
        {
            Step::Wait {
                until: trouble.retry_after,
                why: Waiting::Retry,
            }
        }
        _ => step,
    }
}

fn decide(d: &Desired, r: &Record, observed: Observed, now: Timestamp) -> Step {
    use Observed as O;
    if end_is_news(r, observed) {
        return Step::AccountEnd;
    }
    match (d.goal, observed) {
        (_, O::HalfMade) => Step::ForceDelete,

        (Goal::Gone, O::Absent) => Step::Finalize,
        (Goal::Gone | Goal::Deleted, O::Created | O::Stopped) => Step::Delete,
        (Goal::Gone | Goal::Deleted | Goal::Stopped, O::Running | O::Paused) => {
            stop(d, r, observed, now)
        }
        (Goal::Deleted, O::Absent) | (Goal::Stopped, O::Absent | O::Created | O::Stopped) => {
            reached(None)
        }

        (Goal::Created | Goal::Running | Goal::Paused, O::Absent) => make(d, r, now),
        (Goal::Created | Goal::Running | Goal::Paused, _) if r.stop.is_some() || outdated(d, r) => {
            take_down(d, r, observed, now)
        }
        (Goal::Created, O::Created) => reached(None),
        (Goal::Created, O::Running | O::Paused) => take_down(d, r, observed, now),
        (Goal::Running | Goal::Paused, O::Created) => Step::Start,
        (Goal::Running, O::Running) | (Goal::Paused, O::Paused) => keep(d, r, now),
        (Goal::Running, O::Paused) => Step::Resume,
        (Goal::Paused, O::Running) => Step::Pause,
        (Goal::Created | Goal::Running | Goal::Paused, O::Stopped) => restart(d, r, now),
    }
}

/// Whether the attempt has ended and that was not accounted for yet.
fn end_is_news(r: &Record, observed: Observed) -> bool {
    let made = r.expects_container() || (r.stage == Stage::Deleting && r.started_at.is_some());
    made && r.ended.is_none() && matches!(observed, Observed::Absent | Observed::Stopped)
}

/// Whether the container was made from another spec than today's and should give way.
pub fn outdated(d: &Desired, r: &Record) -> bool {
    let asked = r.applied.restart_request != d.restart_request;
    asked || (d.update_policy == UpdatePolicy::Recreate && differs(d, r))
}

/// Whether the spec has changed in a way that only a new container can honour. A console can be resized, and neither
/// added nor taken away.
pub fn differs(d: &Desired, r: &Record) -> bool {
    r.applied.hash != d.hash || r.tty.is_some() != d.tty.is_some()
}

fn reached(wake: Option<Timestamp>) -> Step {
    Step::Settled {
        how: Settled::Reached,
        wake,
    }
}

/// Signal, wait, force: the same for each goal that wants nothing to run.
fn stop(d: &Desired, r: &Record, observed: Observed, now: Timestamp) -> Step {
    match (&r.stop, observed) {
        (Some(stop), Observed::Running) if !stop.told && !stop.forced => Step::Kill,
        (Some(stop), _) => {
            let until = stop
                .signaled_at
                .checked_add(d.grace)
                .unwrap_or(Timestamp::MAX);
            if now < until && !stop.forced {
                Step::Wait {
                    until,
                    why: Waiting::Grace,
                }
            } else {
                Step::ForceDelete
            }
        }
        // A paused container takes no signal: it is woken first, or forced where that fails.
        (None, Observed::Paused) if !failed_before(d, r, StepKind::Resume) => Step::Resume,
        (None, Observed::Paused) => Step::ForceDelete,
        (None, _) => Step::Kill,
    }
}

fn failed_before(d: &Desired, r: &Record, step: StepKind) -> bool {
    r.trouble
        .as_ref()
        .is_some_and(|t| t.step == step && t.generation == d.generation)
}

fn take_down(d: &Desired, r: &Record, observed: Observed, now: Timestamp) -> Step {
    match observed {
        Observed::Running | Observed::Paused => stop(d, r, observed, now),
        Observed::Created | Observed::Stopped => Step::Delete,
        Observed::Absent => make(d, r, now),
        Observed::HalfMade => Step::ForceDelete,
    }
}

/// The container has ended: make room for the next attempt, wait for its time, or leave it.
fn restart(d: &Desired, r: &Record, now: Timestamp) -> Step {
    match again(d, r) {
        Again::At(Some(due)) if now < due => Step::Wait {
            until: due,
            why: Waiting::Backoff,
        },
        Again::At(_) => Step::Delete,
        Again::Never(how) => finished(d, r, how, now),
    }
}

/// There is no container: make one, wait for its time, or leave it at that.
fn make(d: &Desired, r: &Record, now: Timestamp) -> Step {
    match again(d, r) {
        Again::At(Some(due)) if now < due => Step::Wait {
            until: due,
            why: Waiting::Backoff,
        },
        Again::At(_) if scratch_is_due(d, r) => Step::CreateScratch,
        Again::At(_) => Step::Create,
        Again::Never(how) => finished(d, r, how, now),
    }
}

fn scratch_is_due(d: &Desired, r: &Record) -> bool {
    d.scratch_gb.is_some() && d.scratch_gb != r.scratch.as_ref().map(|s| s.size_gb)
}

fn finished(d: &Desired, r: &Record, how: Settled, now: Timestamp) -> Step {
    let ended_at = r.ended.as_ref().map(|e| e.at);
    let expiry = d
        .ttl
        .zip(ended_at)
        .and_then(|(ttl, at)| at.checked_add(ttl).ok());
    match expiry {
        Some(expiry) if now >= expiry => Step::DeleteObject,
        wake => Step::Settled { how, wake },
    }
}

/// It is as it should be; only the terminal and the bookkeeping may lag behind.
fn keep(d: &Desired, r: &Record, now: Timestamp) -> Step {
    if let Some(size) = d.tty.filter(|size| r.tty != Some(*size)) {
        return Step::Resize(size);
    }
    if r.processes.is_none() {
        return Step::ListProcesses;
    }
    if r.failures == 0 {
        return reached(None);
    }
    match r
        .started_at
        .and_then(|at| at.checked_add(d.reset_after).ok())
    {
        Some(due) if now < due => reached(Some(due)),
        _ => Step::ForgetFailures,
    }
}

/// Whether the restart policy makes a container again after this exit code.
fn policy_restarts(policy: RestartPolicy, exit_code: Option<u32>) -> bool {
    match policy {
        RestartPolicy::Always => true,
        RestartPolicy::OnFailure => exit_code != Some(0),
        RestartPolicy::Never => false,
    }
}
