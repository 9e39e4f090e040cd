//! An `HcsContainer`'s status: what the node's agent last saw.
//!
//! Reading is tolerant: a value or field that this version does not know, written by a newer
//! agent, never fails the whole object.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::spec::Tty;

/// A point in time as the API stores it: in whole seconds, so that a status which is read back
/// equals the one that was written and a comparison of the two does not call for another write.
pub fn whole_seconds(at: Timestamp) -> Time {
    Time(Timestamp::from_second(at.as_second()).unwrap_or(at))
}

/// Where a container is in its life.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Phase {
    /// No agent has acted on it yet.
    #[default]
    Pending,
    /// `runhcs create` or `create-scratch` is under way.
    Creating,
    /// Created, not started.
    Created,
    /// Started.
    Running,
    /// Paused.
    Paused,
    /// A stop is under way.
    Stopping,
    /// Ended, or stopped on request.
    Stopped,
    /// It cannot go on without a change of the spec or the node.
    Failed,
    /// Gone from the node.
    Deleted,
    /// The agent cannot tell; also any phase that this version does not know.
    #[serde(other)]
    Unknown,
}

/// Who ended a container.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Initiator {
    /// The container's own first process.
    Guest,
    /// The agent, to make the spec true.
    Operator,
    /// The node: it was rebooted.
    Node,
    /// Not known; also any value that this version does not know.
    #[default]
    #[serde(other)]
    Unknown,
}

/// What the node's agent last saw of a container.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct HcsContainerStatus {
    /// `metadata.generation` that this status speaks of; -1 before any agent has seen the object.
    #[serde(default = "unobserved")]
    pub observed_generation: i64,
    /// Where the container is in its life: Pending (no agent has acted on it yet), Creating,
    /// Created, Running, Paused, Stopping, Stopped (it ended, or was stopped on request), Failed
    /// (it cannot go on without a change of the spec or the node), Deleted (gone from the node) or
    /// Unknown (its agent cannot tell). For people: programs read the conditions.
    #[serde(default)]
    #[schemars(with = "String")]
    pub phase: Phase,
    /// Id of the container in runhcs: `hc-<uid>-<attempt>`, lower case. Made by the agent, a new
    /// one for each attempt; stays after the container is gone. Absent before the first create.
    #[serde(
        rename = "containerID",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub container_id: Option<String>,
    /// Which container of this object it is, counted from 1: each create gets the next number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// Id of the node's process that stands for the container (the runhcs shim). Valid only
    /// together with pidStartTime and bootID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// When the process pid started, by the node's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid_start_time: Option<Time>,
    /// Identifies the boot of the node that pid belongs to. Another value later means that the
    /// node was rebooted.
    #[serde(rename = "bootID", default, skip_serializing_if = "Option::is_none")]
    pub boot_id: Option<String>,
    /// Processes inside the container (`runhcs ps`), as seen when its state last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processes: Option<Processes>,
    /// How often the container was made anew after it had ended by itself, over the object's whole
    /// life.
    #[serde(default)]
    pub restart_count: u32,
    /// How the last container of this object that ended did so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_termination: Option<Termination>,
    /// Present while a restart, or a command that failed, is being held back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Backoff>,
    /// The scratch disk that exists on the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scratch: Option<ScratchStatus>,
    /// Console size in character cells that was last set. Absent while no container exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tty: Option<Tty>,
    /// With managementPolicy Observe: the commands that Manage would run now, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub planned_actions: Vec<String>,
    /// The last runhcs commands for this container, at most 10, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recent_commands: Vec<CommandRecord>,
    /// When the current container was started. Absent while none runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// What is true of the container, one condition a type: Ready, Reconciling, Stalled (the last
    /// two only while true), ScratchReady, RuntimeResponsive, RestartRequired. Each carries the
    /// generation that it speaks of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".to_owned()]))]
    pub conditions: Vec<Condition>,
}

fn unobserved() -> i64 {
    -1
}

/// The status of an object that no agent has seen, as the CRD's default gives it.
impl Default for HcsContainerStatus {
    fn default() -> Self {
        Self {
            observed_generation: unobserved(),
            phase: Phase::default(),
            container_id: None,
            attempt: None,
            pid: None,
            pid_start_time: None,
            boot_id: None,
            processes: None,
            restart_count: 0,
            last_termination: None,
            backoff: None,
            scratch: None,
            tty: None,
            planned_actions: Vec::new(),
            recent_commands: Vec::new(),
            started_at: None,
            conditions: Vec::new(),
        }
    }
}

/// Processes inside a container (`runhcs ps`).
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Processes {
    /// How many there are, the container's own system processes included.
    #[serde(default)]
    pub count: u32,
    /// Their ids as runhcs reports them, at most 64.
    #[serde(default)]
    pub pids: Vec<u32>,
    /// Whether pids leaves some out.
    #[serde(default)]
    pub truncated: bool,
}

/// How a container ended.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Termination {
    /// Exit code of the container's first process, an unsigned 32-bit number on Windows. Absent if
    /// no agent was there to see it: runhcs keeps it nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i64>,
    /// The exit code in hexadecimal with at least 8 digits, as Windows documents its codes:
    /// 0xC0000409.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code_hex: Option<String>,
    /// Name of the exit code where it is a well-known one of Windows, such as
    /// STATUS_STACK_BUFFER_OVERRUN; or what ended it, such as NodeRebooted or ContainerLost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who ended it: Guest (its own first process), Operator (the agent, to make the spec true),
    /// Node (a reboot) or Unknown.
    #[serde(default)]
    #[schemars(with = "String")]
    pub initiator: Initiator,
    /// When the container that ended had been started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When the agent saw its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
}

impl Termination {
    /// The fields that follow from an exit code alone: the code, its hexadecimal form and, where
    /// it is well known, its name.
    pub fn of_exit_code(code: i64) -> Self {
        Self {
            exit_code: Some(code),
            exit_code_hex: Some(format!("0x{code:08X}")),
            reason: crate::exit_code_name(code).map(str::to_owned),
            ..Self::default()
        }
    }
}

/// Restarts or failed commands that are being held back.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Backoff {
    /// Ends or failed commands in a row, which the wait grows with.
    #[serde(default)]
    pub consecutive_failures: u32,
    /// Not before this time is the next try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Time>,
}

/// The scratch disk that exists.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ScratchStatus {
    /// Absolute path of the file on the node, below the agent's data folder.
    #[serde(default)]
    pub path: String,
    /// The size in GiB that it was made with.
    #[serde(rename = "sizeGB", default)]
    pub size_gb: u32,
}

/// One runhcs command that was run.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct CommandRecord {
    /// The verb and its arguments.
    #[serde(default)]
    pub command: String,
    /// Exit code of runhcs; absent if it was killed at its deadline or could not be run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i64>,
    /// How long it took, in milliseconds.
    #[serde(default)]
    pub duration_ms: u64,
    /// The end of what runhcs wrote to stderr, at most 512 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stderr: Option<String>,
}
