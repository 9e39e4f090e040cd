//! What a series of steps would be, for `managementPolicy: Observe`.

use jiff::Timestamp;

use super::{Desired, Observed, Step, plan};
use crate::agent::record::{Applied, Cause, Ended, Processes, Record, ScratchMade, Stage, Stop};

/// No plan is longer: take down (3), scratch, create, start, ps, resize, pause.
const LONGEST_PLAN: usize = 12;

/// The runhcs verbs that `Manage` would run now, in their order, up to the first wait.
///
/// Each step is taken to succeed. A stop is followed through its grace period, as it would be.
pub fn predict(d: &Desired, r: &Record, observed: Observed, now: Timestamp) -> Vec<String> {
    let (mut r, mut observed, mut actions) = (r.clone(), observed, Vec::new());
    for _ in 0..LONGEST_PLAN {
        let step = plan(d, &r, observed, now);
        if let Some(verb) = verb(&step) {
            actions.push(verb.to_owned());
        }
        match effect(&step, d, &mut r, now) {
            Effect::Observed(next) => observed = next,
            Effect::Noted => {}
            Effect::End => break,
        }
    }
    actions
}

fn verb(step: &Step) -> Option<&'static str> {
    Some(match step {
        Step::CreateScratch => "create-scratch",
        Step::Create => "create",
        Step::Start => "start",
        Step::Pause => "pause",
        Step::Resume => "resume",
        Step::Resize(_) => "resize-tty",
        Step::Kill => "kill",
        Step::Delete => "delete",
        Step::ForceDelete => "delete --force",
        // `ps` changes nothing, so it is no action that a reader would want to approve.
        Step::ListProcesses
        | Step::AccountEnd
        | Step::ForgetFailures
        | Step::Finalize
        | Step::DeleteObject
        | Step::Wait { .. }
        | Step::Settled { .. } => return None,
    })
}

/// What a step that succeeds leads to.
enum Effect {
    /// The container is in another state.
    Observed(Observed),
    /// Only the record is another.
    Noted,
    /// Nothing follows.
    End,
}

/// Plays a step on the record.
fn effect(step: &Step, d: &Desired, r: &mut Record, now: Timestamp) -> Effect {
    match step {
        Step::CreateScratch => {
            r.scratch = d.scratch_gb.map(|size_gb| ScratchMade {
                size_gb,
                path: String::new(),
            });
            Effect::Noted
        }
        Step::Create => {
            let applied = Applied {
                hash: d.hash.clone(),
                restart_request: d.restart_request.clone(),
            };
            r.begin_attempt(applied, "");
            r.stage = Stage::Created;
            r.tty = d.tty;
            Effect::Observed(Observed::Created)
        }
        Step::Start => {
            r.stage = Stage::Started;
            r.started_at = Some(now);
            Effect::Observed(Observed::Running)
        }
        Step::Pause => Effect::Observed(Observed::Paused),
        Step::Resume => Effect::Observed(Observed::Running),
        Step::Resize(size) => {
            r.tty = Some(*size);
            Effect::Noted
        }
        Step::ListProcesses => {
            r.processes = Some(Processes {
                count: 0,
                pids: Vec::new(),
            });
            Effect::Noted
        }
        Step::Kill => {
            r.stop = Some(Stop {
                signaled_at: now,
                told: true,
                forced: false,
            });
            Effect::Observed(Observed::Stopped)
        }
        Step::AccountEnd => {
            r.ended = Some(Ended {
                exit_code: None,
                cause: if r.stop.is_some() {
                    Cause::Stopped
                } else {
                    Cause::Guest
                },
                at: now,
            });
            r.stop = None;
            Effect::Noted
        }
        Step::ForgetFailures => {
            r.failures = 0;
            Effect::Noted
        }
        Step::Delete | Step::ForceDelete => {
            r.stage = Stage::Deleted;
            Effect::Observed(Observed::Absent)
        }
        Step::Finalize | Step::DeleteObject | Step::Wait { .. } | Step::Settled { .. } => {
            Effect::End
        }
    }
}
