//! What is worth an Event: what a reader of `kubectl describe` could not see in the status.
//!
//! The straight way to Running publishes none, so that a thousand containers that just work cost
//! the API server nothing but their status.

use hcs_crds::Reason;

/// An Event to be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whether it is a Warning.
    pub warning: bool,
    /// The reason.
    pub reason: Reason,
    /// The action, as events.k8s.io/v1 asks for.
    pub action: &'static str,
    /// The note.
    pub message: String,
}

impl Notice {
    /// Something to look at.
    pub fn warning(reason: Reason, action: &'static str, message: impl Into<String>) -> Self {
        Self {
            warning: true,
            reason,
            action,
            message: message.into(),
        }
    }

    /// Something to know.
    pub fn normal(reason: Reason, action: &'static str, message: impl Into<String>) -> Self {
        Self {
            warning: false,
            reason,
            action,
            message: message.into(),
        }
    }
}
