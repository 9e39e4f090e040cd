//! `HcsNode` against its own schema.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps,
};
use kube::Resource as _;
use serde_json::json;

use crate::{GROUP, HcsNode, HcsNodeStatus, LeftoverKind, Supported, VERSION, crds};

fn crd() -> CustomResourceDefinition {
    crds().unwrap().remove(1)
}

fn root() -> JSONSchemaProps {
    let schema = crd().spec.versions.remove(0).schema.unwrap();
    schema.open_api_v3_schema.unwrap()
}

/// The schema of its status.
pub fn status_schema() -> JSONSchemaProps {
    root().properties.unwrap().remove("status").unwrap()
}

#[test]
fn a_node_is_cluster_wide_and_has_no_spec() {
    let crd = crd();
    assert_eq!(crd.spec.names.plural, "hcsnodes");
    assert_eq!(crd.spec.scope, "Cluster");
    let short = crd.spec.names.short_names.unwrap();
    assert_eq!(short, ["hcsn"]);
    assert!(!root().properties.unwrap().contains_key("spec"));
    assert!(root().required.is_none());
    assert_eq!(HcsNode::plural(&()), "hcsnodes");
    assert_eq!(
        HcsNode::url_path(&(), None),
        format!("/apis/{GROUP}/{VERSION}/hcsnodes")
    );
}

#[test]
fn a_fresh_node_reads_as_one_that_nobody_has_observed() {
    let default = status_schema().default.unwrap();
    assert_eq!(default.0, json!({"observedGeneration": -1}));
    let read: HcsNodeStatus = serde_json::from_value(default.0).unwrap();
    assert_eq!(read, HcsNodeStatus::default());
    let bare = json!({"apiVersion": "hcs-operator.dev/v1alpha1", "kind": "HcsNode",
        "metadata": {"name": "win-1"}});
    let read: HcsNode = serde_json::from_value(bare.clone()).unwrap();
    assert_eq!(read, HcsNode::new("win-1"));
    assert_eq!(serde_json::to_value(read).unwrap(), bare);
}

#[test]
fn a_full_node_survives_a_round_trip() {
    let object = json!({
        "apiVersion": "hcs-operator.dev/v1alpha1",
        "kind": "HcsNode",
        "metadata": {"name": "win-1"},
        "status": {
            "observedGeneration": 1,
            "agentVersion": "0.1.0",
            "runhcs": {"path": "C:\\runhcs.exe", "version": "0.11.7"},
            "osBuild": "10.0.20348.2700",
            "bootID": "b",
            "capabilities": [{"name": "Create", "supported": "True", "message": "seen"}],
            "containers": {"total": 2, "pending": 0, "creating": 0, "created": 0, "running": 1,
                "paused": 0, "stopping": 0, "stopped": 0, "failed": 1, "deleted": 0, "unknown": 0},
            "inventory": {
                "foreignContainers": {"count": 40, "ids": ["web"], "truncated": true},
                "leftovers": {"count": 1, "bytes": 7, "truncated": false,
                    "items": [{"kind": "Scratch", "name": "C:\\s", "bytes": 7}]},
            },
            "conditions": [{"type": "Ready", "status": "True", "reason": "AgentReady",
                "message": "", "observedGeneration": 1,
                "lastTransitionTime": "2026-01-01T00:00:00Z"}],
        },
    });
    let read: HcsNode = serde_json::from_value(object.clone()).unwrap();
    assert_eq!(serde_json::to_value(read).unwrap(), object);
}

#[test]
fn a_node_s_status_of_a_newer_version_is_still_read() {
    let status = json!({
        "capabilities": [{"name": "Fly", "supported": "Sometimes"}],
        "inventory": {"leftovers": {"items": [{"kind": "Dream", "name": "x"}]}},
    });
    let status: HcsNodeStatus = serde_json::from_value(status).unwrap();
    assert_eq!(status.capabilities[0].supported, Supported::Unknown);
    let kind = status.inventory.leftovers.items[0].kind;
    assert_eq!(kind, LeftoverKind::Unknown);
    assert_eq!(status.observed_generation, -1);
}
