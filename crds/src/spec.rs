//! The parts of an `HcsContainer`'s spec. Every default stands here once and reaches both the
//! schema and [`Default`], so an object built in Rust equals what the API server stores.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::oci_config::OciConfig;
use crate::rules;

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
#[x_kube(validation = rules::linux_needs_hyperv())]
pub struct Runtime {
    /// Operating system inside the container: Windows (default) or Linux (a Linux container on
    /// Windows, LCOW; needs isolation HyperV).
    #[serde(default)]
    pub os: Os,
    /// What separates the container from the node: Process (default; the node's own kernel) or
    /// HyperV (a utility virtual machine).
    #[serde(default)]
    pub isolation: Isolation,
}

/// Where the OCI runtime configuration comes from: exactly one of `config` and `path`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::one_bundle_source())]
pub struct Bundle {
    /// An OCI runtime spec (the content of a `config.json`, as
    /// <https://github.com/opencontainers/runtime-spec/blob/main/config.md> has it). The agent
    /// writes it into a bundle folder of its own for each container. It adds annotations, with
    /// spec.tty the console, with runtime.isolation HyperV `windows.hyperv`, with runtime.os Linux
    /// `linux`, and with spec.scratch the layer folder of that disk. Fields that are not listed
    /// here are passed on as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::oci_config")]
    pub config: Option<OciConfig>,
    /// Absolute path on the node of an existing bundle folder (one with a `config.json`), at most
    /// 1024 characters. It must lie below one of the agent's bundle roots. No UNC or device path,
    /// no `.` or `..`, no alternate data stream, no short (8.3) or reserved name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::node_path")]
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
    /// Size in GiB, 1 to 65536 (a VHDX file's limit); the file grows as it is written to
    /// (`--sizeGB`). Default 20. A change makes the disk anew: its content is lost.
    #[serde(rename = "sizeGB", default = "default_size_gb")]
    #[schemars(range(min = 1, max = 65_536))]
    pub size_gb: u32,
    /// Absolute path on the node of a formatted disk to copy, which is faster than making one;
    /// made by the first that finds none there (`--cache-path`). runhcs uses it with sizeGB 20
    /// only. It must lie below one of the agent's cache roots, and keeps the rules of bundle.path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::node_path")]
    pub cache_file: Option<String>,
    /// Whether the utility VM that formats the disk is backed by virtual memory and not by physical
    /// memory (`--use-virtual-memory`, which runhcs has since v0.13.0). Default false.
    #[serde(default)]
    pub use_virtual_memory: bool,
    /// What becomes of the file when the object is deleted or another size is wanted. Delete
    /// (default): it is deleted. Retain: it stays on the node; where another size takes its place,
    /// as `sandbox.retained-<n>.vhdx` beside it.
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
    #[schemars(range(min = 1))]
    pub width: u16,
    /// Rows, 1 to 65535.
    #[schemars(range(min = 1))]
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
#[x_kube(validation = rules::backoff_is_ordered())]
pub struct RestartSettings {
    /// Restarts in a row after which the agent gives up and says so (reason RestartLimitReached),
    /// 0 (the first end is the last) to 1000000. The row starts anew after resetAfterSeconds of
    /// running. Without it, there is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u32", range(max = 1_000_000))]
    pub max_restarts: Option<u32>,
    /// Seconds before the first restart, 1 to 86400; twice as long after each further end in
    /// a row, and up to a tenth shorter so that many do not start at once. Default 10.
    #[schemars(range(min = 1, max = 86_400))]
    #[serde(default = "default_initial_backoff")]
    pub initial_backoff_seconds: u32,
    /// Longest wait before a restart, in seconds, 1 to 86400. Default 300.
    #[schemars(range(min = 1, max = 86_400))]
    #[serde(default = "default_max_backoff")]
    pub max_backoff_seconds: u32,
    /// Seconds of running after which an end counts as the first in a row, 1 to 2592000 (30 days).
    /// Default 600.
    #[schemars(range(min = 1, max = 2_592_000))]
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
