//! What the tables' rows are about: for each resource an object that belongs to the world's node.

use hcs_crds::GROUP;
use hcs_tests::control_plane::NAMESPACE;
use serde_json::{Value, json};

use super::ask::Target;
use super::world::World;

/// The API version of this project's kinds.
const OURS: &str = "hcs-operator.dev/v1alpha1";
/// Kinds of others that are in no namespace.
const CLUSTER_SCOPED: [&str; 13] = [
    "nodes",
    "namespaces",
    "persistentvolumes",
    "certificatesigningrequests",
    "priorityclasses",
    "customresourcedefinitions",
    "apiservices",
    "clusterroles",
    "clusterrolebindings",
    "validatingadmissionpolicies",
    "validatingadmissionpolicybindings",
    "validatingwebhookconfigurations",
    "mutatingwebhookconfigurations",
];

/// A resource as the tables name it: `group/plural/subresource`, where the group is left out for the core's and this
/// project's.
pub struct Resource<'a> {
    group: &'a str,
    plural: &'a str,
    /// Nothing where it is none.
    pub subresource: &'a str,
}

impl<'a> Resource<'a> {
    pub fn named(name: &'a str) -> Self {
        let (group, rest) = match name.split_once('/') {
            Some((group, rest)) if group.contains('.') || ["apps", "batch"].contains(&group) => {
                (group, rest)
            }
            _ => ("", name),
        };
        let (plural, subresource) = rest.split_once('/').unwrap_or((rest, ""));
        Self {
            group,
            plural,
            subresource,
        }
    }
}

impl World {
    /// What belongs to `node` of this resource.
    pub fn target(&self, resource: &str) -> Target {
        let named = Resource::named(resource);
        let (collection, name, object, patch) = match (named.plural, named.group) {
            ("hcscontainers", _) => self.container_target(named.subresource),
            ("hcsnodes", _) => self.node_target(),
            ("leases", _) => self.lease_target(),
            ("events", "events.k8s.io") => self.event_target(),
            _ => self.unrelated(&named),
        };
        Target {
            collection,
            name,
            subresource: named.subresource.to_owned(),
            object,
            patch,
        }
    }

    fn container_target(&self, subresource: &str) -> (String, String, Value, Value) {
        let name = self.container.name();
        let patch = match subresource {
            "status" => json!({"status": {"observedGeneration": 1}}),
            // No change, which every policy has to judge all the same.
            _ => json!({"metadata": {"finalizers": null}}),
        };
        (
            format!(
                "/apis/{OURS}/namespaces/{}/hcscontainers",
                self.scenario.namespace()
            ),
            name.to_owned(),
            json!({"apiVersion": OURS, "kind": "HcsContainer", "metadata": {"name": name}}),
            patch,
        )
    }

    fn node_target(&self) -> (String, String, Value, Value) {
        (
            format!("/apis/{OURS}/hcsnodes"),
            self.node.clone(),
            json!({"apiVersion": OURS, "kind": "HcsNode", "metadata": {"name": self.node}}),
            json!({"status": {}}),
        )
    }

    fn lease_target(&self) -> (String, String, Value, Value) {
        let name = format!("hcs-node-{}", self.node);
        let spec = json!({"holderIdentity": self.node});
        (
            format!("/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"),
            name.clone(),
            json!({"metadata": {"name": name}, "spec": spec}),
            json!({"spec": spec}),
        )
    }

    fn event_target(&self) -> (String, String, Value, Value) {
        let namespace = self.scenario.namespace();
        let event = json!({
            "metadata": {"name": "target.1"},
            "eventTime": "2026-01-01T00:00:00.000000Z",
            "type": "Normal", "reason": "Running", "action": "Start", "note": "it runs",
            "reportingController": GROUP, "reportingInstance": self.node,
            "regarding": {
                "apiVersion": OURS, "kind": "HcsContainer",
                "namespace": namespace, "name": self.container.name(), "uid": self.container.uid(),
            },
        });
        (
            format!("/apis/events.k8s.io/v1/namespaces/{namespace}/events"),
            "target.1".to_owned(),
            event,
            json!({"series": {"count": 2, "lastObservedTime": "2026-01-01T00:00:01.000000Z"}}),
        )
    }

    /// Of anything else an object that need not be there: who may not has no say in that.
    fn unrelated(&self, resource: &Resource<'_>) -> (String, String, Value, Value) {
        let root = match resource.group {
            "" => "/api/v1".to_owned(),
            group => format!("/apis/{group}/v1"),
        };
        let plural = resource.plural;
        let collection = if CLUSTER_SCOPED.contains(&plural) {
            format!("{root}/{plural}")
        } else {
            format!("{root}/namespaces/{}/{plural}", self.scenario.namespace())
        };
        let name = if plural == "nodes" {
            &self.node
        } else {
            "thing"
        };
        let object = json!({"metadata": {"name": name}});
        (
            collection,
            name.to_owned(),
            object,
            json!({"metadata": {"labels": {"touched": "yes"}}}),
        )
    }
}
