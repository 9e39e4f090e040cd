//! Carries out one step of a plan. Every step is idempotent: an outcome that shows the step's end
//! reached already counts as success, and one that leaves it open is settled by a new list.

use std::sync::Arc;

use hcs_crds::{FINALIZER, HcsContainer, Reason};
use kube::ResourceExt as _;
use runhcs::{ErrorKind, TtySize};

use super::capabilities::Defect;
use super::context::Context;
use super::events::Notice;
use super::plan::{Observed, Step, StepKind};
use super::record::Record;
use super::relist::reason_of;
use super::runtime::{Call, CallError, Reply, Runtime};
use super::store::StoreError;
use crate::kube_client::ApiError;

mod make;
mod remove;
mod run;

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

    /// What the agent knows of the current attempt's container now.
    fn observed(&self) -> Observed {
        self.ctx.table.get(&self.id()).observed
    }

    fn id(&self) -> String {
        self.record.container_id().unwrap_or_default()
    }

    async fn call(&mut self, call: Call) -> Result<Reply, CallError> {
        let outcome = self.ctx.runtime.run(&call).await;
        self.record.remember(outcome.command);
        self.ctx.capabilities.learn(&call, &outcome.result);
        outcome.result
    }

    async fn save(&mut self) -> Result<(), StoreError> {
        self.ctx.records.save(self.record).await
    }

    /// Makes sure that the object cannot go before what is about to be made has gone. False if its spec turns out to be
    /// another than the one that was seen, so that what is to be done has to be planned anew.
    pub async fn hold_object(&mut self) -> Result<bool, ApiError> {
        if self.object.finalizers().iter().any(|f| f == FINALIZER) {
            return Ok(true);
        }
        let seen = self.object.metadata.generation;
        let mut latest = self.ctx.api.add_finalizer(self.object).await?;
        latest.metadata.managed_fields = None;
        self.ctx.saw(latest.resource_version());
        *self.object = Arc::new(latest);
        Ok(self.object.metadata.generation == seen)
    }

    /// A command that failed: what is there now decides whether it has to be tried again.
    async fn unclear(
        &mut self,
        before: Observed,
        error: &CallError,
        reason: Reason,
    ) -> Result<(), ActError> {
        self.ctx.relist.refresh().await;
        let changed = self.observed() != before;
        if changed && reason_of(error.kind).is_none() {
            return Ok(());
        }
        Err(failed(error, reason))
    }
}

fn failed(error: &CallError, otherwise: Reason) -> ActError {
    if let Some(defect) = Defect::shown_by(&error.message) {
        return ActError::step(Reason::Unsupported, format!("{error}; {defect}"));
    }
    let reason = reason_of(error.kind).unwrap_or(match error.kind {
        ErrorKind::BundleInvalid => Reason::BundleInvalid,
        ErrorKind::NotSupported => Reason::Unsupported,
        _ => otherwise,
    });
    ActError::step(reason, error.message.clone())
}

/// The step kind under which a failure of removing strays is filed.
pub const STRAY: StepKind = StepKind::ForceDelete;
