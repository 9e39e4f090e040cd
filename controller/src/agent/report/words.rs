//! Which words stand for what: a step under way, a reason of a record, and what waits for a person.

use hcs_crds::Reason;

use crate::agent::plan::Step;

/// What a person has to change, in the spec or on the node: the agent tries again now and then, but
/// whoever waits for it waits in vain. What may come by itself, such as a bundle, is not of these.
pub const STALLING: [Reason; 5] = [
    Reason::BundleInvalid,
    Reason::HostPolicyDenied,
    Reason::PathNotAllowed,
    Reason::PauseUnsupported,
    Reason::Unsupported,
];

/// The reason and the words for a step that is under way.
pub fn doing(step: &Step) -> (Reason, &'static str) {
    match step {
        Step::CreateScratch => (Reason::ScratchCreating, "making the scratch disk"),
        Step::Create => (Reason::Creating, "creating the container"),
        Step::Start | Step::ListProcesses => (Reason::Starting, "starting the container"),
        Step::Pause => (Reason::Pausing, "pausing the container"),
        Step::Resume => (Reason::Resuming, "resuming the container"),
        Step::Resize(_) => (Reason::Running, "resizing the console"),
        Step::Kill | Step::AccountEnd => (Reason::Stopping, "stopping the container"),
        Step::Delete | Step::ForceDelete => (Reason::Deleting, "deleting the container"),
        Step::Finalize | Step::DeleteObject => (Reason::Terminating, "deleting the object"),
        Step::ForgetFailures | Step::Wait { .. } | Step::Settled { .. } => {
            (Reason::Pending, "waiting")
        }
    }
}

/// The reason that a record keeps as text; a record of another version may have one we lack.
pub fn reason_named(name: &str) -> Reason {
    Reason::ALL
        .iter()
        .copied()
        .find(|r| r.as_str() == name)
        .unwrap_or(Reason::RuntimeFailed)
}
