//! Ending a container: the stop signal, force, deletion, the account of its end, and what is left.

use std::time::Duration;

use hcs_crds::{FINALIZER, HcsContainer, Isolation, Os, Reason};
use kube::ResourceExt as _;
use runhcs::{ErrorKind, Signal};

use super::{ActError, Actor, failed};
use crate::agent::capabilities::{Pausing, unsupported_or};
use crate::agent::disk;
use crate::agent::events::Notice;
use crate::agent::plan::{
    Again, Desired, Ending, Goal, Observed, Settled, account_end, again, outdated,
};
use crate::agent::record::{Cause, Record, Stage, Stop};
use crate::agent::relist::reason_of;
use crate::agent::runtime::{Call, CallError, Runtime, deleted};
use crate::agent::sweep;
use crate::agent::validate::desired;

/// How long to wait for the exit code of a shim whose container is known to have ended.
const EXIT_PATIENCE: Duration = Duration::from_secs(3);

impl<R: Runtime> Actor<'_, R> {
    /// Says why a container that was asked to run gives way to a new one.
    pub(super) fn notice_replacement(&mut self) {
        let wanted = desired(self.object);
        let keeps = matches!(wanted.goal, Goal::Created | Goal::Running | Goal::Paused);
        if !keeps || !outdated(&wanted, self.record) {
            return;
        }
        let (reason, what) = if self.record.applied.restart_request == wanted.restart_request {
            (Reason::SpecChanged, "the spec")
        } else {
            (Reason::RestartRequested, "restartRequest")
        };
        let note = format!("{what} has changed; the container is made anew");
        self.notices.push(Notice::normal(reason, "Recreate", note));
    }

    pub(super) async fn kill(&mut self) -> Result<(), ActError> {
        self.notice_replacement();
        let id = self.id();
        let signal = stop_signal(self.object);
        let before = self.record.stop.clone();
        // A signal that an agent had no time to send is sent late, within the grace period that it began.
        self.record.stop.get_or_insert(Stop {
            signaled_at: self.ctx.now(),
            told: false,
            forced: false,
        });
        if let Err(error) = self.save().await {
            // No signal goes out, so no grace period begins.
            self.record.stop = before;
            return Err(error.into());
        }
        let sent = self.call(Call::Kill(id.clone(), signal)).await;
        if let Some(stop) = &mut self.record.stop {
            stop.told = true;
        }
        match sent {
            Ok(_) => Ok(()),
            // Its init process has ended and the rest of it is about to.
            Err(error) if error.kind == ErrorKind::ProcessGone => Ok(()),
            Err(error) => {
                self.ctx.relist.refresh().await;
                if self.ctx.table.get(&id).observed == Observed::Running {
                    let note = format!("{error}; it is removed by force after the grace period");
                    self.notices
                        .push(Notice::warning(Reason::KillFailed, "Kill", note));
                }
                Ok(())
            }
        }
    }

    async fn call_delete(&mut self, id: &str, force: bool) -> Result<(), CallError> {
        let id = id.to_owned();
        deleted(self.call(Call::Delete { id, force }).await)
    }

    pub(super) async fn delete(&mut self) -> Result<(), ActError> {
        // What was stopped to be replaced has said so when it was stopped.
        if !self
            .record
            .ended
            .as_ref()
            .is_some_and(|end| end.cause.is_operator())
        {
            self.notice_replacement();
        }
        let before = self.observed();
        let id = self.id();
        self.record.stage = Stage::Deleting;
        self.save().await?;
        match self.call_delete(&id, false).await {
            Ok(()) => {}
            Err(error)
                if error.kind == ErrorKind::NotStopped || reason_of(error.kind).is_some() =>
            {
                return self.unclear(before, &error, Reason::DeleteFailed).await;
            }
            Err(_) => return self.remove_by_force(&id).await,
        }
        self.deleted(&id);
        Ok(())
    }

    pub(super) async fn force_delete(&mut self, observed: Observed) -> Result<(), ActError> {
        let id = self.id();
        match &mut self.record.stop {
            Some(stop) => stop.forced = true,
            // It could not even be asked: a paused container that does not resume.
            None if observed != Observed::HalfMade => {
                let signaled_at = self.ctx.now();
                self.record.stop = Some(Stop {
                    signaled_at,
                    told: false,
                    forced: true,
                });
            }
            None => {}
        }
        self.record.stage = Stage::Deleting;
        self.save().await?;
        self.learn_to_pause(&id, observed).await;
        self.remove_by_force(&id).await?;
        let notice = match observed {
            Observed::HalfMade => Notice::normal(
                Reason::HalfMadeRemoved,
                "ForceDelete",
                format!("removed the half-made container {id}"),
            ),
            _ => Notice::warning(
                Reason::ForceKilled,
                "ForceDelete",
                format!("container {id} did not end within its grace period; removed by force"),
            ),
        };
        self.notices.push(notice);
        Ok(())
    }

    /// Learns, once on a node, whether Windows pauses process isolation: of a container that is at its end either way.
    async fn learn_to_pause(&mut self, id: &str, observed: Observed) {
        let runtime = self.object.spec.runtime;
        let known = &self.ctx.capabilities;
        if (runtime.os, runtime.isolation) != (Os::Windows, Isolation::Process) {
            return;
        }
        match observed {
            Observed::Running if known.may_try_to_pause() => {
                let answer = self.call(Call::Pause(id.to_owned())).await;
                known.learn_pausing(Pausing::told_by(&answer));
            }
            // An agent that has ended meanwhile has tried it.
            Observed::Paused if known.may_try_to_pause() => known.learn_pausing(Pausing::Works),
            _ => {}
        }
    }

    pub(super) async fn remove_by_force(&mut self, id: &str) -> Result<(), ActError> {
        let before = self.observed();
        match self.call_delete(id, true).await {
            Ok(()) => {}
            Err(error) => return self.unclear(before, &error, Reason::DeleteFailed).await,
        }
        self.deleted(id);
        Ok(())
    }

    /// Notes that a container is gone, and removes what it leaves.
    pub fn deleted(&mut self, id: &str) {
        self.ctx.table.set(id, Observed::Absent, None);
        // A run that ended with this very command is accounted for before it is forgotten.
        if self.record.started_at.is_none() || self.record.ended.is_some() {
            self.record.stage = Stage::Deleted;
        }
        self.remove_bundle(id);
    }

    /// Removes the bundle of a container, and those of attempts before it that are still there: Windows keeps a folder
    /// for as long as a process is in it, and a shim may take a moment longer to end than its container.
    pub(super) fn remove_bundle(&self, id: &str) {
        for folder in sweep::bundles_up_to(self.ctx, id) {
            if let Err(error) = disk::remove_folder(&folder) {
                let folder = folder.display();
                tracing::info!(%folder, %error, "a bundle stays until the next one goes");
            }
        }
    }

    /// Removes a container of an attempt that is no longer the current one.
    pub async fn remove_stray(&mut self, id: &str) -> Result<(), ActError> {
        match self.call_delete(id, true).await {
            Ok(()) => {}
            Err(error) => return Err(failed(&error, Reason::DeleteFailed)),
        }
        self.ctx.table.set(id, Observed::Absent, None);
        self.ctx.table.forget(id);
        self.remove_bundle(id);
        let note = format!("removed container {id}, which was left by an earlier attempt");
        self.notices
            .push(Notice::normal(Reason::OrphanRemoved, "ForceDelete", note));
        Ok(())
    }

    pub(super) async fn account_end(&mut self, observed: Observed) -> Result<(), ActError> {
        let id = self.id();
        let exit = match self.ctx.table.get(&id).exit {
            Some(exit) => Some(exit),
            None if self.ctx.exits.watches(&id) => {
                self.ctx.table.exit_within(&id, EXIT_PATIENCE).await
            }
            None => None,
        };
        let since = exit.map_or(Duration::ZERO, |exit| exit.at.elapsed());
        let now = self.ctx.now();
        let ending = Ending {
            exit_code: exit.and_then(|exit| exit.code),
            absent: observed == Observed::Absent,
            boot_id: self.ctx.boot_id.clone(),
            at: now.checked_sub(since).unwrap_or(now),
        };
        account_end(self.record, &self.object.spec.restart, &ending);
        if observed == Observed::Absent {
            self.record.stage = Stage::Deleted;
            self.remove_bundle(&id);
        }
        if let Some(notice) = ending_notice(&desired(self.object), self.record) {
            self.notices.push(notice);
        }
        Ok(())
    }

    pub(super) async fn finalize(&mut self) -> Result<(), ActError> {
        let uid = self.record.object.uid.clone();
        if self.record.released {
            // What its container uses stays claimed for as long as that is there.
            self.save().await?;
        } else {
            let policy = self.record.scratch_policy;
            sweep::remove_files(self.ctx, &uid, policy)
                .map_err(|e| ActError::step(Reason::NodeStorageFailed, e.to_string()))?;
            self.ctx.release_claims(&self.record.object);
        }
        self.ctx.table.forget(&self.id());
        if self.object.finalizers().iter().any(|f| f == FINALIZER) {
            self.ctx.api.remove_finalizer(self.object).await?;
        }
        if !self.record.released {
            self.ctx.records.remove(&uid)?;
        }
        Ok(())
    }

    pub(super) async fn delete_object(&mut self) -> Result<(), ActError> {
        let note = "ttlSecondsAfterFinished is over; deleting the object";
        self.notices
            .push(Notice::normal(Reason::TtlExpired, "Delete", note));
        Ok(self.ctx.api.delete(self.object).await?)
    }
}

/// The signal that asks a container to end: `spec.stopSignal`, or the system's usual one.
fn stop_signal(object: &HcsContainer) -> Signal {
    let name = object.spec.stop_signal.map_or(
        match object.spec.runtime.os {
            Os::Windows => "CtrlShutdown",
            Os::Linux => "TERM",
        },
        hcs_crds::StopSignal::as_str,
    );
    Signal::raw(name)
}

fn ending_notice(wanted: &Desired, record: &Record) -> Option<Notice> {
    let ended = record.ended.as_ref()?;
    let code = ended.exit_code.map_or_else(
        || "an unknown exit code".into(),
        |code| format!("exit code {code} (0x{code:08X})"),
    );
    let next = match again(wanted, record) {
        Again::At(Some(at)) => {
            // A second that has begun counts: "0 s" would read as a hot loop.
            let seconds = at.duration_since(ended.at).as_secs() + 1;
            format!(
                "; failure {} in a row, next try in {seconds} s",
                record.failures
            )
        }
        Again::At(None) => String::new(),
        Again::Never(Settled::LimitReached) => "; maxRestarts is reached".into(),
        Again::Never(_) => "; restartPolicy leaves it at that".into(),
    };
    let notice = match ended.cause {
        Cause::Guest if ended.exit_code == Some(0) => Notice::normal(
            Reason::Completed,
            "Exit",
            format!("the container ended with {code}"),
        ),
        Cause::Guest => Notice::warning(
            Reason::ContainerFailed,
            "Exit",
            format!("the container ended with {code}{next}"),
        ),
        Cause::Lost => Notice::warning(
            Reason::ContainerLost,
            "Exit",
            format!("runhcs no longer knows the container{next}"),
        ),
        Cause::Rebooted => Notice::normal(
            Reason::NodeRebooted,
            "Exit",
            "the node was rebooted, which ended the container",
        ),
        Cause::StartFailed => {
            let said = record.start_error.clone().unwrap_or_default();
            let reason = unsupported_or(Reason::StartFailed, Some(&said));
            Notice::warning(reason, "Start", format!("{said}{next}"))
        }
        Cause::Stopped | Cause::Forced => return None,
    };
    Some(notice)
}
