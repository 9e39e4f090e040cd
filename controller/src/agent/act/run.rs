//! Running a container: start, pause, resume, its console, its processes.

use hcs_crds::Reason;
use runhcs::{ErrorKind, TtySize};

use super::{ActError, Actor, failed};
use crate::agent::capabilities::Defect;
use crate::agent::events::Notice;
use crate::agent::plan::Observed;
use crate::agent::record::{Processes, Stage, TerminalSize};
use crate::agent::relist::reason_of;
use crate::agent::runtime::{Call, Reply, Runtime};

/// How many pids `status.processes` shows.
const PIDS_SHOWN: usize = 64;

impl<R: Runtime> Actor<'_, R> {
    pub(super) async fn start(&mut self) -> Result<(), ActError> {
        let id = self.id();
        self.record.stage = Stage::Starting;
        self.record.started_at = Some(self.ctx.now());
        self.save().await?;
        match self.call(Call::Start(id.clone())).await {
            Ok(_) => {}
            Err(error) if error.kind == ErrorKind::AlreadyRunning => {}
            Err(error) => {
                self.ctx.relist.refresh().await;
                return match self.ctx.table.get(&id).observed {
                    // The container has ended with the attempt; its end is accounted for next.
                    Observed::Stopped | Observed::Absent if reason_of(error.kind).is_none() => {
                        self.record.start_error = Some(match Defect::shown_by(&error.message) {
                            Some(defect) => format!("{error}; {defect}"),
                            None => error.message.clone(),
                        });
                        // The account of its end may wait for an exit code, and what was said is said once.
                        Ok(self.save().await?)
                    }
                    Observed::Running => Ok(()),
                    _ => Err(failed(&error, Reason::StartFailed)),
                };
            }
        }
        self.record.stage = Stage::Started;
        self.note_state(&id, Observed::Running);
        Ok(())
    }

    /// Notes a state that a command has brought about, unless the shim has ended meanwhile.
    pub(super) fn note_state(&self, id: &str, observed: Observed) {
        let now = self.ctx.table.get(id);
        if now.exit.is_none() {
            self.ctx.table.set(id, observed, now.pid);
        }
    }

    pub(super) async fn pause(&mut self) -> Result<(), ActError> {
        let before = self.observed();
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
            Err(error) => self.unclear(before, &error, Reason::PauseFailed).await,
        }
    }

    pub(super) async fn resume(&mut self) -> Result<(), ActError> {
        let before = self.observed();
        let id = self.id();
        match self.call(Call::Resume(id.clone())).await {
            Ok(_) => {
                self.note_state(&id, Observed::Running);
                Ok(())
            }
            Err(error) => self.unclear(before, &error, Reason::ResumeFailed).await,
        }
    }

    pub(super) async fn resize(&mut self, size: TtySize) -> Result<(), ActError> {
        let before = self.observed();
        let id = self.id();
        match self.call(Call::Resize(id, size)).await {
            Ok(_) => {
                let (width, height) = (size.width, size.height);
                self.record.tty = Some(TerminalSize { width, height });
                let note = format!("the console has {width} columns and {height} rows");
                self.notices
                    .push(Notice::normal(Reason::Resized, "ResizeTTY", note));
                Ok(())
            }
            Err(error) => self.unclear(before, &error, Reason::ResizeFailed).await,
        }
    }

    pub(super) async fn list_processes(&mut self) -> Result<(), ActError> {
        let before = self.observed();
        let id = self.id();
        match self.call(Call::Ps(id)).await {
            Ok(Reply::Pids(mut pids)) => {
                let count = u32::try_from(pids.len()).unwrap_or(u32::MAX);
                pids.truncate(PIDS_SHOWN);
                self.record.processes = Some(Processes { count, pids });
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(error) => self.unclear(before, &error, Reason::RuntimeFailed).await,
        }
    }
}
