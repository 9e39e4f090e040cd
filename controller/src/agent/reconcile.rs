//! Brings one object from what is there to what is wanted, step by step, and reports.
//!
//! `validate → observe → plan → act → report`: after each step everything is looked at again, so
//! that a spec that changes in the middle counts from the next step on. The report always runs.

use std::sync::Arc;
use std::time::Duration;

use hcs_crds::HcsContainer;
use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::runtime::controller::Action;
use tokio::sync::SemaphorePermit;

use super::act::{ActError, Actor, STRAY};
use super::context::Context;
use super::events::{Notice, latest_of_each_reason};
use super::plan::{Goal, Observed, Step, StepKind, plan, predict};
use super::record::{ObjectId, Record};
use super::relist::Health;
use super::report::{Outcome, Report};
use super::runtime::Runtime;
use super::store::StoreError;
use super::validate;
use crate::kube_client::ApiError;

mod finish;
mod look;
#[cfg(test)]
mod tests;
mod trouble;

use finish::publish;

/// Steps of one reconcile; the longest way has a dozen, so more is a loop that must not get hot.
const MOST_STEPS: usize = 40;
/// Work that takes longer is reported while it goes on.
const REPORT_AFTER: Duration = Duration::from_secs(1);
/// Wait before what failed outside runhcs is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// What ends a reconcile early.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The API server.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The local disk.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The API server shows an older spec than the one that was acted on, and has no object any more.
    #[error(
        "what the API server shows of the object is from the past; waiting for what has become of it"
    )]
    Past,
    /// A bug.
    #[error("the reconcile panicked or was cancelled")]
    Task(#[from] tokio::task::JoinError),
}

/// When to try again after an error.
pub fn after_error(error: &ReconcileError) -> Action {
    match error {
        // Whoever wrote in between has caused an event that brings the object back by itself.
        ReconcileError::Api(error) if error.is_conflict() => {
            Action::requeue(Duration::from_millis(200))
        }
        ReconcileError::Api(error) if error.is_gone() => Action::await_change(),
        _ => Action::requeue(RETRY),
    }
}

/// Reconciles one object of this node.
pub async fn reconcile<R: Runtime>(
    object: Arc<HcsContainer>,
    ctx: Arc<Context<R>>,
) -> Result<Action, ReconcileError> {
    let (Some(uid), Some(namespace)) = (object.uid(), object.namespace()) else {
        return Ok(Action::await_change());
    };
    let health = ctx.relist.health().borrow().clone();
    if health == Health::Unknown {
        return Ok(Action::await_change());
    }
    let id = ObjectId::new(uid, namespace, object.name_any());
    let mut record = ctx.records.hold(&id).await;
    let notices = std::mem::take(&mut record.unpublished);
    let mut run = Run {
        ctx: &ctx,
        object,
        record: &mut record,
        notices,
        health,
        observed: Observed::Absent,
        reported: false,
        turn: None,
        started: tokio::time::Instant::now(),
    };
    let outcome = run.converge().await;
    run.turn = None;
    let gone = matches!(outcome, Ok(Outcome::Gone));
    // Boxed, as are the steps: of all reconciles under way most wait for a turn, and should be small.
    let finished = Box::pin(run.finish(outcome)).await;
    run.record.unpublished = latest_of_each_reason(std::mem::take(&mut run.notices));
    if gone {
        ctx.written.forget(&id.uid, None);
    }
    finished
}

struct Run<'a, R> {
    ctx: &'a Context<R>,
    object: Arc<HcsContainer>,
    record: &'a mut Record,
    notices: Vec<Notice>,
    health: Health,
    observed: Observed,
    /// Whether it took so long that it was reported before its end.
    reported: bool,
    turn: Option<SemaphorePermit<'a>>,
    /// When the turn began.
    started: tokio::time::Instant,
}

impl<R: Runtime> Run<'_, R> {
    async fn converge(&mut self) -> Result<Outcome, ReconcileError> {
        for _ in 0..MOST_STEPS {
            Box::pin(self.look_at_object()).await?;
            self.record
                .heed_clock(&self.ctx.day, &self.ctx.boot_id, &self.object.spec.restart);
            let wanted = validate::desired(&self.object);
            self.keep_last_known();
            self.adopt();
            self.observe();
            if let Health::Fails { .. } = self.health {
                return Ok(Outcome::RuntimeFails);
            }
            self.forget_old_trouble(wanted.generation);
            let needs_container =
                !matches!(wanted.goal, Goal::Gone | Goal::Deleted | Goal::Stopped);
            if needs_container && let Err(invalid) = validate::check(&self.object) {
                return Ok(self.refuse(invalid.to_string()));
            }
            let now = self.ctx.now();
            if validate::observes(&self.object) {
                return Ok(self.look_on(&wanted, now));
            }
            self.record.released = false;
            if wanted.goal != Goal::Gone && !Box::pin(self.hold_again()).await? {
                continue;
            }
            if Box::pin(self.remove_strays()).await? {
                return Ok(Outcome::Waiting(self.retry_of(STRAY)));
            }
            let step = plan(&wanted, self.record, self.observed, now);
            match step {
                Step::Wait { .. } | Step::Settled { .. } => return Ok(Outcome::Planned(step)),
                _ => {
                    if step.kind().is_some() {
                        self.take_turn().await;
                    }
                    Box::pin(self.carry_out(&step)).await?;
                }
            }
            if step == Step::Finalize && !self.has_trouble(StepKind::Finalize) {
                return Ok(Outcome::Gone);
            }
            if step == Step::DeleteObject {
                return Ok(Outcome::Expired);
            }
        }
        tracing::error!(object = %self.record.object, "no end of steps; waiting");
        Ok(Outcome::Waiting(self.ctx.now() + RETRY))
    }

    /// Waits for a turn among those that call runhcs. What takes long gives its turn up.
    async fn take_turn(&mut self) {
        if self.turn.is_none() && !self.reported {
            self.turn = self.ctx.turns.acquire().await.ok();
            self.started = tokio::time::Instant::now();
        }
    }

    fn actor(&mut self) -> Actor<'_, R> {
        Actor {
            ctx: self.ctx,
            object: &mut self.object,
            record: self.record,
            notices: &mut self.notices,
        }
    }

    fn look_on(&mut self, wanted: &super::plan::Desired, now: Timestamp) -> Outcome {
        if wanted.goal == Goal::Gone {
            self.record.released = true;
            return Outcome::Released;
        }
        let step = plan(wanted, self.record, self.observed, now);
        Outcome::Observing(predict(wanted, self.record, self.observed, now), step)
    }

    /// Puts the finalizer back that somebody has taken away: without it the object could go before
    /// its container. A cached object that is older than the last write may only not have it yet. False if the spec is
    /// another than the one that was seen.
    async fn hold_again(&mut self) -> Result<bool, ReconcileError> {
        let reached = self
            .ctx
            .written
            .is_reached_by(&self.record.object.uid, &self.object);
        if self.record.has_leftovers() && self.ctx.is_synced() && reached {
            return Ok(self.actor().hold_object().await?);
        }
        Ok(true)
    }

    /// Removes containers of earlier attempts; true if one could not be removed yet.
    async fn remove_strays(&mut self) -> Result<bool, ReconcileError> {
        let current = self.record.container_id();
        let mut strays = self.ctx.table.of_object(&self.record.object.uid);
        strays.retain(|id| Some(id) != current.as_ref());
        for id in strays {
            if self.retry_of(STRAY) > self.ctx.now() {
                return Ok(true);
            }
            let removed = self.actor().remove_stray(&id).await;
            self.note_result(STRAY, removed)?;
        }
        Ok(self.retry_of(STRAY) > self.ctx.now())
    }

    /// Acts, and reports in between if it takes long.
    async fn carry_out(&mut self, step: &Step) -> Result<(), ReconcileError> {
        let mut before = self.report(Outcome::Doing(step.clone()));
        let (ctx, object) = (self.ctx, Arc::clone(&self.object));
        let (observed, reported) = (self.observed, self.reported);
        let progress_due = self.started + REPORT_AFTER;
        let mut turn = self.turn.take();
        let result = {
            let mut acting = std::pin::pin!(self.actor_act(step, observed));
            if let Ok(result) = tokio::time::timeout_at(progress_due, &mut acting).await {
                result
            } else {
                drop(turn.take());
                if reported {
                    acting.await
                } else {
                    before.now = ctx.now();
                    let published = publish(ctx, &object, &before);
                    let (published, result) = tokio::join!(published, acting);
                    if let Err(error) = published {
                        tracing::debug!(%error, "no interim status");
                    }
                    result
                }
            }
        };
        self.reported = reported || turn.is_none();
        self.turn = turn;
        match step.kind() {
            Some(kind) => self.note_result(kind, result),
            None => match result {
                Ok(()) => Ok(()),
                Err(error) => self.note_result(StepKind::Validate, Err(error)),
            },
        }
    }

    async fn actor_act(&mut self, step: &Step, observed: Observed) -> Result<(), ActError> {
        self.actor().act(step, observed).await
    }

    fn report(&self, outcome: Outcome) -> Report {
        Report {
            record: self.record.clone(),
            observed: self.observed,
            wanted: validate::desired(&self.object),
            health: self.health.clone(),
            outcome,
            now: self.ctx.now(),
        }
    }
}
