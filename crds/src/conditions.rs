//! Condition types and reasons: the vocabulary that status, Events, metrics and the runbook share.
//!
//! A reason is part of the API: people alert on it. One is added, never renamed, and each has an
//! anchor in the runbook (its name in lower case).

use std::fmt;

macro_rules! condition_types {
    ($($(#[doc = $doc:literal])+ $constant:ident = $name:literal),+ $(,)?) => {
        $($(#[doc = $doc])+ pub const $constant: &str = $name;)+

        /// Every condition type with what it means.
        pub const TYPES: &[(&str, &str)] = &[$(($name, concat!($($doc, "\n"),+).trim_ascii()),)+];
    };
}

condition_types! {
    /// What runs is what the spec asks for: true also of a container that is Paused because it
    /// should be. Of an HcsNode: its agent is at work and its runhcs answers. Always present once
    /// an agent has seen the object; Unknown while the node's agent is not heard of.
    READY = "Ready",
    /// The agent is still at work (kstatus). Present only while true.
    RECONCILING = "Reconciling",
    /// The agent cannot go on by itself (kstatus). Present only while true.
    STALLED = "Stalled",
    /// The scratch disk is there with the wanted size. Present only with `spec.scratch`.
    SCRATCH_READY = "ScratchReady",
    /// The node's runhcs answers in time and in its own format.
    RUNTIME_RESPONSIVE = "RuntimeResponsive",
    /// The spec has changed in a way that `updatePolicy: Manual` leaves to a person.
    RESTART_REQUIRED = "RestartRequired",
    /// Of an HcsNode: the disk of the agent's data folder is nearly full.
    DISK_PRESSURE = "DiskPressure",
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $variant:ident),+ $(,)?) => {
        /// Why a condition is as it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Reason {
            /// Every reason, for the runbook's and the documentation's checks.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The reason as conditions, Events and metrics carry it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)+ }
            }

            /// What it means and what to do, in the words of this enum's documentation.
            pub const fn help(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc, "\n"),+).trim_ascii(),)+ }
            }
        }
    };
}

reasons! {
    // Where the container is: what was asked for, or on its way there.

    /// Waits for the agent of its node. If it stays, no agent runs for `spec.nodeName`.
    Pending,
    /// `runhcs create` is under way. Wait.
    Creating,
    /// It is created and not started, as asked. Nothing to do.
    Created,
    /// `runhcs start` is under way. Wait.
    Starting,
    /// It runs, as asked. Nothing to do.
    Running,
    /// `runhcs pause` is under way. Wait.
    Pausing,
    /// It is paused, as asked. Nothing to do.
    Paused,
    /// `runhcs resume` is under way. Wait.
    Resuming,
    /// The stop signal is sent and the grace period runs. Wait.
    Stopping,
    /// It is stopped, as asked. Nothing to do.
    Stopped,
    /// `runhcs delete` is under way. Wait.
    Deleting,
    /// It is gone from the node, as asked. Nothing to do.
    Deleted,
    /// The object is being deleted, and the container with it. Wait; the finalizer goes last.
    Terminating,
    /// It ended with exit code 0 and its restart policy leaves it so. Nothing to do.
    Completed,
    /// It ended with another exit code than 0 and its restart policy leaves it so. See
    /// `status.lastTermination`; a changed `restartRequest` runs it again.
    ContainerFailed,
    /// It ended, and the next start waits: see `status.backoff` and `status.lastTermination`.
    WaitingForBackoff,
    /// It ended more often than `restart.maxRestarts`. Find out why it ends, then change
    /// `restartRequest`.
    RestartLimitReached,
    /// It is being made anew because `restartRequest` changed. Wait.
    RestartRequested,
    /// It is being made anew because its bundle or scratch changed. Wait.
    SpecChanged,
    /// It was running already when the agent started, and is looked after again. Nothing to do.
    Adopted,
    /// `managementPolicy: Observe`: nothing is run; `status.plannedActions` says what would be.
    Observing,

    // The spec or the bundle is at fault: a person has to change something.

    /// The spec breaks a rule that the agent checks again. Correct what the message names.
    InvalidSpec,
    /// `bundle.path` is not on the node, or has no `config.json`. Put it there.
    BundleMissing,
    /// The bundle's `config.json` is not JSON or lacks what a container needs. Correct it.
    BundleInvalid,
    /// Another object runs the same bundle on this node. Give each its own, or delete one.
    BundleInUse,
    /// A path lies outside the agent's allowed roots, or leads out of them through a link. Move
    /// it, or add the root to the agent's settings.
    PathNotAllowed,
    /// The spec asks for more of the node than its agent allows. The message names the field, its
    /// value, the rule, and what to do.
    HostPolicyDenied,
    /// A layer folder or a mount's source is not on the node. Put it there.
    LayerMissing,
    /// What the spec asks for, this node's runhcs cannot do. See the message; use another node
    /// or another version of runhcs.
    Unsupported,

    // A command failed: the message has its stderr; the agent tries again after a while.

    /// The scratch disk is being made. Wait: it takes up to some minutes.
    ScratchCreating,
    /// The scratch disk is there. Nothing to do.
    ScratchCreated,
    /// The scratch disk could not be made. See the message: often no LCOW files or a full disk.
    ScratchFailed,
    /// `runhcs create` failed. See the message: often a layer that is missing or in use.
    CreateFailed,
    /// `runhcs start` failed. See the message: often a program that is not in the image.
    StartFailed,
    /// `runhcs pause` failed. See the message.
    PauseFailed,
    /// Windows cannot pause this container: only HyperV isolation can be paused.
    PauseUnsupported,
    /// `runhcs resume` failed. See the message.
    ResumeFailed,
    /// `runhcs kill` failed. The agent removes the container by force after the grace period.
    KillFailed,
    /// `runhcs delete` failed. The agent tries again, with force. If it stays, see the message.
    DeleteFailed,
    /// `runhcs resize-tty` failed. See the message.
    ResizeFailed,

    // runhcs or the node is at fault.

    /// runhcs answers. Nothing to do.
    RuntimeResponds,
    /// The configured runhcs executable is not there or cannot be run. Install it.
    RuntimeMissing,
    /// runhcs did not end within its deadline and was killed. See the node's Host Compute Service.
    RuntimeHung,
    /// runhcs printed what is not its format. See the message; check its version.
    RuntimeBadOutput,
    /// runhcs failed in a way that has no reason of its own. See the message.
    RuntimeFailed,
    /// `runhcs list` failed, so what runs on the node is not known. See the message.
    ListFailed,
    /// A local file of the agent could not be written or read. Check the data folder's disk.
    NodeStorageFailed,
    /// It did not end within its grace period and was removed by force. Handle the stop signal in
    /// the container, or give it more time.
    ForceKilled,
    /// The node was rebooted, which ends every container; it is being made again. Nothing to do.
    NodeRebooted,
    /// No node with the name `spec.nodeName` is in the cluster. The field is immutable: delete the
    /// object and make it again.
    NodeUnknown,
    /// Nothing is heard of the node's agent: it has not renewed its Lease in time, or it never took
    /// the object up. What runs is not known. Check that the agent runs on the node and reaches the
    /// API server, and that its runhcs answers.
    NodeLost,
    /// The node is gone from the cluster for good, so the object was let go without its agent. What
    /// ran there is not known; an agent that comes back removes it.
    NodeGone,
    /// runhcs no longer knows the container, though nobody asked for that. It is made again.
    ContainerLost,
    /// A half-made container was found and removed by force. Nothing to do.
    HalfMadeRemoved,
    /// A container of this operator that no object wants was removed. Nothing to do.
    OrphanRemoved,
    /// The agent's own record of this container cannot be read. It goes on from what runs; remove
    /// the file that the message names if it stays.
    RecordUnreadable,

    // For the conditions of an HcsNode.

    /// The agent is at work and its runhcs answers. Nothing to do.
    AgentReady,
    /// The disk of the agent's data folder has less room than the settings want. Make room: see the
    /// inventory of the HcsNode for what is left over.
    DiskSpaceLow,
    /// The disk of the agent's data folder has room. Nothing to do.
    DiskSpaceEnough,
    /// The agent cannot tell how much room its disk has. Check the disk of its data folder.
    DiskSpaceUnknown,

    // For the condition RestartRequired.

    /// A change waits for a restart: `updatePolicy` is Manual. Change `restartRequest` to apply it.
    RestartRequired,
    /// What runs is what the spec says. Nothing to do.
    NotRequired,

    // For Events.

    /// The console has a new size. Nothing to do.
    Resized,
    /// `ttlSecondsAfterFinished` is over and the object is being deleted. Nothing to do.
    TtlExpired,
}

impl Reason {
    /// The reason's anchor in the runbook, without `#`.
    pub fn anchor(self) -> String {
        self.as_str().to_ascii_lowercase()
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
