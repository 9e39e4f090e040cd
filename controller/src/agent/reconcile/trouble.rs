//! Steps that failed: what is said of them, and when they are tried again.

use std::time::Duration;

use hcs_crds::Reason;
use jiff::Timestamp;

use super::{ReconcileError, Run};
use crate::agent::act::{ActError, Failure};
use crate::agent::events::Notice;
use crate::agent::plan::{StepKind, backoff};
use crate::agent::record::Trouble;
use crate::agent::report::Outcome;
use crate::agent::runtime::Runtime;

impl<R: Runtime> Run<'_, R> {
    /// What failed counts no longer for another spec, or once what was in use is free.
    pub(super) fn forget_old_trouble(&mut self, generation: i64) {
        let claims = &self.ctx.claims;
        let object = &self.record.object;
        let over = self.record.trouble.as_ref().is_some_and(|trouble| {
            let in_use = trouble.reason == Reason::BundleInUse.as_str();
            trouble.generation != generation || (in_use && !claims.waits(object))
        });
        if over {
            self.record.trouble = None;
        }
    }

    /// The spec is not acted on; said once a spec.
    pub(super) fn refuse(&mut self, message: String) -> Outcome {
        let said = |t: &Trouble| t.step == StepKind::Validate && t.message == message;
        if !self.record.trouble.as_ref().is_some_and(said) {
            let (reason, message) = (Reason::InvalidSpec, message.clone());
            self.note_trouble(StepKind::Validate, Failure { reason, message });
        }
        Outcome::Invalid(message)
    }

    pub(super) fn has_trouble(&self, kind: StepKind) -> bool {
        self.record.trouble.as_ref().is_some_and(|t| t.step == kind)
    }

    pub(super) fn retry_of(&self, kind: StepKind) -> Timestamp {
        match &self.record.trouble {
            Some(trouble) if trouble.step == kind => trouble.retry_after,
            _ => Timestamp::MIN,
        }
    }

    pub(super) fn note_result(
        &mut self,
        step: StepKind,
        result: Result<(), ActError>,
    ) -> Result<(), ReconcileError> {
        match result {
            Ok(()) => {
                if self.has_trouble(step) {
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

    pub(super) fn note_trouble(&mut self, step: StepKind, failure: Failure) {
        let same = self.record.trouble.as_ref().filter(|t| t.step == step);
        let count = same.map_or(1, |t| t.count.saturating_add(1));
        let news = same.is_none_or(|t| t.message != failure.message);
        let seed = (&self.record.object.uid, step, count);
        // A step that just failed is never tried again at once, whatever the spec says.
        let wait = backoff(&self.object.spec.restart, count, &seed).max(Duration::from_secs(1));
        let retry_after = self.ctx.now().checked_add(wait).unwrap_or(Timestamp::MAX);
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
