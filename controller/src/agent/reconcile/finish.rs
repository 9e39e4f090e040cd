//! The end of a reconcile: the record is saved, the status written, Events published.

use std::time::Duration;

use hcs_crds::conditions::RUNTIME_RESPONSIVE;
use hcs_crds::{DesiredState, HcsContainer};
use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::runtime::controller::Action;

use super::{RETRY, ReconcileError, Run};
use crate::agent::context::Context;
use crate::agent::events::Notice;
use crate::agent::plan::{Observed, Step, StepKind};
use crate::agent::relist::Health;
use crate::agent::report::{Outcome, Report};
use crate::agent::runtime::Runtime;
use crate::kube_client::ApiError;

impl<R: Runtime> Run<'_, R> {
    /// Saves, publishes, and says when to come back.
    pub(super) async fn finish(
        &mut self,
        outcome: Result<Outcome, ReconcileError>,
    ) -> Result<Action, ReconcileError> {
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(error) => {
                // Where nothing was made there is nothing to know of, and the object may be gone: a new file would stay
                // until a sweep finds it.
                let known = self.record.has_leftovers()
                    || self.ctx.records.has_file(&self.record.object.uid);
                if known {
                    self.save().await;
                }
                return Err(error);
            }
        };
        match outcome {
            Outcome::Released => return self.release().await,
            Outcome::Gone | Outcome::Expired => {
                self.publish_notices().await;
                return Ok(Action::await_change());
            }
            _ => {}
        }
        if let Outcome::Planned(Step::Settled { .. }) = outcome {
            self.record.trouble = None;
            // Who asks for a stop and then for a run wants one, however the last one ended.
            let stopped = [DesiredState::Stopped, DesiredState::Deleted];
            self.record.rearm |=
                self.record.ended.is_some() && stopped.contains(&self.object.spec.desired_state);
            if self.object.spec.desired_state == DesiredState::Deleted {
                self.record.claims.clear();
                self.ctx.release_claims(&self.record.object);
            }
        }
        let saved = self.save().await;
        self.notice_runtime_failure(&outcome);
        let report = self.report(outcome);
        let wake = report.wake();
        publish(self.ctx, &self.object, &report).await?;
        self.publish_notices().await;
        if !saved || !self.notices.is_empty() {
            return Ok(Action::requeue(RETRY));
        }
        Ok(wake.map_or_else(Action::await_change, |at| {
            Action::requeue(until(at, self.ctx.now()))
        }))
    }

    /// An Event for the object when its node's runhcs begins to fail.
    pub(super) fn notice_runtime_failure(&mut self, outcome: &Outcome) {
        let (Outcome::RuntimeFails, Health::Fails { reason, message }) = (outcome, &self.health)
        else {
            return;
        };
        let current = self
            .ctx
            .written
            .current(&self.record.object.uid, &self.object);
        let known = current
            .iter()
            .flat_map(|status| &status.conditions)
            .any(|condition| {
                condition.type_ == RUNTIME_RESPONSIVE && condition.reason == reason.as_str()
            });
        if !known {
            self.notices
                .push(Notice::warning(*reason, "List", message.clone()));
        }
    }

    /// The object goes while it was only observed: what is on the node stays as it is.
    pub(super) async fn release(&mut self) -> Result<Action, ReconcileError> {
        if !self.record.has_leftovers() {
            self.record.released = false;
        }
        let result = self.actor().act(&Step::Finalize, Observed::Absent).await;
        self.note_result(StepKind::Finalize, result)?;
        self.publish_notices().await;
        if self.has_trouble(StepKind::Finalize) {
            let at = self.retry_of(StepKind::Finalize);
            return Ok(Action::requeue(until(at, self.ctx.now())));
        }
        Ok(Action::await_change())
    }

    /// Saves the record; false if that failed.
    pub(super) async fn save(&mut self) -> bool {
        match self.ctx.records.save(self.record).await {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(%error, object = %self.record.object, "record not saved");
                false
            }
        }
    }

    /// Publishes what is worth an Event. What the API server gives no answer to is left for the next
    /// reconcile; what it refuses is a courtesy less.
    pub(super) async fn publish_notices(&mut self) {
        while let Some(notice) = self.notices.first() {
            if let Err(error) = self.ctx.api.event(&self.object, notice).await {
                tracing::warn!(%error, reason = %notice.reason, "no Event");
                if !error.is_refusal() {
                    return;
                }
            }
            self.notices.remove(0);
        }
    }
}

/// Writes the status if it differs from the one that the API server has.
pub(super) async fn publish<R: Runtime>(
    ctx: &Context<R>,
    object: &HcsContainer,
    report: &Report,
) -> Result<(), ApiError> {
    let uid = &report.record.object.uid;
    // An object of the records has no version, and no status to compare with; another of its name
    // may be in its place. All are queued again once the API server's list is in.
    if object.metadata.resource_version.is_none() {
        return Ok(());
    }
    let current = ctx.written.current(uid, object);
    let status = report.status(current.as_ref());
    if current.as_ref() == Some(&status) {
        ctx.written.forget(uid, object.resource_version());
        return Ok(());
    }
    match ctx.api.apply_status(object, &status).await {
        Ok(version) => {
            ctx.saw(version.clone());
            ctx.written.remember(uid, version, status);
            Ok(())
        }
        Err(error) if error.is_gone() => Ok(()),
        Err(error) => Err(error),
    }
}

fn until(at: Timestamp, now: Timestamp) -> Duration {
    let wait = Duration::try_from(at.duration_since(now)).unwrap_or_default();
    // A timer that fires a little early would plan the same wait again, at once.
    wait + Duration::from_millis(5)
}
