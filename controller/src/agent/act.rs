//! Carries out one step of a plan. Every step is idempotent: an outcome that shows the step's end
//! reached already counts as success, and one that leaves it open is settled by a new list.

use std::fs;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hcs_crds::{FINALIZER, HcsContainer, Os, Reason};
use jiff::Timestamp;
use kube::ResourceExt as _;
use runhcs::{ErrorKind, Signal, TtySize};

use super::bundle::{self, BundleError};
use super::context::Context;
use super::events::Notice;
use super::kube_api::ApiError;
use super::plan::{Ending, Goal, Observed, Step, StepKind, account_end, outdated};
use super::record::{Applied, Cause, Processes, Record, ScratchMade, Stage, Stop};
use super::relist::reason_of;
use super::runtime::{Call, CallError, Reply, Runtime};
use super::scratch::{ScratchError, ScratchFolder, cache_file};
use super::store::StoreError;
use super::validate::desired;

/// How long to wait for the exit code of a shim whose container is known to have ended.
const EXIT_PATIENCE: Duration = Duration::from_secs(3);
/// How many pids `status.processes` shows.
const PIDS_SHOWN: usize = 64;

/// A step that failed, for the conditions.
#[derive(Debug)]
pub struct Failure {
    /// The reason.
    pub reason: Reason,
    /// One sentence with the cause.
    pub message: String,
}

/// What keeps a step from being carried out.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    /// The step failed; it is tried again after a while.
    #[error("{}: {}", .0.reason, .0.message)]
    Step(Failure),
    /// The API server.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The local disk.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ActError {
    fn step(reason: Reason, message: impl Into<String>) -> Self {
        Self::Step(Failure {
            reason,
            message: message.into(),
        })
    }
}

/// One object's step being carried out.
pub struct Actor<'a, R> {
    /// The agent's parts.
    pub ctx: &'a Context<R>,
    /// The object as it is now.
    pub object: &'a mut Arc<HcsContainer>,
    /// Its record.
    pub record: &'a mut Record,
    /// Events to publish.
    pub notices: &'a mut Vec<Notice>,
}

impl<R: Runtime> Actor<'_, R> {
    /// Carries out a step; waits and settled states are no steps.
    pub async fn act(&mut self, step: &Step, observed: Observed) -> Result<(), ActError> {
        match step {
            Step::CreateScratch => self.create_scratch().await,
            Step::Create => self.create().await,
            Step::Start => self.start().await,
            Step::Pause => self.pause().await,
            Step::Resume => self.resume().await,
            Step::Resize(size) => {
                let size = TtySize {
                    width: size.width,
                    height: size.height,
                };
                self.resize(size).await
            }
            Step::ListProcesses => self.list_processes().await,
            Step::Kill => self.kill().await,
            Step::Delete => self.delete().await,
            Step::ForceDelete => self.force_delete(observed).await,
            Step::AccountEnd => self.account_end(observed).await,
            Step::ForgetFailures => {
                self.record.failures = 0;
                Ok(())
            }
            Step::Finalize => self.finalize().await,
            Step::DeleteObject => self.delete_object().await,
            Step::Wait { .. } | Step::Settled { .. } => Ok(()),
        }
    }

    fn id(&self) -> String {
        self.record.container_id().unwrap_or_default()
    }

    async fn call(&mut self, call: Call) -> Result<Reply, CallError> {
        let outcome = self.ctx.runtime.run(&call).await;
        self.record.remember(outcome.command);
        outcome.result
    }

    async fn save(&mut self) -> Result<(), StoreError> {
        self.ctx.records.save(self.record).await
    }

    /// Makes sure that the object cannot go before what is about to be made has gone.
    async fn hold_object(&mut self) -> Result<(), ApiError> {
        if !self.object.finalizers().iter().any(|f| f == FINALIZER) {
            let latest = self.ctx.api.add_finalizer(self.object).await?;
            *self.object = Arc::new(latest);
        }
        Ok(())
    }

    async fn create_scratch(&mut self) -> Result<(), ActError> {
        let Some(scratch) = self.object.spec.scratch.clone() else {
            return Ok(());
        };
        self.hold_object().await?;
        let folder = ScratchFolder::new(&self.ctx.data, &self.record.object.uid);
        let path = folder.file().to_string_lossy().into_owned();
        let made = ScratchMade {
            size_gb: scratch.size_gb,
            path,
        };
        if folder.has(scratch.size_gb) {
            self.record.scratch = Some(made);
            return Ok(());
        }
        let failed = |error: ScratchError| {
            let reason = match error {
                ScratchError::Cache(_) => Reason::PathNotAllowed,
                ScratchError::Io { .. } => Reason::NodeStorageFailed,
            };
            ActError::step(reason, error.to_string())
        };
        let cache_file = cache_file(&scratch, &self.ctx.policy).map_err(failed)?;
        self.record.scratch = None;
        self.save().await?;
        let temporary = folder
            .clear_the_way(scratch.reclaim_policy)
            .map_err(failed)?;
        let call = Call::CreateScratch {
            path: temporary.clone(),
            size_gb: scratch.size_gb,
            cache_file,
            use_virtual_memory: scratch.use_virtual_memory,
        };
        if let Err(error) = self.call(call).await {
            return Err(Self::failed(&error, Reason::ScratchFailed));
        }
        folder.finish(&temporary, scratch.size_gb).map_err(failed)?;
        self.record.scratch = Some(made);
        let note = format!("made a scratch disk of {} GB", scratch.size_gb);
        self.notices.push(Notice::normal(
            Reason::ScratchCreated,
            "CreateScratch",
            note,
        ));
        Ok(())
    }

    async fn create(&mut self) -> Result<(), ActError> {
        let prepared = bundle::prepare(self.object, &self.ctx.policy)
            .map_err(|e| ActError::step(bundle_reason(&e), e.to_string()))?;
        self.ctx
            .claims
            .take(&self.record.object, &prepared.claims)
            .map_err(|e| ActError::step(Reason::BundleInUse, e.to_string()))?;
        self.hold_object().await?;
        let wanted = desired(self.object);
        if self.record.attempt > 0 && self.record.applied.restart_request != wanted.restart_request
        {
            // A person has asked for it: what failed before counts no longer.
            self.record.failures = 0;
        }
        self.ctx.table.forget(&self.id());
        self.record.claims.clone_from(&prepared.claims);
        let applied = Applied {
            hash: wanted.hash,
            restart_request: wanted.restart_request,
        };
        self.record.begin_attempt(applied, &self.ctx.boot_id);
        self.save().await?;
        let id = self.id();
        let folder = self.ctx.bundle(&id);
        bundle::write(prepared, self.object, self.record, &folder)
            .map_err(|e| ActError::step(bundle_reason(&e), e.to_string()))?;
        let pid_file = folder.join("shim.pid");
        let call = Call::Create {
            id: id.clone(),
            bundle: folder,
            pid_file: pid_file.clone(),
        };
        if let Err(error) = self.call(call).await {
            return self.create_failed(&id, &error).await;
        }
        self.record.stage = Stage::Created;
        self.record.tty = wanted.tty;
        self.ctx.table.set(&id, Observed::Created, None);
        let pid = fs::read_to_string(&pid_file)
            .ok()
            .and_then(|text| text.trim().parse().ok());
        self.watch_shim(&id, pid);
        Ok(())
    }

    /// Takes a handle of the shim, so that its end is seen and its pid cannot become another's.
    pub fn watch_shim(&mut self, id: &str, pid: Option<u32>) {
        let Some(pid) = pid else {
            tracing::warn!(
                container = id,
                "no shim pid: its end is seen by the relist alone"
            );
            return;
        };
        let observed = self.ctx.table.get(id).observed;
        match self.ctx.exits.watch_new(id, pid) {
            Ok(Some(shim)) => {
                self.record.shim = Some(shim);
                self.ctx.table.set(id, observed, Some(pid));
            }
            Ok(None) => self.ctx.table.set(id, Observed::Stopped, None),
            Err(error) => tracing::warn!(container = id, pid, %error, "no handle of the shim"),
        }
    }

    async fn create_failed(&mut self, id: &str, error: &CallError) -> Result<(), ActError> {
        let clear = matches!(
            error.kind,
            ErrorKind::BundleInvalid | ErrorKind::StorageFailed | ErrorKind::FileNotFound
        );
        if clear {
            self.ctx.table.set(id, Observed::Absent, None);
        } else {
            self.ctx.relist.refresh().await;
        }
        if self.ctx.table.get(id).observed == Observed::Absent {
            self.remove_bundle(id);
        }
        Err(Self::failed(error, Reason::CreateFailed))
    }

    async fn start(&mut self) -> Result<(), ActError> {
        let id = self.id();
        self.record.stage = Stage::Starting;
        self.record.started_at = Some(Timestamp::now());
        self.save().await?;
        match self.call(Call::Start(id.clone())).await {
            Ok(_) => {}
            Err(error) if error.kind == ErrorKind::AlreadyRunning => {}
            Err(error) => {
                self.ctx.relist.refresh().await;
                return match self.ctx.table.get(&id).observed {
                    // The container has ended with the attempt; its end is accounted for next.
                    Observed::Stopped | Observed::Absent if reason_of(error.kind).is_none() => {
                        self.record.start_error = Some(error.message.clone());
                        Ok(())
                    }
                    Observed::Running => Ok(()),
                    _ => Err(Self::failed(&error, Reason::StartFailed)),
                };
            }
        }
        self.record.stage = Stage::Started;
        self.note_state(&id, Observed::Running);
        Ok(())
    }

    /// Notes a state that a command has brought about, unless the shim has ended meanwhile.
    fn note_state(&self, id: &str, observed: Observed) {
        let now = self.ctx.table.get(id);
        if now.exit.is_none() {
            self.ctx.table.set(id, observed, now.pid);
        }
    }

    async fn pause(&mut self) -> Result<(), ActError> {
        let id = self.id();
        match self.call(Call::Pause(id.clone())).await {
            Ok(_) => {
                self.note_state(&id, Observed::Paused);
                Ok(())
            }
            Err(error) if error.kind == ErrorKind::NotSupported => {
                let message = format!("{error}; only HyperV isolation can be paused");
                Err(ActError::step(Reason::PauseUnsupported, message))
            }
            Err(error) => self.unclear(&error, Reason::PauseFailed).await,
        }
    }

    async fn resume(&mut self) -> Result<(), ActError> {
        let id = self.id();
        match self.call(Call::Resume(id.clone())).await {
            Ok(_) => {
                self.note_state(&id, Observed::Running);
                Ok(())
            }
            Err(error) => self.unclear(&error, Reason::ResumeFailed).await,
        }
    }

    /// A command that failed: what is there now decides whether it has to be tried again.
    async fn unclear(&mut self, error: &CallError, reason: Reason) -> Result<(), ActError> {
        let id = self.id();
        let before = self.ctx.table.get(&id).observed;
        self.ctx.relist.refresh().await;
        let changed = self.ctx.table.get(&id).observed != before;
        if changed && reason_of(error.kind).is_none() {
            return Ok(());
        }
        Err(Self::failed(error, reason))
    }

    async fn resize(&mut self, size: TtySize) -> Result<(), ActError> {
        let id = self.id();
        match self.call(Call::Resize(id, size)).await {
            Ok(_) => {
                let (width, height) = (size.width, size.height);
                self.record.tty = Some(super::record::TerminalSize { width, height });
                let note = format!("the console has {width} columns and {height} rows");
                self.notices
                    .push(Notice::normal(Reason::Resized, "ResizeTTY", note));
                Ok(())
            }
            Err(error) => self.unclear(&error, Reason::ResizeFailed).await,
        }
    }

    async fn list_processes(&mut self) -> Result<(), ActError> {
        let id = self.id();
        match self.call(Call::Ps(id)).await {
            Ok(Reply::Pids(mut pids)) => {
                let count = u32::try_from(pids.len()).unwrap_or(u32::MAX);
                pids.truncate(PIDS_SHOWN);
                self.record.processes = Some(Processes { count, pids });
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(error) => self.unclear(&error, Reason::RuntimeFailed).await,
        }
    }

    /// Says why a container that was asked to run gives way to a new one.
    fn notice_replacement(&mut self) {
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

    async fn kill(&mut self) -> Result<(), ActError> {
        self.notice_replacement();
        let id = self.id();
        let signal = stop_signal(self.object);
        self.record.stop = Some(Stop {
            signaled_at: Timestamp::now(),
            forced: false,
        });
        self.save().await?;
        match self.call(Call::Kill(id.clone(), signal)).await {
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

    async fn delete(&mut self) -> Result<(), ActError> {
        let id = self.id();
        self.record.stage = Stage::Deleting;
        self.save().await?;
        match self
            .call(Call::Delete {
                id: id.clone(),
                force: false,
            })
            .await
        {
            Ok(_) => {}
            Err(error) if is_gone(error.kind) => {}
            Err(error) if error.kind == ErrorKind::NotStopped => {
                self.ctx.relist.refresh().await;
                return Ok(());
            }
            Err(error) if reason_of(error.kind).is_some() => {
                return self.unclear(&error, Reason::DeleteFailed).await;
            }
            Err(_) => return self.remove_by_force(&id).await,
        }
        self.deleted(&id);
        Ok(())
    }

    async fn force_delete(&mut self, observed: Observed) -> Result<(), ActError> {
        let id = self.id();
        if let Some(stop) = &mut self.record.stop {
            stop.forced = true;
        }
        self.record.stage = Stage::Deleting;
        self.save().await?;
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

    async fn remove_by_force(&mut self, id: &str) -> Result<(), ActError> {
        match self
            .call(Call::Delete {
                id: id.to_owned(),
                force: true,
            })
            .await
        {
            Ok(_) => {}
            Err(error) if is_gone(error.kind) => {}
            Err(error) => return self.unclear(&error, Reason::DeleteFailed).await,
        }
        self.deleted(id);
        Ok(())
    }

    fn deleted(&mut self, id: &str) {
        self.ctx.table.set(id, Observed::Absent, None);
        // A run that ended with this very command is accounted for before it is forgotten.
        if self.record.started_at.is_none() || self.record.ended.is_some() {
            self.record.stage = Stage::Deleted;
        }
        self.remove_bundle(id);
    }

    fn remove_bundle(&self, id: &str) {
        let folder = self.ctx.bundle(id);
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(folder = %folder.display(), %error, "a bundle stays");
            }
            _ => {}
        }
    }

    /// Removes a container of an attempt that is no longer the current one.
    pub async fn remove_stray(&mut self, id: &str) -> Result<(), ActError> {
        match self
            .call(Call::Delete {
                id: id.to_owned(),
                force: true,
            })
            .await
        {
            Ok(_) => {}
            Err(error) if is_gone(error.kind) => {}
            Err(error) => return Err(Self::failed(&error, Reason::DeleteFailed)),
        }
        self.ctx.table.set(id, Observed::Absent, None);
        self.ctx.table.forget(id);
        self.remove_bundle(id);
        let note = format!("removed container {id}, which was left by an earlier attempt");
        self.notices
            .push(Notice::normal(Reason::OrphanRemoved, "ForceDelete", note));
        Ok(())
    }

    async fn account_end(&mut self, observed: Observed) -> Result<(), ActError> {
        let id = self.id();
        let exit = match self.ctx.table.get(&id).exit {
            Some(exit) => Some(exit),
            None if self.ctx.exits.watches(&id) => {
                self.ctx.table.exit_within(&id, EXIT_PATIENCE).await
            }
            None => None,
        };
        let ending = Ending {
            exit_code: exit.and_then(|exit| exit.code),
            absent: observed == Observed::Absent,
            boot_id: self.ctx.boot_id.clone(),
            at: exit.map_or_else(Timestamp::now, |exit| exit.at),
        };
        account_end(self.record, &self.object.spec.restart, &ending);
        if observed == Observed::Absent {
            self.record.stage = Stage::Deleted;
            self.remove_bundle(&id);
        }
        if let Some(notice) = ending_notice(self.record) {
            self.notices.push(notice);
        }
        Ok(())
    }

    async fn finalize(&mut self) -> Result<(), ActError> {
        let uid = self.record.object.uid.clone();
        if self.record.released {
            self.save().await?;
        } else {
            super::sweep::remove_files(self.ctx, &uid, self.object.spec.scratch.as_ref())
                .map_err(|e| ActError::step(Reason::NodeStorageFailed, e.to_string()))?;
        }
        self.ctx.claims.release(&self.record.object);
        if self.object.finalizers().iter().any(|f| f == FINALIZER) {
            self.ctx.api.remove_finalizer(self.object).await?;
        }
        if !self.record.released {
            self.ctx.records.remove(&uid)?;
        }
        Ok(())
    }

    async fn delete_object(&mut self) -> Result<(), ActError> {
        let note = "ttlSecondsAfterFinished is over; deleting the object";
        self.notices
            .push(Notice::normal(Reason::TtlExpired, "Delete", note));
        Ok(self.ctx.api.delete(self.object).await?)
    }

    fn failed(error: &CallError, otherwise: Reason) -> ActError {
        let reason = reason_of(error.kind).unwrap_or(match error.kind {
            ErrorKind::BundleInvalid => Reason::BundleInvalid,
            ErrorKind::NotSupported => Reason::Unsupported,
            _ => otherwise,
        });
        ActError::step(reason, error.message.clone())
    }
}

/// The step kind under which a failure of removing strays is filed.
pub const STRAY: StepKind = StepKind::ForceDelete;

fn is_gone(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound)
}

fn bundle_reason(error: &BundleError) -> Reason {
    use super::validate::paths::PathError;
    match error {
        BundleError::Path {
            field,
            source: PathError::Missing { .. },
        } => {
            if *field == "spec.bundle.path" {
                Reason::BundleMissing
            } else {
                Reason::LayerMissing
            }
        }
        BundleError::Path { .. } => Reason::PathNotAllowed,
        BundleError::NoConfig { .. } => Reason::BundleMissing,
        BundleError::Read { .. } | BundleError::NotJson { .. } | BundleError::Invalid(_) => {
            Reason::BundleInvalid
        }
        BundleError::Write { .. } => Reason::NodeStorageFailed,
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

fn ending_notice(record: &Record) -> Option<Notice> {
    let ended = record.ended.as_ref()?;
    let code = ended.exit_code.map_or_else(
        || "an unknown exit code".into(),
        |code| format!("exit code {code} (0x{code:08X})"),
    );
    let next = match record.retry_after {
        Some(at) => {
            let seconds = at.duration_since(ended.at).as_secs();
            format!(
                "; failure {} in a row, next try after {seconds} s at the earliest",
                record.failures
            )
        }
        None => String::new(),
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
            Notice::warning(Reason::StartFailed, "Start", format!("{said}{next}"))
        }
        Cause::Stopped | Cause::Forced => return None,
    };
    Some(notice)
}
