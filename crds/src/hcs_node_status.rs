//! An `HcsNode`'s status: what the node's agent last saw of its node.
//!
//! Reading is tolerant, as with an `HcsContainer`'s status.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Containers with process isolation can be created with the node's runhcs.
pub const CAPABILITY_CREATE: &str = "Create";
/// Containers with Hyper-V isolation can be run.
pub const CAPABILITY_HYPERV: &str = "HyperV";
/// Linux containers can be run.
pub const CAPABILITY_LCOW: &str = "LCOW";
/// Containers with process isolation can be paused.
pub const CAPABILITY_PAUSE_PROCESS: &str = "PauseProcess";

/// Most entries that a list of the inventory has; `count` goes on counting.
pub const INVENTORY_SHOWN: usize = 32;

/// What the node's agent last saw of its node.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct HcsNodeStatus {
    /// `metadata.generation` that this status speaks of; -1 before any agent has written it.
    #[serde(default = "unobserved")]
    pub observed_generation: i64,
    /// Version of the agent that wrote this status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_version: Option<String>,
    /// The node's runhcs.
    #[serde(default)]
    pub runhcs: RunhcsInfo,
    /// Version, build and revision of the node's system, such as 10.0.20348.2700.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os_build: Option<String>,
    /// Identifies the node's current boot. Another value later means that the node was rebooted,
    /// which ends every container.
    #[serde(rename = "bootID", default, skip_serializing_if = "Option::is_none")]
    pub boot_id: Option<String>,
    /// What the node can do, each found by a test of its own where that is safe. Create: containers
    /// with process isolation. HyperV: containers with Hyper-V isolation. LCOW: Linux containers.
    /// PauseProcess: pausing containers with process isolation. A newer agent may know more names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".to_owned()]))]
    pub capabilities: Vec<Capability>,
    /// HcsContainers of this node by phase.
    #[serde(default)]
    pub containers: ContainerCounts,
    /// What is on the node and belongs to no HcsContainer.
    #[serde(default)]
    pub inventory: Inventory,
    /// What is true of the node, one condition a type: Ready (the agent is at work and runhcs
    /// answers), RuntimeResponsive, DiskPressure, and Stalled only while a person has to act.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".to_owned()]))]
    pub conditions: Vec<Condition>,
}

fn unobserved() -> i64 {
    -1
}

/// The status of an object that no agent has written, as the CRD's default gives it.
impl Default for HcsNodeStatus {
    fn default() -> Self {
        Self {
            observed_generation: unobserved(),
            agent_version: None,
            runhcs: RunhcsInfo::default(),
            os_build: None,
            boot_id: None,
            capabilities: Vec::new(),
            containers: ContainerCounts::default(),
            inventory: Inventory::default(),
            conditions: Vec::new(),
        }
    }
}

/// The node's runhcs.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RunhcsInfo {
    /// Absolute path of the executable. Absent while there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What `runhcs --version` says. Absent where it says nothing: many builds do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// Whether something is so.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Supported {
    /// It was seen to work.
    True,
    /// It was seen not to work.
    False,
    /// It was not seen yet; also any value that this version does not know.
    #[default]
    #[serde(other)]
    Unknown,
}

/// Something that a node can do, or cannot.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Capability {
    /// What it is about.
    pub name: String,
    /// True (it was seen to work), False (it was seen not to) or Unknown (it was not seen yet).
    #[serde(default)]
    #[schemars(with = "String")]
    pub supported: Supported,
    /// How that is known, or what runhcs said.
    #[serde(default)]
    pub message: String,
}

/// HcsContainers of a node by phase.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ContainerCounts {
    /// All of them.
    #[serde(default)]
    pub total: u32,
    /// No agent has acted on them yet, or they wait for their first create.
    #[serde(default)]
    pub pending: u32,
    /// Being created.
    #[serde(default)]
    pub creating: u32,
    /// Created, not started.
    #[serde(default)]
    pub created: u32,
    /// Started.
    #[serde(default)]
    pub running: u32,
    /// Paused.
    #[serde(default)]
    pub paused: u32,
    /// Being stopped.
    #[serde(default)]
    pub stopping: u32,
    /// Ended, or stopped on request.
    #[serde(default)]
    pub stopped: u32,
    /// They cannot go on without a change of the spec or the node.
    #[serde(default)]
    pub failed: u32,
    /// Gone from the node, as asked.
    #[serde(default)]
    pub deleted: u32,
    /// The agent cannot tell.
    #[serde(default)]
    pub unknown: u32,
}

/// What is on a node and belongs to no HcsContainer.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Inventory {
    /// Containers of the node's runhcs that this agent did not make. It never touches them.
    #[serde(default)]
    pub foreign_containers: ForeignContainers,
    /// What the agent made and no HcsContainer wants any more. It removes what it may; what stays
    /// is kept on purpose or cannot be removed.
    #[serde(default)]
    pub leftovers: Leftovers,
}

/// Containers that the agent did not make.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ForeignContainers {
    /// How many there are.
    #[serde(default)]
    pub count: u32,
    /// Their ids in runhcs in alphabetical order, at most 32.
    #[serde(default)]
    pub ids: Vec<String>,
    /// Whether ids leaves some out.
    #[serde(default)]
    pub truncated: bool,
}

/// What the agent made and no HcsContainer wants.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Leftovers {
    /// How many there are.
    #[serde(default)]
    pub count: u32,
    /// What they take on the agent's disk, in bytes.
    #[serde(default)]
    pub bytes: u64,
    /// They themselves, by kind and name, at most 32.
    #[serde(default)]
    pub items: Vec<Leftover>,
    /// Whether items leaves some out.
    #[serde(default)]
    pub truncated: bool,
}

/// What kind of leftover it is.
#[derive(
    Serialize,
    Deserialize,
    JsonSchema,
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
)]
pub enum LeftoverKind {
    /// A container of runhcs.
    Container,
    /// A bundle folder of an attempt.
    Bundle,
    /// The scratch disk of an object that is gone: kept by its reclaimPolicy, or because its object
    /// is not known any more.
    Scratch,
    /// A record that could not be read and was set aside.
    Record,
    /// A writable layer that runhcs has left mounted: it does not unmount any before a reboot.
    MountedLayer,
    /// Any kind that this version does not know.
    #[default]
    #[serde(other)]
    Unknown,
}

/// One of them.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Leftover {
    /// Container (one of runhcs), Bundle (the folder of an attempt), Scratch (the disk of an object
    /// that is gone), Record (one that could not be read and was set aside) or MountedLayer (runhcs
    /// unmounts none before a reboot).
    #[serde(default)]
    #[schemars(with = "String")]
    pub kind: LeftoverKind,
    /// The container's id, or the path on the node.
    #[serde(default)]
    pub name: String,
    /// What it takes on the agent's disk, in bytes. 0 for containers and layers.
    #[serde(default)]
    pub bytes: u64,
}
