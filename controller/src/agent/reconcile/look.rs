//! What is there of an object: what runhcs has, what the record says, and what was left by an
//! earlier run of the agent.

use std::sync::Arc;

use hcs_crds::{FINALIZER, HcsContainer, Reason};
use kube::ResourceExt as _;

use super::{ReconcileError, Run};
use crate::agent::events::Notice;
use crate::agent::plan::Observed;
use crate::agent::record::{Stage, TerminalSize, container_id, parse_container_id};
use crate::agent::runtime::Runtime;
use crate::agent::validate;

impl<R: Runtime> Run<'_, R> {
    /// Takes the newest object that there is. The cache may be from the past: an older spec than the one that was last
    /// acted on is believed only if the API server says so when it is asked for this object alone.
    pub(super) async fn look_at_object(&mut self) -> Result<(), ReconcileError> {
        if let Some(latest) = self.latest() {
            self.object = latest;
        }
        let generation = |object: &HcsContainer| object.metadata.generation.unwrap_or_default();
        let believable = match self.record.last_known.as_deref() {
            Some(known) => generation(&self.object) >= generation(known),
            // It was held by this agent, of whose data nothing is left: lost, or removed since with the object.
            None => !self.object.finalizers().iter().any(|f| f == FINALIZER),
        };
        if believable {
            return Ok(());
        }
        tracing::info!(object = %self.record.object, "it may be from the past; looking again");
        let now = self.ctx.api.read(&self.record.object).await?;
        let mut now = now.ok_or(ReconcileError::Past)?;
        now.metadata.managed_fields = None;
        self.object = Arc::new(now);
        Ok(())
    }

    /// The object in the cache, unless this reconcile holds a newer one.
    fn latest(&self) -> Option<Arc<HcsContainer>> {
        let version = |o: &HcsContainer| o.resource_version().and_then(|v| v.parse::<u64>().ok());
        let cached = self.ctx.latest(&self.record.object)?;
        (version(&cached) >= version(&self.object)).then_some(cached)
    }

    /// Keeps the spec, which goes to disk with the record for the time when the API server is away.
    pub(super) fn keep_last_known(&mut self) {
        if let Some(scratch) = &self.object.spec.scratch {
            self.record.scratch_policy = scratch.reclaim_policy;
        }
        self.record.lost = false;
        self.record.replaced_by = None;
        self.record.last_known = Some(Arc::clone(&self.object));
    }

    /// Finds what runs already where there is no record of it.
    pub(super) fn adopt(&mut self) {
        if self.record.attempt > 0 {
            return;
        }
        let ids = self.ctx.table.of_object(&self.record.object.uid);
        let latest = ids
            .iter()
            .filter_map(|id| parse_container_id(id))
            .map(|(_, n)| n)
            .max();
        let Some(attempt) = latest else { return };
        let id = container_id(&self.record.object.uid, attempt);
        let found = self.ctx.table.get(&id);
        let wanted = validate::desired(&self.object);
        self.record.attempt = attempt;
        self.record.boot_id.clone_from(&self.ctx.boot_id);
        self.record.applied.hash = found.hash.unwrap_or(wanted.hash);
        self.record.applied.restart_request = wanted.restart_request;
        self.record.stage = match found.observed {
            Observed::HalfMade => Stage::Creating,
            Observed::Created => Stage::Created,
            _ => Stage::Started,
        };
        if self.record.stage == Stage::Started {
            self.record.started_at = Some(self.ctx.now());
        }
        if let Some(status) = &self.object.status {
            self.record.restart_count = status.restart_count;
            self.record.last_termination = status.last_termination.clone().map(Box::new);
        }
        // A status of another attempt does not say.
        let told = self
            .object
            .status
            .as_ref()
            .filter(|status| status.attempt == Some(attempt));
        self.record.tty = told.map_or(wanted.tty, |status| {
            status.tty.map(|tty| TerminalSize {
                width: tty.width,
                height: tty.height,
            })
        });
        let note = format!("took over container {id}, which was there already");
        let aside = self.ctx.records.set_aside(&self.record.object.uid);
        self.notices.push(if let Some(file) = aside {
            let file = file.display();
            let note = format!("{note}; its record could not be read and was set aside as {file}");
            Notice::warning(Reason::RecordUnreadable, "Adopt", note)
        } else {
            Notice::normal(Reason::Adopted, "Adopt", note)
        });
    }

    pub(super) fn observe(&mut self) {
        let Some(id) = self.record.container_id() else {
            self.observed = Observed::Absent;
            return;
        };
        let found = self.ctx.table.get(&id);
        self.observed = found.observed;
        let live = matches!(
            found.observed,
            Observed::Created | Observed::Running | Observed::Paused
        );
        if live && found.pid.is_some() && !self.ctx.exits.watches(&id) {
            self.actor().watch_shim(&id, found.pid);
            self.observed = self.ctx.table.get(&id).observed;
        }
        // An agent that was killed after a command and before its next save finds out here.
        if matches!(self.observed, Observed::Running | Observed::Paused)
            && matches!(
                self.record.stage,
                Stage::Creating | Stage::Created | Stage::Starting
            )
        {
            self.record.stage = Stage::Started;
            self.record.started_at.get_or_insert_with(|| self.ctx.now());
        }
        if self.observed == Observed::Created && self.record.stage == Stage::Creating {
            self.record.stage = Stage::Created;
        }
        // And one that was killed between a delete and what comes after it.
        if self.observed == Observed::Absent && self.record.stage == Stage::Deleting {
            self.actor().deleted(&id);
        }
    }
}
