//! What the agent remembers of one `HcsContainer` on this node.
//!
//! The record is the local truth: it is written before each command that changes anything, so that
//! an agent that was killed in the middle finds out what was under way. `status` is derived from it
//! and never read back while a record exists.

use std::collections::VecDeque;
use std::ops::Deref;
use std::sync::Arc;

use hcs_crds::{CommandRecord, HcsContainer, ReclaimPolicy, Termination};
use jiff::{SignedDuration, Timestamp};
use kube::core::ObjectMeta;
use serde::{Deserialize, Serialize, Serializer};

use super::events::Notice;
use super::plan::StepKind;

/// How many commands `status.recentCommands` shows.
pub const RECENT_COMMANDS: usize = 10;

/// Who an object is. Copies share it, for it stands in many tables.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ObjectId(Arc<Identity>);

impl ObjectId {
    /// The id of these names.
    pub fn new(
        uid: impl Into<String>,
        namespace: impl Into<String>,
        name: impl Into<String>,
    ) -> Self {
        Self(Arc::new(Identity {
            uid: uid.into(),
            namespace: namespace.into(),
            name: name.into(),
        }))
    }
}

impl Deref for ObjectId {
    type Target = Identity;

    fn deref(&self) -> &Identity {
        &self.0
    }
}

/// An object's names: the uid tells two objects of one name apart.
#[derive(Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Identity {
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
}

impl std::fmt::Display for ObjectId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// How far the current attempt got, as the agent knows from its own commands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// No attempt was made yet.
    #[default]
    None,
    /// `create` was called; whether it had an effect is not known.
    Creating,
    /// `create` succeeded.
    Created,
    /// `start` was called.
    Starting,
    /// The init process ran.
    Started,
    /// `delete` was called.
    Deleting,
    /// The attempt's container is gone and was meant to go.
    Deleted,
}

/// The shim process that stands for a container on the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shim {
    /// Host process id.
    pub pid: u32,
    /// Start time in the platform's own unit; with the boot id it tells a reused pid apart.
    pub start_time: u64,
}

/// What of the spec the current attempt was made from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// Hash of everything that only a new container can honour.
    pub hash: String,
    /// `spec.restartRequest` at the time.
    pub restart_request: Option<String>,
}

/// A terminal's size in character cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalSize {
    /// Columns.
    pub width: u16,
    /// Rows.
    pub height: u16,
}

/// Why an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// The container's init process ended by itself.
    Guest,
    /// The agent stopped it, with the stop signal.
    Stopped,
    /// The agent ended it by force after the grace period.
    Forced,
    /// It was there and is no longer, and nobody told the agent.
    Lost,
    /// The node was restarted.
    Rebooted,
    /// The init process could not be started.
    StartFailed,
}

impl Cause {
    /// Whether the agent itself ended the attempt.
    pub fn is_operator(self) -> bool {
        matches!(self, Self::Stopped | Self::Forced)
    }

    /// Whether the end counts as a failure that delays the next attempt.
    pub fn is_charged(self) -> bool {
        matches!(self, Self::Guest | Self::Lost | Self::StartFailed)
    }
}

/// The end of the current attempt, accounted for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// The init process's exit code; none where no handle was held when it ended.
    pub exit_code: Option<u32>,
    /// Why.
    pub cause: Cause,
    /// When it was noticed.
    pub at: Timestamp,
}

/// A stop under way: the signal was sent, the grace period runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// When the signal was first sent.
    pub signaled_at: Timestamp,
    /// Whether the call that sends it has come back. If not, an agent that died may not have sent it at all.
    #[serde(default)]
    pub told: bool,
    /// Whether force was used since.
    pub forced: bool,
}

/// A step that failed, and when it may be tried again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// Which step.
    pub step: StepKind,
    /// The reason label for the condition and the Event.
    pub reason: String,
    /// One sentence that names the cause and the remedy.
    pub message: String,
    /// How often in a row.
    pub count: u32,
    /// Not before this.
    pub retry_after: Timestamp,
    /// `metadata.generation` that it failed with: a new spec is tried at once.
    pub generation: i64,
}

/// The scratch file made for this object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScratchMade {
    /// Size in GB.
    pub size_gb: u32,
    /// Where it lies, below the agent's data folder.
    pub path: String,
}

/// Processes inside the container, as `ps` last listed them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Processes {
    /// How many.
    pub count: u32,
    /// The first of them.
    pub pids: Vec<u32>,
}

/// Everything that is remembered of one object.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// Whose record this is.
    pub object: ObjectId,
    /// The object as last seen, for the time when the API server is away.
    #[serde(serialize_with = "as_specified")]
    pub last_known: Option<Arc<HcsContainer>>,
    /// Number of the current attempt; 0 before the first.
    pub attempt: u32,
    /// How far it got.
    pub stage: Stage,
    /// What it was made from.
    pub applied: Applied,
    /// Terminal size that the container has; none where it has no console.
    pub tty: Option<TerminalSize>,
    /// Its shim.
    pub shim: Option<Shim>,
    /// Boot id of the node when the attempt was made.
    pub boot_id: String,
    /// When its init process was started.
    pub started_at: Option<Timestamp>,
    /// A stop under way.
    pub stop: Option<Stop>,
    /// Its end.
    pub ended: Option<Ended>,
    /// A start is due whatever the restart policy says, since the agent or the user asked for it.
    pub rearm: bool,
    /// What `start` said when it failed.
    pub start_error: Option<String>,
    /// The last end, of this or an earlier attempt. Boxed: most have none.
    pub last_termination: Option<Box<Termination>>,
    /// How often a container was made again after it had ended by itself.
    pub restart_count: u32,
    /// Ends in a row that came too soon.
    pub failures: u32,
    /// When the next attempt is due.
    pub retry_after: Option<Timestamp>,
    /// The step that does not succeed.
    pub trouble: Option<Trouble>,
    /// The scratch file.
    pub scratch: Option<ScratchMade>,
    /// What becomes of it, as long as the spec said so.
    #[serde(default)]
    pub scratch_policy: ReclaimPolicy,
    /// Processes inside.
    pub processes: Option<Processes>,
    /// The last commands.
    pub recent: VecDeque<CommandRecord>,
    /// What this object holds that no other may have at the same time.
    pub claims: Vec<String>,
    /// The object went while only observed: its container is left as it is.
    pub released: bool,
    /// The API server's store has gone back to before this object: that it is not there says nothing.
    #[serde(default)]
    pub lost: bool,
    /// The uid of the other object of its name that was then seen in its place: it will not come back, whatever becomes of
    /// that one.
    #[serde(default)]
    pub replaced_by: Option<String>,
    /// The newest resourceVersion that the agent had seen when this was saved (`store.rs`).
    #[serde(default, skip_serializing)]
    pub seen: u64,
    /// When the node was booted, by the clock that these times are of (`day.rs`).
    #[serde(default)]
    pub booted_at: Option<Timestamp>,
    /// By how much the clock had been set when this agent last moved these times along; none before.
    #[serde(skip)]
    pub set_by: Option<SignedDuration>,
    /// Events that the API server has yet to be told of. They do not outlive the agent.
    #[serde(skip)]
    pub unpublished: Vec<Notice>,
}

impl Record {
    /// A record of an object that was never acted on.
    pub fn new(object: ObjectId) -> Self {
        Self {
            object,
            last_known: None,
            attempt: 0,
            stage: Stage::None,
            applied: Applied::default(),
            tty: None,
            shim: None,
            boot_id: String::new(),
            started_at: None,
            stop: None,
            ended: None,
            rearm: false,
            start_error: None,
            last_termination: None,
            restart_count: 0,
            failures: 0,
            retry_after: None,
            trouble: None,
            scratch: None,
            scratch_policy: ReclaimPolicy::default(),
            processes: None,
            recent: VecDeque::new(),
            claims: Vec::new(),
            released: false,
            lost: false,
            replaced_by: None,
            seen: 0,
            booted_at: None,
            set_by: None,
            unpublished: Vec::new(),
        }
    }

    /// The current attempt's container id, made by the agent and never taken from a spec.
    pub fn container_id(&self) -> Option<String> {
        (self.attempt > 0).then(|| container_id(&self.object.uid, self.attempt))
    }

    /// Whether a container of the current attempt was made and was not meant to go.
    pub fn expects_container(&self) -> bool {
        matches!(
            self.stage,
            Stage::Created | Stage::Starting | Stage::Started
        )
    }

    /// Whether anything of this object may be left on the node.
    pub fn has_leftovers(&self) -> bool {
        self.attempt > 0 || self.scratch.is_some()
    }

    /// Opens the next attempt; the caller saves the record before it calls `create`.
    pub fn begin_attempt(&mut self, applied: Applied, boot_id: &str) {
        let by_itself = self.ended.as_ref().is_some_and(|e| !e.cause.is_operator()) && !self.rearm;
        if by_itself {
            self.restart_count += 1;
        }
        self.attempt += 1;
        self.stage = Stage::Creating;
        self.applied = applied;
        boot_id.clone_into(&mut self.boot_id);
        self.tty = None;
        self.shim = None;
        self.started_at = None;
        self.stop = None;
        self.ended = None;
        self.rearm = false;
        self.start_error = None;
        self.retry_after = None;
        self.processes = None;
    }

    /// Remembers a command for `status.recentCommands`.
    pub fn remember(&mut self, command: CommandRecord) {
        while self.recent.len() >= RECENT_COMMANDS {
            self.recent.pop_front();
        }
        self.recent.push_back(command);
    }
}

/// An object without what changes while its spec stays, so that its record is not written again for
/// each status. In memory it is the cache's own object: a copy would double what each one takes.
#[expect(clippy::ref_option, reason = "serde gives a reference to the field")]
fn as_specified<S: Serializer>(
    object: &Option<Arc<HcsContainer>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let specified = object.as_deref().map(|object| HcsContainer {
        metadata: ObjectMeta {
            resource_version: None,
            managed_fields: None,
            ..object.metadata.clone()
        },
        spec: object.spec.clone(),
        status: None,
    });
    specified.serialize(serializer)
}

/// The container id of one attempt: lower case, no characters that any layer could misread.
pub fn container_id(uid: &str, attempt: u32) -> String {
    format!("hc-{}-{attempt}", uid.to_ascii_lowercase())
}

/// The uid and attempt that a container id of ours names; none for any other id.
pub fn parse_container_id(id: &str) -> Option<(&str, u32)> {
    let (uid, attempt) = id.strip_prefix("hc-")?.rsplit_once('-')?;
    let ours = uid.len() == 36
        && uid
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b) || b == b'-');
    let attempt = attempt.parse().ok().filter(|n| *n > 0)?;
    // `+7` and `07` are numbers too, and names that the agent does not give.
    (ours && container_id(uid, attempt) == id).then_some((uid, attempt))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn container_ids_round_trip_and_foreign_ids_are_not_ours() {
        let uid = "0b8f6c1e-6d5e-4f7a-9c51-000000000001";
        assert_eq!(parse_container_id(&container_id(uid, 7)), Some((uid, 7)));
        for foreign in ["web", "hc-web-1", "hc--1", "hc-0b8f6c1e-1", "hc-", ""] {
            assert_eq!(parse_container_id(foreign), None, "{foreign}");
        }
        assert_eq!(parse_container_id(&format!("hc-{uid}-0")), None);
        assert_eq!(parse_container_id(&format!("hc-{uid}-x")), None);
    }

    #[test]
    fn an_id_whose_attempt_is_written_otherwise_than_the_agent_does_is_foreign() {
        let uid = "0b8f6c1e-6d5e-4f7a-9c51-000000000001";
        for attempt in ["07", "000007", "+7", "4294967296"] {
            let id = format!("hc-{uid}-{attempt}");
            assert_eq!(parse_container_id(&id), None, "{id}");
        }
    }

    #[test]
    fn only_the_last_commands_are_remembered() {
        let mut record = Record::new(ObjectId::new("u", "n", "a"));
        for n in 0..25 {
            record.remember(CommandRecord {
                command: format!("{n}"),
                ..Default::default()
            });
        }
        assert_eq!(record.recent.len(), RECENT_COMMANDS);
        assert_eq!(record.recent.back().map(|c| c.command.as_str()), Some("24"));
    }
}
