//! `HcsContainer`: one container on one Windows node. The root kind and its spec.

// Each printer column has a type and some a priority: the lint takes them for repetitions.
#![allow(clippy::duplicated_attributes)]

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::rules;
use crate::signal::StopSignal;
use crate::spec::{
    Bundle, DesiredState, ManagementPolicy, RestartPolicy, RestartSettings, Runtime, Scratch, Tty,
    UpdatePolicy,
};
use crate::status::HcsContainerStatus;

/// What should be true of one container on one node. The node's agent makes it true with runhcs,
/// and writes to `status` what it found.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[kube(
    group = "hcs-operator.dev",
    version = "v1alpha1",
    kind = "HcsContainer",
    namespaced,
    status = "HcsContainerStatus",
    shortname = "hcs",
    category = "hcs-operator",
    selectable = ".spec.nodeName",
    derive = "PartialEq",
    derive = "Default",
    doc = "One container on one Windows node, run with runhcs by the node's agent.",
    printcolumn(
        name = "State",
        type_ = "string",
        json_path = ".status.phase",
        description = "Where the container is in its life"
    ),
    printcolumn(
        name = "Desired",
        type_ = "string",
        json_path = ".spec.desiredState",
        description = "The state that the spec asks for"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
        description = "Whether the container is in the desired state"
    ),
    printcolumn(
        name = "Restarts",
        type_ = "integer",
        json_path = ".status.restartCount",
        description = "Restarts after the container ended by itself"
    ),
    printcolumn(
        name = "Node",
        type_ = "string",
        json_path = ".spec.nodeName",
        description = "The node that runs it"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Time since the object was made"
    ),
    printcolumn(
        name = "Exit",
        type_ = "integer",
        json_path = ".status.lastTermination.exitCode",
        description = "Exit code of the last container that ended",
        priority = 1
    ),
    printcolumn(
        name = "PID",
        type_ = "integer",
        json_path = ".status.pid",
        description = "Process id of the shim on the node",
        priority = 1
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason",
        description = "Why it is ready or not; the runbook explains each reason",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = rules::scratch_needs_linux(),
    validation = rules::paused_needs_hyperv(),
    validation = rules::stop_signal_fits_os(),
    validation = rules::windows_config_needs_layers(),
    validation = rules::linux_config_needs_linux(),
    validation = rules::hyperv_config_needs_hyperv()
)]
pub struct HcsContainerSpec {
    /// Name of the Node whose agent runs the container (`metadata.name`, a DNS subdomain of at
    /// most 253 characters). Required and immutable. A field selector: `kubectl get hcs
    /// --field-selector spec.nodeName=win-1`.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(
        validation = rules::node_name_is_a_name(),
        validation = rules::node_name_is_immutable()
    )]
    pub node_name: String,
    /// The state to hold the container in. Created: created and not started. Running (default):
    /// started. Paused: started and paused; needs runtime.isolation HyperV. Stopped: not running;
    /// what is left of it stays for inspection. Deleted: gone from the node while the object
    /// stays.
    #[serde(default)]
    pub desired_state: DesiredState,
    /// What kind of container it is. Immutable. Default: a Windows container with process
    /// isolation.
    #[serde(default)]
    #[x_kube(validation = rules::runtime_is_immutable())]
    pub runtime: Runtime,
    /// Where the container's OCI runtime configuration comes from: exactly one of config and path.
    pub bundle: Bundle,
    /// A writable disk for an LCOW container, made with `runhcs create-scratch` before the
    /// container. Only with runtime.os Linux. Without it, the last of the layerFolders must be
    /// ready for use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scratch: Option<Scratch>,
    /// A console for the container's first process, and its size in character cells: set at
    /// create (`process.terminal`, `process.consoleSize`), on each change (`runhcs resize-tty`),
    /// and again after a restart. A console that is added or taken away needs a new container, as
    /// updatePolicy says. With a console, runhcs ends the process at once whatever the stop signal is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tty: Option<Tty>,
    /// What to do when the container ends by itself while it should run. Always (default): start a
    /// new one. OnFailure: so, unless its exit code is 0. Never: leave it ended.
    #[serde(default)]
    pub restart_policy: RestartPolicy,
    /// How often and how fast to restart a container that ends by itself.
    #[serde(default)]
    pub restart: RestartSettings,
    /// An opaque value of at most 256 characters, such as a date. Changing it makes the
    /// container anew once, also where its restartPolicy or maxRestarts would leave it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(max = 256))]
    pub restart_request: Option<String>,
    /// What a change of bundle or scratch, or a console more or less, does to a container that exists. Recreate (default):
    /// stop it, delete it and make it anew. Manual: leave it, and set the condition
    /// RestartRequired until restartRequest changes.
    #[serde(default)]
    pub update_policy: UpdatePolicy,
    /// Signal that asks the container to stop (`runhcs kill`). Windows: CtrlC, CtrlBreak,
    /// CtrlClose, CtrlLogOff, CtrlShutdown; Linux: HUP, INT, QUIT, ABRT, ALRM, PWR, USR1, USR2,
    /// WINCH; both: TERM (which Windows takes for CtrlShutdown) and KILL. Default: CtrlShutdown
    /// on Windows, TERM on Linux.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::stop_signal")]
    pub stop_signal: Option<StopSignal>,
    /// Seconds from the stop signal until the container is removed by force, 0 (at once) to 86400.
    /// Default 30.
    #[serde(default = "default_grace_period")]
    #[schemars(range(max = 86_400))]
    pub termination_grace_period_seconds: u32,
    /// Manage (default): make the spec true. Observe: run nothing that changes anything, and list
    /// in status.plannedActions what Manage would run.
    #[serde(default)]
    pub management_policy: ManagementPolicy,
    /// Seconds from the end of a container that its restartPolicy leaves ended until this object
    /// is deleted, and with it what is on the node: 0 (at once) to 31536000 (a year). Without it,
    /// the object stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u32", range(max = 31_536_000))]
    pub ttl_seconds_after_finished: Option<u32>,
}

fn default_grace_period() -> u32 {
    30
}

/// The defaults of the schema. `node_name` and `bundle` have none and are left empty: the API
/// server refuses the object until both are set.
impl Default for HcsContainerSpec {
    fn default() -> Self {
        Self {
            node_name: String::new(),
            desired_state: DesiredState::default(),
            runtime: Runtime::default(),
            bundle: Bundle::default(),
            scratch: None,
            tty: None,
            restart_policy: RestartPolicy::default(),
            restart: RestartSettings::default(),
            restart_request: None,
            update_policy: UpdatePolicy::default(),
            stop_signal: None,
            termination_grace_period_seconds: default_grace_period(),
            management_policy: ManagementPolicy::default(),
            ttl_seconds_after_finished: None,
        }
    }
}
