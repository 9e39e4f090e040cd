//! What the API server makes of an object: defaults, nulls, unknown fields, and the status of a
//! fresh object.

use hcs_crds::{
    Bundle, HcsContainer, HcsContainerSpec, HcsContainerStatus, Isolation, Os, Phase, Runtime,
    Scratch,
};
use hcs_tests::ControlPlane;
use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use super::ask::{Server, lcow, object};

fn spec_of(object: &DynamicObject) -> &Value {
    &object.data["spec"]
}

#[tokio::test]
async fn an_object_built_in_rust_equals_what_the_api_server_makes_of_the_least_that_can_be_written()
{
    let server = Server::shared().await;
    let least =
        json!({ "runtime": lcow(), "bundle": { "config": null, "path": "C:\\b" }, "scratch": {} });
    let stored = server.create(least).await.unwrap();
    let built = HcsContainerSpec {
        node_name: "win-1".to_owned(),
        runtime: Runtime {
            os: Os::Linux,
            isolation: Isolation::HyperV,
        },
        bundle: Bundle {
            path: Some("C:\\b".to_owned()),
            config: None,
        },
        scratch: Some(Scratch::default()),
        ..HcsContainerSpec::default()
    };
    assert_eq!(spec_of(&stored), &serde_json::to_value(&built).unwrap());
    let read: HcsContainerSpec = serde_json::from_value(spec_of(&stored).clone()).unwrap();
    assert_eq!(read, built);
}

#[tokio::test]
async fn an_object_without_a_runtime_is_a_windows_container_with_process_isolation() {
    let server = Server::shared().await;
    let stored = server.create(json!({})).await.unwrap();
    let runtime = json!({ "os": "Windows", "isolation": "Process" });
    assert_eq!(spec_of(&stored)["runtime"], runtime);
    let stored = server
        .create(json!({ "runtime": { "isolation": "HyperV" } }))
        .await
        .unwrap();
    assert_eq!(spec_of(&stored)["runtime"]["os"], "Windows");
    let stored = server
        .create(json!({ "runtime": { "os": "Windows" } }))
        .await
        .unwrap();
    assert_eq!(spec_of(&stored)["runtime"]["isolation"], "Process");
}

#[tokio::test]
async fn a_null_counts_as_not_set() {
    let server = Server::shared().await;
    let nulls = json!({
        "desiredState": "null",
        "runtime": "null",
        "scratch": "null",
        "tty": "null",
        "restart": { "maxRestarts": "null", "maxBackoffSeconds": "null" },
        "restartRequest": "null",
        "stopSignal": "null",
        "terminationGracePeriodSeconds": "null",
        "ttlSecondsAfterFinished": "null",
        "bundle": { "path": "null" },
    });
    let with_nulls = server.create(nulls).await.unwrap();
    let without = server.create(json!({})).await.unwrap();
    assert_eq!(spec_of(&with_nulls), spec_of(&without));
}

#[tokio::test]
async fn a_configuration_keeps_fields_that_the_schema_does_not_know() {
    let server = Server::shared().await;
    let config = json!({
        "ociVersion": "1.0.2",
        "process": { "user": { "username": "ContainerUser" }, "args": ["cmd"] },
        "windows": {
            "layerFolders": ["C:\\a", "C:\\b"],
            "network": { "endpointList": ["x"] },
            "hyperv": { "utilityVMPath": "C:\\vm" },
        },
        "mounts": [{ "destination": "C:\\m", "source": "C:\\s", "options": ["ro"] }],
        "future": [1, { "x": null }],
    });
    let change = json!({
        "runtime": { "isolation": "HyperV" },
        "bundle": { "config": config },
    });
    let stored = server.create(change).await.unwrap();
    let kept = &spec_of(&stored)["bundle"]["config"];
    for field in ["ociVersion", "process", "windows", "mounts", "future"] {
        assert_eq!(kept[field], config[field], "{field}");
    }
}

#[tokio::test]
async fn a_misspelt_field_of_the_spec_is_not_kept() {
    let server = Server::shared().await;
    let stored = server
        .create(json!({ "desiredSate": "Stopped" }))
        .await
        .unwrap();
    assert_eq!(spec_of(&stored)["desiredSate"], Value::Null);
}

#[tokio::test]
async fn a_fresh_object_reads_as_pending_and_not_yet_observed() {
    let server = Server::shared().await;
    let stored = server.stored("fresh", json!({})).await;
    let fresh = stored.get().await;
    assert_eq!(fresh.data["status"]["observedGeneration"], -1);
    let status: HcsContainerStatus = serde_json::from_value(fresh.data["status"].clone()).unwrap();
    assert_eq!(status, HcsContainerStatus::default());
    stored.delete().await;
}

#[tokio::test]
async fn a_status_cannot_be_given_with_the_object() {
    let server = Server::shared().await;
    let mut forged = object("dry-run", json!({}));
    forged["status"] = json!({ "phase": "Running", "observedGeneration": 1 });
    let stored = server.create_object(&forged).await.unwrap();
    assert_ne!(stored.data["status"]["phase"], "Running");
}

#[tokio::test]
async fn a_status_takes_values_that_a_newer_agent_may_write() {
    let server = Server::shared().await;
    let stored = server.stored("newer-status", json!({})).await;
    let status = json!({
        "phase": "Migrating",
        "lastTermination": { "exitCode": 4_294_967_295_i64, "initiator": "Scheduler" },
    });
    let written = stored.write_status(status).await.unwrap();
    let read: HcsContainerStatus = serde_json::from_value(written.data["status"].clone()).unwrap();
    assert_eq!(read.phase, Phase::Unknown);
    assert_eq!(
        read.last_termination.unwrap().exit_code,
        Some(4_294_967_295)
    );
    let refusal = stored
        .write_status(json!({ "restartCount": -1 }))
        .await
        .unwrap_err();
    assert!(
        refusal.contains("restartCount in body should be greater"),
        "{refusal}"
    );
    stored.delete().await;
}

#[tokio::test]
async fn conditions_are_one_a_type_and_two_writers_keep_each_other_s() {
    let control_plane = ControlPlane::shared().await.unwrap();
    let server = Server::of(control_plane.client().await.unwrap());
    let stored = server.stored("two-writers", json!({})).await;
    let apply = |manager: &'static str, types: &'static [&'static str]| {
        let conditions: Vec<Value> = types.iter().map(|type_| condition(type_)).collect();
        let patch = json!({
            "apiVersion": "hcs-operator.dev/v1alpha1",
            "kind": "HcsContainer",
            "status": { "conditions": conditions },
        });
        let (api, name) = (server.api(), stored.name.clone());
        async move {
            api.patch_status(&name, &PatchParams::apply(manager), &Patch::Apply(patch))
                .await
        }
    };
    apply("agent", &["Ready"]).await.unwrap();
    let both = apply("controller", &["Reconciling"]).await.unwrap();
    let both: HcsContainer = both.try_parse().unwrap();
    let types: Vec<String> = both
        .status
        .unwrap()
        .conditions
        .into_iter()
        .map(|condition| condition.type_)
        .collect();
    assert_eq!(types, ["Ready", "Reconciling"]);
    let twice = apply("agent", &["Ready", "Ready"])
        .await
        .unwrap_err()
        .to_string();
    assert!(twice.contains("duplicate entries for key"), "{twice}");
    stored.delete().await;
}

fn condition(type_: &str) -> Value {
    json!({
        "type": type_,
        "status": "True",
        "reason": "Running",
        "message": "",
        "observedGeneration": 1,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    })
}
