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

/// Of each reason the latest, so that a long time without the API server ends with few Events.
pub fn latest_of_each_reason(mut notices: Vec<Notice>) -> Vec<Notice> {
    let mut seen = Vec::new();
    notices.reverse();
    notices.retain(|notice| {
        let new = !seen.contains(&notice.reason);
        seen.push(notice.reason);
        new
    });
    notices.reverse();
    notices
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_notices_the_latest_of_each_reason_is_kept_in_order() {
        let notice = |reason, message: &str| Notice::normal(reason, "Test", message);
        let notices = vec![
            notice(Reason::ContainerFailed, "1"),
            notice(Reason::NodeRebooted, "2"),
            notice(Reason::ContainerFailed, "3"),
        ];
        let kept = latest_of_each_reason(notices);
        let messages: Vec<_> = kept.iter().map(|n| n.message.as_str()).collect();
        assert_eq!(messages, ["2", "3"]);
    }
}
