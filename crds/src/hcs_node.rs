//! `HcsNode`: what a node can do, how it is, and what lies on it. The root kind.

// Each printer column has a type and some a priority: the lint takes them for repetitions.
#![allow(clippy::duplicated_attributes)]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::TypeMeta;
use kube::{CustomResource, KubeSchema, Resource};
use serde::{Deserialize, Serialize};

use crate::hcs_node_status::HcsNodeStatus;
use crate::{GROUP, VERSION};

/// What the definition is derived from; kube wants a spec, and this kind has none. Public for the
/// derived code alone: the module is not.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug)]
#[kube(
    group = "hcs-operator.dev",
    version = "v1alpha1",
    kind = "HcsNode",
    root = "Definition",
    status = "HcsNodeStatus",
    shortname = "hcsn",
    category = "hcs-operator",
    doc = "A Windows node as its agent sees it: what it can do, how it is, and what lies on it. Made and kept by the agent; its name is the Node's.",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
        description = "Whether the agent is at work and runhcs answers"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason",
        description = "Why it is ready or not; the runbook explains each reason"
    ),
    printcolumn(
        name = "Create",
        type_ = "string",
        json_path = ".status.capabilities[?(@.name==\"Create\")].supported",
        description = "Whether its runhcs can create containers with process isolation"
    ),
    printcolumn(
        name = "HyperV",
        type_ = "string",
        json_path = ".status.capabilities[?(@.name==\"HyperV\")].supported",
        description = "Whether it can run containers with Hyper-V isolation"
    ),
    printcolumn(
        name = "LCOW",
        type_ = "string",
        json_path = ".status.capabilities[?(@.name==\"LCOW\")].supported",
        description = "Whether it can run Linux containers"
    ),
    printcolumn(
        name = "Pause",
        type_ = "string",
        json_path = ".status.capabilities[?(@.name==\"PauseProcess\")].supported",
        description = "Whether it can pause containers with process isolation"
    ),
    printcolumn(
        name = "Running",
        type_ = "integer",
        json_path = ".status.containers.running",
        description = "HcsContainers that run"
    ),
    printcolumn(
        name = "Total",
        type_ = "integer",
        json_path = ".status.containers.total",
        description = "HcsContainers of this node"
    ),
    printcolumn(
        name = "Disk-Pressure",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"DiskPressure\")].status",
        description = "Whether the disk of the agent's data folder is nearly full"
    ),
    printcolumn(
        name = "Agent",
        type_ = "string",
        json_path = ".status.agentVersion",
        description = "Version of the agent"
    ),
    printcolumn(
        name = "Runhcs",
        type_ = "string",
        json_path = ".status.runhcs.version",
        description = "Version of runhcs, as it says itself"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Time since the object was made"
    ),
    printcolumn(
        name = "OS",
        type_ = "string",
        json_path = ".status.osBuild",
        description = "Version and build of the node's system",
        priority = 1
    ),
    printcolumn(
        name = "Foreign",
        type_ = "integer",
        json_path = ".status.inventory.foreignContainers.count",
        description = "Containers of runhcs that the agent did not make",
        priority = 1
    ),
    printcolumn(
        name = "Leftovers",
        type_ = "integer",
        json_path = ".status.inventory.leftovers.count",
        description = "Things of the operator's that no object wants any more",
        priority = 1
    ),
    printcolumn(
        name = "Boot",
        type_ = "string",
        json_path = ".status.bootID",
        description = "Identifies the node's current boot",
        priority = 1
    )
)]
pub struct HcsNodeSpec {}

/// A Windows node as its agent sees it. The agent of the node makes it and keeps its status; its
/// name is the Node's. It has no spec.
#[derive(Resource, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[resource(inherit = "Definition")]
#[serde(rename_all = "camelCase")]
pub struct HcsNode {
    /// `apiVersion` and `kind`.
    #[serde(flatten)]
    pub types: TypeMeta,
    /// The object's name and what else the API server keeps of it.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What the agent last saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<HcsNodeStatus>,
}

impl HcsNode {
    /// The object of a node that nothing is known of yet.
    pub fn new(node: &str) -> Self {
        Self {
            types: TypeMeta {
                api_version: format!("{GROUP}/{VERSION}"),
                kind: "HcsNode".to_owned(),
            },
            metadata: ObjectMeta {
                name: Some(node.to_owned()),
                ..ObjectMeta::default()
            },
            status: None,
        }
    }
}

/// The definition before its last refinements.
pub(crate) fn definition()
-> k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition {
    <Definition as kube::CustomResourceExt>::crd()
}
