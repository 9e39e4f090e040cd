//! `HcsContainer`: one container on one Windows node. The root kind and its spec.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::signal::StopSignal;
use crate::spec::{
    Bundle, DesiredState, ManagementPolicy, RestartPolicy, RestartSettings, Runtime, Scratch, Tty,
    UpdatePolicy,
};
use crate::status::HcsContainerStatus;

/// What should be true of one container on one node.
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
    derive = "Default"
)]
#[serde(rename_all = "camelCase")]
pub struct HcsContainerSpec {
    /// Name of the node whose agent runs the container.
    pub node_name: String,
    /// The state to hold the container in. Default Running.
    #[serde(default)]
    pub desired_state: DesiredState,
    /// What kind of container it is. Default os Windows, isolation Process.
    #[serde(default)]
    pub runtime: Runtime,
    /// Where the OCI runtime configuration comes from.
    pub bundle: Bundle,
    /// A writable disk for an LCOW container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scratch: Option<Scratch>,
    /// Size of the container's console.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tty: Option<Tty>,
    /// What to do when the container ends by itself. Default Always.
    #[serde(default)]
    pub restart_policy: RestartPolicy,
    /// How often and how fast to restart.
    #[serde(default)]
    pub restart: RestartSettings,
    /// An opaque value; changing it recreates the container once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_request: Option<String>,
    /// What a changed bundle or scratch does. Default Recreate.
    #[serde(default)]
    pub update_policy: UpdatePolicy,
    /// Signal that asks the container to stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<StopSignal>,
    /// Seconds between the stop signal and removal by force. Default 30.
    #[serde(default = "default_grace_period")]
    pub termination_grace_period_seconds: u32,
    /// Whether the agent acts, or only says what it would do. Default Manage.
    #[serde(default)]
    pub management_policy: ManagementPolicy,
    /// Seconds after its end when a finished container's object is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
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
