//! The straight way to Running, and staying there.

use std::sync::{Arc, Mutex};

use hcs_crds::{DesiredState, FINALIZER, Phase};
use kube::runtime::controller::Action;
use serde_json::{Value, json};

use crate::agent::fixtures::{Node, Said, late, pass, seen_by, uid};
use crate::agent::record::{Record, Stage};

#[tokio::test(start_paused = true)]
async fn from_nothing_to_running_takes_three_calls_and_two_writes() {
    let node = Node::new().await;
    node.has(node.object("web"));
    let action = node.reconcile("web").await.unwrap();
    assert_eq!(
        node.api.said(),
        [
            Said::AddsFinalizer("web".into()),
            Said::status("web", "Running", "Running")
        ]
    );
    assert_eq!(
        node.runtime.calls(),
        ["create web-1", "start web-1", "ps web-1"]
    );
    assert_eq!(action, Action::await_change());
    let status = node.status("web");
    assert_eq!(status.phase, Phase::Running);
    assert_eq!(status.observed_generation, 1);
    assert_eq!(status.pid, Some(std::process::id()));
    assert_eq!(status.processes.unwrap().pids, [484]);
}

#[tokio::test(start_paused = true)]
async fn each_write_says_which_object_it_means_and_who_writes() {
    let node = Node::running(|web| web).await;
    let place = "/apis/hcs-operator.dev/v1alpha1/namespaces/default/hcscontainers/web";
    let requests = node.api.requests();
    let [(finalizer, patch), (status, apply)] = &requests[..] else {
        panic!("{requests:?}");
    };
    let manager = "fieldManager=hcs-operator-agent-win-1";
    assert_eq!(*finalizer, format!("PATCH {place}?&{manager}"));
    let expected = json!({"name": "web", "uid": uid("web"), "finalizers": [FINALIZER]});
    assert_eq!(patch["metadata"], expected);
    assert_eq!(patch["spec"], json!(null));
    assert_eq!(
        *status,
        format!("PATCH {place}/status?&force=true&{manager}")
    );
    assert_eq!(apply["metadata"], json!({"name": "web", "uid": uid("web")}));
    let fields: Vec<_> = apply.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["apiVersion", "kind", "metadata", "status"]);
}

#[tokio::test(start_paused = true)]
async fn the_record_is_on_disk_before_create_and_before_start() {
    let node = Node::new().await;
    node.has(node.object("web"));
    let file = node.file(&format!("records/{}.json", uid("web")));
    let stages = Arc::new(Mutex::new(Vec::new()));
    for verb in ["create", "start"] {
        let (file, stages) = (file.clone(), Arc::clone(&stages));
        let look = move |_: &_| {
            let record: Record = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
            stages.lock().unwrap().push((record.attempt, record.stage));
        };
        node.runtime.next(verb, seen_by(look));
    }
    node.converge("web").await;
    let expected = [(1, Stage::Creating), (1, Stage::Starting)];
    assert_eq!(*stages.lock().unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_steady_container_costs_no_call_and_no_request() {
    let node = Node::running(|web| web).await;
    for _ in 0..3 {
        pass(3600.0).await;
        assert_eq!(node.converge("web").await, []);
    }
    assert!(node.runtime.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_status_that_somebody_else_wrote_is_corrected_once() {
    let node = Node::running(|web| web).await;
    let mut object = node.api.get("web").unwrap();
    object["status"]["phase"] = "Failed".into();
    node.api.put(object);
    let corrected = [Said::status("web", "Running", "Running")];
    assert_eq!(node.converge("web").await, corrected);
    assert_eq!(node.converge("web").await, []);
    assert!(node.runtime.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_status_is_not_written_twice_while_the_cache_lags_behind() {
    let node = Node::running(|web| web).await;
    let mut stale = node.api.get("web").unwrap();
    stale["status"] = Value::Null;
    stale["metadata"]["resourceVersion"] = "1".into();
    let stale = Arc::new(serde_json::from_value(stale).unwrap());
    let ctx = Arc::clone(&node.ctx);
    crate::agent::reconcile::reconcile(stale, ctx)
        .await
        .unwrap();
    assert_eq!(node.api.said(), []);
}

#[tokio::test(start_paused = true)]
async fn a_create_that_takes_over_a_second_is_reported_while_it_goes_on() {
    let node = Node::new().await;
    node.has(node.object("web"));
    node.runtime.next("create", late(5));
    let said = node.converge("web").await;
    assert_eq!(
        said,
        [
            Said::AddsFinalizer("web".into()),
            Said::status("web", "Creating", "Creating"),
            Said::status("web", "Running", "Running")
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_spec_that_changes_during_create_counts_from_the_next_step_on() {
    let node = Node::new().await;
    node.has(node.object("web"));
    let cluster = node.cluster.clone();
    let change =
        move |_: &_| cluster.change("web", |spec| spec.desired_state = DesiredState::Created);
    node.runtime.next("create", seen_by(change));
    let said = node.converge("web").await;
    assert_eq!(node.runtime.calls(), ["create web-1"]);
    assert_eq!(
        said.last(),
        Some(&Said::status("web", "Created", "Created"))
    );
    assert_eq!(node.status("web").observed_generation, 2);
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_deleted_during_create_is_never_started() {
    let node = Node::new().await;
    node.has(node.object("web"));
    let cluster = node.cluster.clone();
    let delete = move |_: &_| cluster.delete("web");
    node.runtime.next("create", seen_by(delete));
    node.converge("web").await;
    assert_eq!(node.runtime.calls(), ["create web-1", "delete web-1"]);
    assert_eq!(node.api.get("web"), None);
}
