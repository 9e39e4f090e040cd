//! The parts of an `HcsContainer`'s spec. Every default stands here once and reaches both the
//! schema and [`Default`], so an object built in Rust equals what the API server stores.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The state that the agent holds a container in.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DesiredState {
    /// Created (`runhcs create`), its first process not started.
    Created,
    /// Created and started.
    #[default]
    Running,
    /// Started, then paused (`runhcs pause`). Needs isolation HyperV.
    Paused,
    /// Not running: stopped with the stop signal, by force after the grace period.
    Stopped,
    /// Gone from the node (`runhcs delete`), while the object stays.
    Deleted,
}

/// The operating system inside the container.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Os {
    /// A Windows container.
    #[default]
    Windows,
    /// A Linux container on Windows (LCOW). Needs isolation HyperV.
    Linux,
}

/// What separates the container from the node.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Isolation {
    /// A silo in the node's own kernel.
    #[default]
    Process,
    /// A utility virtual machine.
    HyperV,
}

/// What kind of container it is.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[serde(rename_all = "camelCase")]
pub struct Runtime {
    /// Operating system inside the container: Windows or Linux (LCOW). Default Windows.
    #[serde(default)]
    pub os: Os,
    /// Process or HyperV. Default Process.
    #[serde(default)]
    pub isolation: Isolation,
}

/// Where the OCI runtime configuration comes from: exactly one of `config` and `path`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Bundle {
    /// An OCI runtime spec (the content of a `config.json`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::open_object")]
    pub config: Option<serde_json::Map<String, serde_json::Value>>,
    /// Absolute path of an existing bundle folder on the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// What becomes of the scratch disk when it is no longer needed.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ReclaimPolicy {
    /// The file is deleted with the object, and when its size changes.
    #[default]
    Delete,
    /// The file stays on the node.
    Retain,
}

/// A writable disk for an LCOW container (`runhcs create-scratch`).
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Scratch {
    /// Size in GiB (`--sizeGB`). Default 20.
    #[serde(rename = "sizeGB", default = "default_size_gb")]
    pub size_gb: u32,
    /// Absolute path of a template disk on the node (`--cache-path`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_file: Option<String>,
    /// Whether the VM that formats the disk uses virtual memory instead of physical memory.
    #[serde(default)]
    pub use_virtual_memory: bool,
    /// What becomes of the file when it is no longer needed. Default Delete.
    #[serde(default)]
    pub reclaim_policy: ReclaimPolicy,
}

impl Default for Scratch {
    fn default() -> Self {
        Self {
            size_gb: default_size_gb(),
            cache_file: None,
            use_virtual_memory: false,
            reclaim_policy: ReclaimPolicy::default(),
        }
    }
}

fn default_size_gb() -> u32 {
    20
}

/// Size of a console in character cells, each 1 to 65535.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[serde(rename_all = "camelCase")]
pub struct Tty {
    /// Columns, 1 to 65535.
    pub width: u16,
    /// Rows, 1 to 65535.
    pub height: u16,
}

/// What to do when a container ends by itself.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RestartPolicy {
    /// Start it again, whatever its exit code.
    #[default]
    Always,
    /// Start it again unless its exit code is 0.
    OnFailure,
    /// Leave it stopped.
    Never,
}

/// How often and how fast a container that ends is started again.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[serde(rename_all = "camelCase")]
pub struct RestartSettings {
    /// Restarts after which the agent gives up. Without it, there is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_restarts: Option<u32>,
    /// Seconds before the first restart; doubles with each failure. Default 10.
    #[serde(default = "default_initial_backoff")]
    pub initial_backoff_seconds: u32,
    /// Longest wait before a restart, in seconds. Default 300.
    #[serde(default = "default_max_backoff")]
    pub max_backoff_seconds: u32,
    /// Seconds of running after which the failures are forgotten. Default 600.
    #[serde(default = "default_reset_after")]
    pub reset_after_seconds: u32,
}

impl Default for RestartSettings {
    fn default() -> Self {
        Self {
            max_restarts: None,
            initial_backoff_seconds: default_initial_backoff(),
            max_backoff_seconds: default_max_backoff(),
            reset_after_seconds: default_reset_after(),
        }
    }
}

fn default_initial_backoff() -> u32 {
    10
}

fn default_max_backoff() -> u32 {
    300
}

fn default_reset_after() -> u32 {
    600
}

/// What a changed bundle or scratch size does to a container that exists.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum UpdatePolicy {
    /// Stop, delete and create it again.
    #[default]
    Recreate,
    /// Leave it, and say so with the condition RestartRequired.
    Manual,
}

/// Whether the agent acts on a container.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ManagementPolicy {
    /// Make the spec true.
    #[default]
    Manage,
    /// Run nothing; list in `status.plannedActions` what Manage would run.
    Observe,
}
