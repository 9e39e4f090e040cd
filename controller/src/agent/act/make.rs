//! Making a container: its scratch disk, its bundle, `create`, and the handle of its shim.

use std::fs;

use hcs_crds::Reason;
use runhcs::ErrorKind;

use super::{ActError, Actor, failed};
use crate::agent::bundle::{self, BundleError};
use crate::agent::events::Notice;
use crate::agent::plan::Observed;
use crate::agent::record::{Applied, ScratchMade, Stage};
use crate::agent::runtime::{Call, CallError, Runtime};
use crate::agent::scratch::{ScratchError, ScratchFolder, cache_file};
use crate::agent::validate::desired;
use crate::agent::validate::host::admit_spec;
use crate::agent::validate::paths::PathError;

impl<R: Runtime> Actor<'_, R> {
    pub(super) async fn create_scratch(&mut self) -> Result<(), ActError> {
        let Some(scratch) = self.object.spec.scratch.clone() else {
            return Ok(());
        };
        admit_spec(&self.object.spec, &self.ctx.policy)
            .map_err(|e| ActError::step(Reason::HostPolicyDenied, e.to_string()))?;
        if !self.hold_object().await? {
            return Ok(());
        }
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
            return Err(scratch_failed(&error));
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

    pub(super) async fn create(&mut self) -> Result<(), ActError> {
        let prepared = bundle::prepare(self.object, &self.ctx.policy)
            .map_err(|e| ActError::step(bundle_reason(&e), e.to_string()))?;
        self.ctx
            .claims
            .take(&self.record.object, &prepared.claims)
            .map_err(|e| ActError::step(Reason::BundleInUse, e.to_string()))?;
        if !self.hold_object().await? || !self.earlier_is_settled().await? {
            return Ok(());
        }
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
        self.record.tty = wanted.tty;
        self.save().await?;
        let id = self.id();
        let folder = self.ctx.bundle(&id);
        let mounted = prepared.layer.clone();
        bundle::write(prepared, self.object, self.record, &folder)
            .map_err(|e| ActError::step(bundle_reason(&e), e.to_string()))?;
        let pid_file = folder.join("shim.pid");
        if let Some(layer) = mounted {
            self.ctx.mounts.note(&layer);
        }
        let call = Call::Create {
            id: id.clone(),
            bundle: folder,
            pid_file: pid_file.clone(),
        };
        if let Err(error) = self.call(call).await {
            return self.create_failed(&id, &error).await;
        }
        self.record.stage = Stage::Created;
        self.ctx.table.set(&id, Observed::Created, None);
        let pid = fs::read_to_string(&pid_file)
            .ok()
            .and_then(|text| text.trim().parse().ok());
        self.watch_shim(&id, pid);
        Ok(())
    }

    /// Whether nothing is left of an attempt whose create may have had an effect. Without a list
    /// that tells, there is no next attempt, so that an object never has two containers.
    async fn earlier_is_settled(&mut self) -> Result<bool, ActError> {
        if self.record.stage != Stage::Creating {
            return Ok(true);
        }
        if !self.ctx.relist.refresh().await {
            let message = "runhcs list fails, so what became of the last create is not known";
            return Err(ActError::step(Reason::ListFailed, message));
        }
        let left = self.ctx.table.of_object(&self.record.object.uid);
        if left.is_empty() {
            // The next attempt has another folder, and this one would stay beside it.
            self.remove_bundle(&self.id());
        }
        Ok(left.is_empty())
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

    pub(super) async fn create_failed(
        &mut self,
        id: &str,
        error: &CallError,
    ) -> Result<(), ActError> {
        let clear = matches!(
            error.kind,
            ErrorKind::BundleInvalid | ErrorKind::StorageFailed | ErrorKind::FileNotFound
        );
        let known = if clear {
            self.record.stage = Stage::Deleted;
            self.ctx.table.set(id, Observed::Absent, None);
            true
        } else {
            self.ctx.relist.refresh().await
        };
        if known && self.ctx.table.get(id).observed == Observed::Absent {
            self.remove_bundle(id);
        }
        Err(failed(error, Reason::CreateFailed))
    }
}

fn scratch_failed(error: &CallError) -> ActError {
    // runhcs has the flag since v0.13.0, and names it where it does not know it.
    if error.kind == ErrorKind::Usage && error.message.contains("-use-virtual-memory") {
        let message = format!(
            "{error}; scratch.useVirtualMemory needs runhcs v0.13.0: leave it out, or use that version"
        );
        return ActError::step(Reason::Unsupported, message);
    }
    failed(error, Reason::ScratchFailed)
}

fn bundle_reason(error: &BundleError) -> Reason {
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
        BundleError::Denied(_) => Reason::HostPolicyDenied,
        BundleError::NoConfig { .. } => Reason::BundleMissing,
        BundleError::Read { .. } | BundleError::NotJson { .. } | BundleError::Invalid(_) => {
            Reason::BundleInvalid
        }
        BundleError::Write { .. } => Reason::NodeStorageFailed,
    }
}
