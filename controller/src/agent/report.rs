//! From what is known to `status`: pure, so that the same state always reads the same.

use hcs_crds::conditions::{
    READY, RECONCILING, RESTART_REQUIRED, RUNTIME_RESPONSIVE, SCRATCH_READY, STALLED,
};
use hcs_crds::{
    Backoff, Condition, HcsContainerStatus, Phase, Processes, Reason, ScratchStatus, Tty,
    UpdatePolicy, whole_seconds,
};
use jiff::Timestamp;

use super::capabilities::unsupported_or;
use super::plan::{Desired, Goal, Observed, Settled, Step, StepKind, Waiting, differs};
use super::record::{Record, Trouble};
use super::relist::Health;
use crate::platform;
use words::{STALLING, doing, reason_named};

/// How a reconcile ended, or what it is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A wait or a settled state.
    Planned(Step),
    /// A step that is under way.
    Doing(Step),
    /// Another try is due then.
    Waiting(Timestamp),
    /// The spec cannot be acted on.
    Invalid(String),
    /// The node's runhcs does not answer, so nothing is done on doubt.
    RuntimeFails,
    /// Only looking on: what would be run, and how it stands.
    Observing(Vec<String>, Step),
    /// The object may go; nothing is left.
    Gone,
    /// The object may go; what is on the node stays.
    Released,
    /// The object's time to live is over and it was deleted.
    Expired,
}

/// All that a status is made from.
#[derive(Clone, Debug)]
pub struct Report {
    /// What is remembered.
    pub record: Record,
    /// What is there.
    pub observed: Observed,
    /// What is wanted.
    pub wanted: Desired,
    /// The node's runhcs.
    pub health: Health,
    /// How it went.
    pub outcome: Outcome,
    /// When.
    pub now: Timestamp,
}

/// The answer to "is it as it should be, and if not, why not".
struct Verdict {
    ready: bool,
    reason: Reason,
    message: String,
    progress: Progress,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    Done,
    Reconciling,
    Stalled,
}

impl Report {
    /// When to look again, if time alone changes something.
    pub fn wake(&self) -> Option<Timestamp> {
        match &self.outcome {
            Outcome::Planned(Step::Wait { until, .. }) | Outcome::Waiting(until) => Some(*until),
            Outcome::Planned(Step::Settled { wake, .. }) => *wake,
            _ => None,
        }
    }

    /// The status, with the transition times of `previous` where nothing has changed.
    pub fn status(&self, previous: Option<&HcsContainerStatus>) -> HcsContainerStatus {
        let r = &self.record;
        let shim = r.shim.as_ref().filter(|_| self.is_live());
        HcsContainerStatus {
            observed_generation: self.wanted.generation,
            phase: self.phase(),
            container_id: r.container_id(),
            attempt: (r.attempt > 0).then_some(r.attempt),
            pid: shim.map(|shim| shim.pid),
            pid_start_time: shim
                .and_then(|shim| platform::started_at(shim.start_time))
                .map(whole_seconds),
            boot_id: shim.map(|_| r.boot_id.clone()),
            processes: r
                .processes
                .as_ref()
                .filter(|_| self.is_live())
                .map(|p| Processes {
                    count: p.count,
                    pids: p.pids.clone(),
                    truncated: usize::try_from(p.count).is_ok_and(|count| count > p.pids.len()),
                }),
            restart_count: r.restart_count,
            last_termination: r.last_termination.as_deref().cloned(),
            backoff: self.backoff(),
            scratch: r.scratch.as_ref().map(|s| ScratchStatus {
                path: s.path.clone(),
                size_gb: s.size_gb,
            }),
            tty: r.tty.filter(|_| self.is_live()).map(|size| Tty {
                width: size.width,
                height: size.height,
            }),
            planned_actions: match &self.outcome {
                Outcome::Observing(actions, _) => actions.clone(),
                _ => Vec::new(),
            },
            recent_commands: r.recent.iter().cloned().collect(),
            started_at: r.started_at.filter(|_| self.is_live()).map(whole_seconds),
            conditions: self.conditions(previous.map_or(&[], |p| &p.conditions)),
        }
    }

    fn is_live(&self) -> bool {
        matches!(
            self.observed,
            Observed::Created | Observed::Running | Observed::Paused
        )
    }

    /// What is held back: the next attempt, or another try of a step that failed.
    fn backoff(&self) -> Option<Backoff> {
        let r = &self.record;
        let (failures, retry_after) = match (&self.outcome, &r.trouble) {
            (
                Outcome::Planned(Step::Wait {
                    why: Waiting::Backoff,
                    ..
                }),
                _,
            ) => (r.failures, r.retry_after),
            (
                Outcome::Planned(Step::Wait {
                    why: Waiting::Retry,
                    ..
                })
                | Outcome::Waiting(_),
                Some(trouble),
            ) => (trouble.count, Some(trouble.retry_after)),
            _ => return None,
        };
        Some(Backoff {
            consecutive_failures: failures,
            retry_after: retry_after.map(whole_seconds),
        })
    }

    fn phase(&self) -> Phase {
        match &self.outcome {
            Outcome::RuntimeFails => Phase::Unknown,
            Outcome::Invalid(_) if self.observed == Observed::Absent => Phase::Failed,
            Outcome::Planned(Step::Settled { how, .. }) => match how {
                Settled::Failed | Settled::LimitReached => Phase::Failed,
                Settled::Completed => Phase::Stopped,
                Settled::Reached => match self.wanted.goal {
                    Goal::Created => Phase::Created,
                    Goal::Running => Phase::Running,
                    Goal::Paused => Phase::Paused,
                    Goal::Stopped => Phase::Stopped,
                    Goal::Deleted | Goal::Gone => Phase::Deleted,
                },
            },
            Outcome::Planned(Step::Wait {
                why: Waiting::Grace,
                ..
            })
            | Outcome::Doing(Step::Kill | Step::Delete | Step::ForceDelete | Step::Finalize) => {
                Phase::Stopping
            }
            Outcome::Doing(Step::Create | Step::CreateScratch) => Phase::Creating,
            _ => self.phase_of_observed(),
        }
    }

    fn phase_of_observed(&self) -> Phase {
        match self.observed {
            Observed::Absent if self.record.ended.is_some() => Phase::Stopped,
            Observed::Absent => Phase::Pending,
            Observed::Created => Phase::Created,
            Observed::Running => Phase::Running,
            Observed::Paused => Phase::Paused,
            Observed::Stopped => Phase::Stopped,
            Observed::HalfMade => Phase::Unknown,
        }
    }

    fn conditions(&self, previous: &[Condition]) -> Vec<Condition> {
        let verdict = self.verdict();
        let mut conditions = Conditions {
            report: self,
            previous,
            list: Vec::new(),
        };
        conditions.add(READY, verdict.ready, verdict.reason, &verdict.message);
        match verdict.progress {
            Progress::Done => {}
            Progress::Reconciling => {
                conditions.add(RECONCILING, true, verdict.reason, &verdict.message);
            }
            Progress::Stalled => conditions.add(STALLED, true, verdict.reason, &verdict.message),
        }
        let (responds, reason, message) = self.runtime_responsive();
        conditions.add(RUNTIME_RESPONSIVE, responds, reason, &message);
        if let Some(size) = self.wanted.scratch_gb {
            let (ready, reason, message) = self.scratch_ready(size);
            conditions.add(SCRATCH_READY, ready, reason, &message);
        }
        if self.wanted.update_policy == UpdatePolicy::Manual {
            // What was stopped on request comes back with the newest spec, whoever asks for it.
            let stopped = self.record.ended.as_ref();
            let stopped = stopped.is_some_and(|ended| ended.cause.is_operator());
            let required =
                self.record.expects_container() && !stopped && differs(&self.wanted, &self.record);
            let (reason, message) = if required {
                let text = "the container runs an older spec; change spec.restartRequest to apply this one";
                (Reason::RestartRequired, text)
            } else {
                (Reason::NotRequired, "the container runs this spec")
            };
            conditions.add(RESTART_REQUIRED, required, reason, message);
        }
        conditions.list
    }

    fn runtime_responsive(&self) -> (bool, Reason, String) {
        if let Health::Fails { reason, message } = &self.health {
            return (false, *reason, message.clone());
        }
        let of_runtime = |trouble: &&Trouble| {
            [
                Reason::RuntimeHung,
                Reason::RuntimeMissing,
                Reason::RuntimeBadOutput,
                Reason::RuntimeFailed,
            ]
            .iter()
            .any(|reason| reason.as_str() == trouble.reason)
        };
        match self.record.trouble.as_ref().filter(of_runtime) {
            Some(trouble) => (
                false,
                reason_named(&trouble.reason),
                trouble.message.clone(),
            ),
            None => (true, Reason::RuntimeResponds, "runhcs answers".into()),
        }
    }

    fn scratch_ready(&self, size: u32) -> (bool, Reason, String) {
        let made = self.record.scratch.as_ref();
        let trouble = self
            .record
            .trouble
            .as_ref()
            .filter(|t| t.step == StepKind::CreateScratch);
        match (made, trouble) {
            (_, Some(trouble)) => (
                false,
                reason_named(&trouble.reason),
                trouble.message.clone(),
            ),
            (Some(made), None) if made.size_gb == size => (
                true,
                Reason::ScratchCreated,
                format!("a scratch of {size} GB is ready"),
            ),
            (Some(made), None) => {
                let text = format!("the scratch has {} GB, {size} GB are wanted", made.size_gb);
                (false, Reason::RestartRequired, text)
            }
            (None, None) => (
                false,
                Reason::ScratchCreating,
                format!("{size} GB are wanted"),
            ),
        }
    }

    fn verdict(&self) -> Verdict {
        let verdict = |ready, reason, message: String, progress| Verdict {
            ready,
            reason,
            message,
            progress,
        };
        match &self.outcome {
            Outcome::Invalid(why) => {
                verdict(false, Reason::InvalidSpec, why.clone(), Progress::Stalled)
            }
            Outcome::RuntimeFails => {
                let (_, reason, message) = self.runtime_responsive();
                verdict(false, reason, message, Progress::Reconciling)
            }
            Outcome::Observing(actions, step) => self.observing(actions, step),
            Outcome::Planned(Step::Settled { how, .. }) => self.settled(*how),
            Outcome::Planned(Step::Wait { why, until }) => self.waiting(*why, *until),
            Outcome::Waiting(until) => self.waiting(Waiting::Retry, *until),
            Outcome::Planned(step) | Outcome::Doing(step) => {
                let (reason, message) = doing(step);
                verdict(false, reason, message.into(), Progress::Reconciling)
            }
            Outcome::Gone | Outcome::Released | Outcome::Expired => {
                let text = "the object is being deleted".into();
                verdict(false, Reason::Terminating, text, Progress::Reconciling)
            }
        }
    }

    fn observing(&self, actions: &[String], step: &Step) -> Verdict {
        if let Step::Settled { how, .. } = step {
            let seen = self.settled(*how);
            let message = format!("managementPolicy is Observe: {}", seen.message);
            let reason = if seen.ready {
                Reason::Observing
            } else {
                seen.reason
            };
            return Verdict {
                reason,
                message,
                ..seen
            };
        }
        let would = if actions.is_empty() {
            "wait".to_owned()
        } else {
            actions.join(", ")
        };
        Verdict {
            ready: false,
            reason: Reason::Observing,
            message: format!("managementPolicy is Observe; Manage would run: {would}"),
            progress: Progress::Done,
        }
    }

    fn settled(&self, how: Settled) -> Verdict {
        let start_error = self.record.start_error.as_deref();
        let (ready, reason, message, progress) = match how {
            Settled::Reached => {
                let (reason, message) = match self.wanted.goal {
                    Goal::Created => (Reason::Created, "created, as asked"),
                    Goal::Running => (Reason::Running, "running, as asked"),
                    Goal::Paused => (Reason::Paused, "paused, as asked"),
                    Goal::Stopped => (Reason::Stopped, "stopped, as asked"),
                    Goal::Deleted | Goal::Gone => (Reason::Deleted, "gone, as asked"),
                };
                (true, reason, message.to_owned(), Progress::Done)
            }
            Settled::Completed => {
                let text = "ended with exit code 0, and restartPolicy leaves it at that".into();
                (true, Reason::Completed, text, Progress::Done)
            }
            Settled::Failed => {
                let text = format!("{}; restartPolicy leaves it at that", self.end());
                (
                    false,
                    unsupported_or(Reason::ContainerFailed, start_error),
                    text,
                    Progress::Stalled,
                )
            }
            Settled::LimitReached => {
                let text = format!(
                    "{}; that was failure {} in a row and spec.restart.maxRestarts is {}",
                    self.end(),
                    self.record.failures,
                    self.wanted.max_restarts.unwrap_or_default()
                );
                (
                    false,
                    unsupported_or(Reason::RestartLimitReached, start_error),
                    text,
                    Progress::Stalled,
                )
            }
        };
        Verdict {
            ready,
            reason,
            message,
            progress,
        }
    }

    /// How the last run ended, in words.
    fn end(&self) -> String {
        if let Some(error) = &self.record.start_error {
            return format!("failed to start: {error}");
        }
        let Some(last) = &self.record.last_termination else {
            return "ended".into();
        };
        match (&last.exit_code, &last.exit_code_hex, &last.reason) {
            (Some(code), Some(hex), Some(name)) => format!("ended with {code} ({hex}, {name})"),
            (Some(code), Some(hex), None) => format!("ended with exit code {code} ({hex})"),
            (_, _, Some(reason)) => format!("ended: {reason}"),
            _ => "ended with an unknown exit code".into(),
        }
    }

    fn waiting(&self, why: Waiting, until: Timestamp) -> Verdict {
        let at = whole_seconds(until).0;
        let start_error = self.record.start_error.as_deref();
        let trouble = self.record.trouble.as_ref();
        let (reason, message) = match (why, trouble) {
            (Waiting::Backoff, _) => (
                unsupported_or(Reason::WaitingForBackoff, start_error),
                format!("{}; next try at {at}", self.end()),
            ),
            (Waiting::Grace, _) => (
                Reason::Stopping,
                format!("the stop signal was sent; by force at {at}"),
            ),
            // A list of processes is a courtesy; the container is as it should be without it.
            (Waiting::Retry, Some(t)) if t.step == StepKind::ListProcesses => {
                return self.settled(Settled::Reached);
            }
            (Waiting::Retry, Some(trouble)) => {
                let reason = reason_named(&trouble.reason);
                if STALLING.contains(&reason) {
                    let message = trouble.message.clone();
                    return Verdict {
                        ready: false,
                        reason,
                        message,
                        progress: Progress::Stalled,
                    };
                }
                (reason, trouble.message.clone())
            }
            (Waiting::Retry, None) => (Reason::Pending, format!("next try at {at}")),
        };
        Verdict {
            ready: false,
            reason,
            message,
            progress: Progress::Reconciling,
        }
    }
}

struct Conditions<'a> {
    report: &'a Report,
    previous: &'a [Condition],
    list: Vec<Condition>,
}

impl Conditions<'_> {
    fn add(&mut self, type_: &str, holds: bool, reason: Reason, message: &str) {
        let status = if holds { "True" } else { "False" };
        let before = self
            .previous
            .iter()
            .find(|c| c.type_ == type_ && c.status == status);
        let since = before.map_or_else(
            || whole_seconds(self.report.now),
            |condition| condition.last_transition_time.clone(),
        );
        self.list.push(Condition {
            type_: type_.into(),
            status: status.into(),
            reason: reason.as_str().into(),
            message: message.into(),
            observed_generation: Some(self.report.wanted.generation),
            last_transition_time: since,
        });
    }
}

#[cfg(test)]
mod tests;
mod words;
