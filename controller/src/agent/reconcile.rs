//! Brings one object from what is there to what is wanted, step by step, and reports.
//!
//! `validate → observe → plan → act → report`: after each step everything is looked at again, so
//! that a spec that changes in the middle counts from the next step on. The report always runs.

use std::sync::Arc;
use std::time::Duration;

use hcs_crds::conditions::RUNTIME_RESPONSIVE;
use hcs_crds::{HcsContainer, Reason};
use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::runtime::controller::Action;

use super::act::{ActError, Actor, Failure, STRAY};
use super::context::Context;
use super::events::Notice;
use super::kube_api::ApiError;
use super::plan::{Goal, Observed, Step, StepKind, backoff, plan, predict};
use super::record::{ObjectId, Record, Stage, Trouble, container_id, parse_container_id};
use super::relist::Health;
use super::report::{Outcome, Report};
use super::runtime::Runtime;
use super::store::StoreError;
use super::validate;

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
    let id = ObjectId {
        uid,
        namespace,
        name: object.name_any(),
    };
    let mut record = ctx.records.hold(&id).await;
    let mut run = Run {
        ctx: &ctx,
        object,
        record: &mut record,
        notices: Vec::new(),
        health,
        observed: Observed::Absent,
        reported: false,
    };
    let outcome = run.converge().await;
    let gone = matches!(outcome, Ok(Outcome::Gone));
    let finished = run.finish(outcome).await;
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
    reported: bool,
}

impl<R: Runtime> Run<'_, R> {
    async fn converge(&mut self) -> Result<Outcome, ReconcileError> {
        let started = tokio::time::Instant::now();
        for _ in 0..MOST_STEPS {
            if let Some(latest) = self.latest() {
                self.object = latest;
            }
            let wanted = validate::desired(&self.object);
            self.keep_last_known();
            self.adopt();
            self.observe();
            if let Health::Fails { .. } = self.health {
                return Ok(Outcome::RuntimeFails);
            }
            if self
                .record
                .trouble
                .as_ref()
                .is_some_and(|t| t.generation != wanted.generation)
            {
                self.record.trouble = None;
            }
            let needs_container =
                !matches!(wanted.goal, Goal::Gone | Goal::Deleted | Goal::Stopped);
            if needs_container && let Err(invalid) = validate::check(&self.object) {
                return Ok(self.refuse(invalid.to_string()));
            }
            let now = Timestamp::now();
            if validate::observes(&self.object) {
                return Ok(self.look_on(&wanted, now));
            }
            self.record.released = false;
            if self.remove_strays().await? {
                return Ok(Outcome::Waiting(self.retry_of(STRAY)));
            }
            let step = plan(&wanted, self.record, self.observed, now);
            match step {
                Step::Wait { .. } | Step::Settled { .. } => return Ok(Outcome::Planned(step)),
                _ => self.carry_out(&step, started).await?,
            }
            if step == Step::Finalize && self.record.trouble.is_none() {
                return Ok(Outcome::Gone);
            }
            if step == Step::DeleteObject {
                return Ok(Outcome::Expired);
            }
        }
        tracing::error!(object = %self.record.object, "no end of steps; waiting");
        Ok(Outcome::Waiting(Timestamp::now() + RETRY))
    }

    /// The object in the cache, unless this reconcile holds a newer one.
    fn latest(&self) -> Option<Arc<HcsContainer>> {
        let version = |o: &HcsContainer| o.resource_version().and_then(|v| v.parse::<u64>().ok());
        let cached = self.ctx.latest(&self.record.object)?;
        (version(&cached) >= version(&self.object)).then_some(cached)
    }

    /// Keeps the spec on disk, for the time when the API server is away.
    fn keep_last_known(&mut self) {
        let same = self.record.last_known.as_ref().is_some_and(|known| {
            known.metadata.generation == self.object.metadata.generation
                && known.metadata.deletion_timestamp == self.object.metadata.deletion_timestamp
                && known.metadata.finalizers == self.object.metadata.finalizers
        });
        if !same {
            let mut known = HcsContainer::clone(&self.object);
            known.metadata.managed_fields = None;
            known.status = None;
            self.record.last_known = Some(Arc::new(known));
        }
    }

    /// Finds what runs already where there is no record of it.
    fn adopt(&mut self) {
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
            self.record.started_at = Some(Timestamp::now());
        }
        if let Some(status) = &self.object.status {
            self.record.restart_count = status.restart_count;
            self.record
                .last_termination
                .clone_from(&status.last_termination);
            self.record.tty = status.tty.map(|tty| super::record::TerminalSize {
                width: tty.width,
                height: tty.height,
            });
        }
        let note = format!("took over container {id}, which was there already");
        self.notices.push(
            if self.ctx.records.was_unreadable(&self.record.object.uid) {
                let note = format!("{note}; its record could not be read and was set aside");
                Notice::warning(Reason::RecordUnreadable, "Adopt", note)
            } else {
                Notice::normal(Reason::Adopted, "Adopt", note)
            },
        );
    }

    fn observe(&mut self) {
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
            self.record.started_at.get_or_insert_with(Timestamp::now);
        }
        if self.observed == Observed::Created && self.record.stage == Stage::Creating {
            self.record.stage = Stage::Created;
        }
    }

    /// The spec is not acted on; said once a spec.
    fn refuse(&mut self, message: String) -> Outcome {
        let said = |t: &Trouble| t.step == StepKind::Validate && t.message == message;
        if !self.record.trouble.as_ref().is_some_and(said) {
            let (reason, message) = (Reason::InvalidSpec, message.clone());
            self.note_trouble(StepKind::Validate, Failure { reason, message });
        }
        Outcome::Invalid(message)
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
        Outcome::Observing(predict(wanted, self.record, self.observed, now))
    }

    /// Removes containers of earlier attempts; true if one could not be removed yet.
    async fn remove_strays(&mut self) -> Result<bool, ReconcileError> {
        let current = self.record.container_id();
        let mut strays = self.ctx.table.of_object(&self.record.object.uid);
        strays.retain(|id| Some(id) != current.as_ref());
        for id in strays {
            if self.retry_of(STRAY) > Timestamp::now() {
                return Ok(true);
            }
            let removed = self.actor().remove_stray(&id).await;
            self.note_result(STRAY, removed)?;
        }
        Ok(self.retry_of(STRAY) > Timestamp::now())
    }

    fn retry_of(&self, kind: StepKind) -> Timestamp {
        match &self.record.trouble {
            Some(trouble) if trouble.step == kind => trouble.retry_after,
            _ => Timestamp::MIN,
        }
    }

    /// Acts, and reports in between if it takes long.
    async fn carry_out(
        &mut self,
        step: &Step,
        started: tokio::time::Instant,
    ) -> Result<(), ReconcileError> {
        let mut before = self.report(Outcome::Doing(step.clone()));
        let observed = self.observed;
        let reported = self.reported;
        let ctx = self.ctx;
        let object = Arc::clone(&self.object);
        let result = {
            let mut acting = std::pin::pin!(self.actor_act(step, observed));
            let progress_due = started + REPORT_AFTER;
            match tokio::time::timeout_at(progress_due, &mut acting).await {
                Ok(result) => result,
                Err(_) if reported => acting.await,
                Err(_) => {
                    before.now = Timestamp::now();
                    let (published, result) = tokio::join!(publish(ctx, &object, &before), acting);
                    if let Err(error) = published {
                        tracing::debug!(%error, "no interim status");
                    }
                    result
                }
            }
        };
        self.reported = reported || started.elapsed() >= REPORT_AFTER;
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

    fn note_result(
        &mut self,
        step: StepKind,
        result: Result<(), ActError>,
    ) -> Result<(), ReconcileError> {
        match result {
            Ok(()) => {
                if self.record.trouble.as_ref().is_some_and(|t| t.step == step) {
                    self.record.trouble = None;
                }
                Ok(())
            }
            Err(ActError::Step(failure)) => {
                self.note_trouble(step, failure);
                Ok(())
            }
            Err(ActError::Store(error)) => {
                let (reason, message) = (Reason::NodeStorageFailed, error.to_string());
                self.note_trouble(step, Failure { reason, message });
                Ok(())
            }
            Err(ActError::Api(error)) => Err(error.into()),
        }
    }

    fn note_trouble(&mut self, step: StepKind, failure: Failure) {
        let same = self.record.trouble.as_ref().filter(|t| t.step == step);
        let count = same.map_or(1, |t| t.count.saturating_add(1));
        let news = same.is_none_or(|t| t.message != failure.message);
        let seed = (&self.record.object.uid, step, count);
        // A step that just failed is never tried again at once, whatever the spec says.
        let wait = backoff(&self.object.spec.restart, count, &seed).max(Duration::from_secs(1));
        let retry_after = Timestamp::now().checked_add(wait).unwrap_or(Timestamp::MAX);
        if news {
            let action = format_step(step);
            self.notices.push(Notice::warning(
                failure.reason,
                action,
                failure.message.clone(),
            ));
        }
        self.ctx.metrics.step_failed(failure.reason);
        self.record.trouble = Some(Trouble {
            step,
            reason: failure.reason.to_string(),
            message: failure.message,
            count,
            retry_after,
            generation: self.object.metadata.generation.unwrap_or_default(),
        });
    }

    fn report(&self, outcome: Outcome) -> Report {
        Report {
            record: self.record.clone(),
            observed: self.observed,
            wanted: validate::desired(&self.object),
            health: self.health.clone(),
            outcome,
            now: Timestamp::now(),
        }
    }

    /// Saves, publishes, and says when to come back.
    async fn finish(
        &mut self,
        outcome: Result<Outcome, ReconcileError>,
    ) -> Result<Action, ReconcileError> {
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(error) => {
                self.save().await;
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
        }
        let saved = self.save().await;
        self.notice_runtime_failure(&outcome);
        let report = self.report(outcome);
        let wake = report.wake();
        let published = publish(self.ctx, &self.object, &report).await;
        self.publish_notices().await;
        published?;
        if !saved {
            return Ok(Action::requeue(RETRY));
        }
        Ok(wake.map_or_else(Action::await_change, |at| Action::requeue(until(at))))
    }

    /// An Event for the object when its node's runhcs begins to fail.
    fn notice_runtime_failure(&mut self, outcome: &Outcome) {
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
    async fn release(&mut self) -> Result<Action, ReconcileError> {
        if !self.record.has_leftovers() {
            self.record.released = false;
        }
        let result = self.actor().act(&Step::Finalize, Observed::Absent).await;
        self.note_result(StepKind::Finalize, result)?;
        self.publish_notices().await;
        Ok(Action::await_change())
    }

    /// Saves the record; false if that failed.
    async fn save(&mut self) -> bool {
        match self.ctx.records.save(self.record).await {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(%error, object = %self.record.object, "record not saved");
                false
            }
        }
    }

    async fn publish_notices(&mut self) {
        for notice in std::mem::take(&mut self.notices) {
            self.ctx.api.event(&self.object, &notice).await;
        }
    }
}

/// Writes the status if it differs from the one that the API server has.
async fn publish<R: Runtime>(
    ctx: &Context<R>,
    object: &HcsContainer,
    report: &Report,
) -> Result<(), ApiError> {
    let uid = &report.record.object.uid;
    let current = ctx.written.current(uid, object);
    let status = report.status(current.as_ref());
    if current.as_ref() == Some(&status) {
        ctx.written.forget(uid, object.resource_version());
        return Ok(());
    }
    match ctx.api.apply_status(object, &status).await {
        Ok(version) => {
            ctx.written.remember(uid, version, status);
            Ok(())
        }
        Err(error) if error.is_gone() => Ok(()),
        Err(error) => Err(error),
    }
}

fn until(at: Timestamp) -> Duration {
    let wait = Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default();
    // A timer that fires a little early would plan the same wait again, at once.
    wait + Duration::from_millis(5)
}

fn format_step(step: StepKind) -> &'static str {
    match step {
        StepKind::Validate => "Validate",
        StepKind::CreateScratch => "CreateScratch",
        StepKind::Create => "Create",
        StepKind::Start => "Start",
        StepKind::Pause => "Pause",
        StepKind::Resume => "Resume",
        StepKind::Resize => "ResizeTTY",
        StepKind::ListProcesses => "Ps",
        StepKind::Kill => "Kill",
        StepKind::Delete => "Delete",
        StepKind::ForceDelete => "ForceDelete",
        StepKind::Finalize => "Finalize",
        StepKind::DeleteObject => "DeleteObject",
    }
}
