//! An object that several manage by server-side apply: each has its fields, the agent has status and finalizer, and
//! nobody fights.

use hcs_crds::{FINALIZER, Phase};
use hcs_tests::{Container, Error, Live, Node, Result, Scenario};
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};

use super::situations::raw;

/// Whatever applies what is in Git.
pub const GIT: &str = "argocd-controller";

/// Applies part of an object as this manager, without force: a conflict is an error.
pub async fn apply(scenario: &Scenario, manager: &str, name: &str, spec: &Value) -> Result {
    let params = PatchParams::apply(manager);
    send(scenario, &params, name, spec).await
}

/// As [`apply`], and takes what somebody else has changed, as a GitOps tool does to correct drift.
pub async fn apply_by_force(
    scenario: &Scenario,
    manager: &str,
    name: &str,
    spec: &Value,
) -> Result {
    let params = PatchParams::apply(manager).force();
    send(scenario, &params, name, spec).await
}

async fn send(scenario: &Scenario, params: &PatchParams, name: &str, spec: &Value) -> Result {
    let kind = GroupVersionKind::gvk("hcs-operator.dev", "v1alpha1", "HcsContainer");
    let resource = ApiResource::from_gvk(&kind);
    let api: Api<DynamicObject> =
        Api::namespaced_with(scenario.client(), scenario.namespace(), &resource);
    let object = json!({
        "apiVersion": "hcs-operator.dev/v1alpha1",
        "kind": "HcsContainer",
        "metadata": {"name": name},
        "spec": spec,
    });
    api.patch(name, params, &Patch::Apply(&object))
        .await
        .map_err(Error::api(format!("apply {name}")))?;
    Ok(())
}

/// What would be in Git: no more than has to be said.
pub fn manifest(node: &Node, container: Container) -> Value {
    let object = container.build("of no importance").unwrap();
    json!({
        "nodeName": node.name(),
        "bundle": object.spec.bundle,
        "desiredState": "Running",
        "terminationGracePeriodSeconds": 1,
        "restart": {"initialBackoffSeconds": 1},
    })
}

/// Who owns what: manager, subresource, and the fields at the top of `spec`, or of `metadata` and `status`.
async fn owners(scenario: &Scenario, object: &Live) -> Result<Vec<(String, String, Vec<String>)>> {
    let object = raw(scenario, object).await?;
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    let keys = |value: &Value| -> Vec<String> {
        let fields = value.as_object().unwrap();
        fields.keys().cloned().collect()
    };
    Ok(entries
        .iter()
        .map(|entry| {
            let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
            let fields = keys(&entry["fieldsV1"]).into_iter().flat_map(|top| {
                if top == "f:status" {
                    return vec![top];
                }
                keys(&entry["fieldsV1"][&top])
            });
            (text("manager"), text("subresource"), fields.collect())
        })
        .collect())
}

#[tokio::test]
async fn two_managers_and_the_agent_have_fields_of_their_own_and_nobody_fights() -> Result {
    let scenario = Scenario::named("managers").await?;
    let node = scenario.node().await?;
    let spec = manifest(&node, Container::named("web").on(&node).running_for_ever());
    apply(&scenario, GIT, "web", &spec).await?;
    let web = scenario.existing("web").await?;
    web.becomes(Phase::Running).await?;
    let other = json!({"restartRequest": "by an operator of the night shift"});
    apply(&scenario, "night-shift", "web", &other).await?;
    let object = web.becomes(Phase::Running).await?;
    assert_eq!(object.metadata.generation, Some(2));
    assert_eq!(object.finalizers(), [FINALIZER]);
    for (manager, subresource, fields) in owners(&scenario, &web).await? {
        let expected: &[&str] = match (manager.as_str(), subresource.as_str()) {
            (GIT, "") => &[
                "f:bundle",
                "f:desiredState",
                "f:nodeName",
                "f:restart",
                "f:terminationGracePeriodSeconds",
            ],
            ("night-shift", "") => &["f:restartRequest"],
            (agent, "status") if agent == format!("hcs-operator-agent-{}", node.name()) => {
                &["f:status"]
            }
            (_, "") => &["f:finalizers"],
            _ => &[],
        };
        assert_eq!(fields, expected, "{manager}");
    }
    // Events follow the status.
    node.relists(1).await?;
    scenario.is_at_rest_on(&node).await?;
    let before = web.object().await?;
    for _ in 0..3 {
        apply(&scenario, GIT, "web", &spec).await?;
        apply(&scenario, "night-shift", "web", &other).await?;
    }
    scenario.is_at_rest_on(&node).await?;
    let after = web.object().await?;
    assert_eq!(before.resource_version(), after.resource_version());
    assert_eq!(after.metadata.generation, Some(2));
    scenario.leaves_nothing_on(&node).await
}
