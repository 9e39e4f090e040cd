//! The API types of hcs-operator, and the `CustomResourceDefinition` generated from them.
//!
//! One module a kind, so that the Rust types, the schema that the API server enforces and the
//! reference documentation come from one source. Nothing here talks to a cluster or to `runhcs`:
//! other programs can depend on this crate to read and write the objects.
//!
//! Use [`crds`] to get the definitions; [`kube::CustomResourceExt::crd`] gives them before the
//! last refinements and is not what gets installed.

mod annotations;
pub mod conditions;
mod exit_code;
mod generate;
mod hcs_container;
mod hcs_node;
mod hcs_node_status;
mod oci_config;
mod paths;
mod reference;
mod rules;
mod schema;
mod signal;
mod spec;
mod status;
#[cfg(test)]
mod tests;

pub use annotations::annotation_reaches_beyond;
pub use conditions::Reason;
pub use exit_code::exit_code_name;
pub use generate::{GeneratedFile, crds_yaml, generated_files};
pub use hcs_container::{HcsContainer, HcsContainerSpec};
pub use hcs_node::HcsNode;
pub use hcs_node_status::{
    CAPABILITY_CREATE, CAPABILITY_HYPERV, CAPABILITY_LCOW, CAPABILITY_PAUSE_PROCESS, Capability,
    ContainerCounts, ForeignContainers, HcsNodeStatus, INVENTORY_SHOWN, Inventory, Leftover,
    LeftoverKind, Leftovers, RunhcsInfo, Supported,
};
pub use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
pub use oci_config::OciConfig;
pub use schema::{SchemaError, crds};
pub use signal::{StopSignal, UnknownSignal};
pub use spec::{
    Bundle, DesiredState, Isolation, ManagementPolicy, Os, ReclaimPolicy, RestartPolicy,
    RestartSettings, Runtime, Scratch, Tty, UpdatePolicy,
};
pub use status::{
    Backoff, CommandRecord, HcsContainerStatus, Initiator, Phase, Processes, ScratchStatus,
    Termination, whole_seconds,
};

/// API group of every kind, and the prefix of every annotation, label and finalizer.
pub const GROUP: &str = "hcs-operator.dev";
/// The one served and stored version.
pub const VERSION: &str = "v1alpha1";
/// Finalizer that the node's agent holds from before the container's first command until the
/// container, its bundle folder and (with `Delete`) its scratch are gone.
pub const FINALIZER: &str = "hcs-operator.dev/container";
/// Beginning of the name of each node's `coordination.k8s.io/v1` Lease in the operator's namespace;
/// the node's name follows. The agent renews it while it can vouch for what it says.
pub const AGENT_LEASE_PREFIX: &str = "hcs-node-";

/// Annotation in a container's `config.json`: the UID of its `HcsContainer`.
pub const ANNOTATION_UID: &str = "hcs-operator.dev/uid";
/// Annotation in a container's `config.json`: the namespace of its `HcsContainer`.
pub const ANNOTATION_NAMESPACE: &str = "hcs-operator.dev/namespace";
/// Annotation in a container's `config.json`: the name of its `HcsContainer`.
pub const ANNOTATION_NAME: &str = "hcs-operator.dev/name";
/// Annotation in a container's `config.json`: the attempt, a decimal number from 1.
pub const ANNOTATION_ATTEMPT: &str = "hcs-operator.dev/attempt";
