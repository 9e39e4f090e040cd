//! The API server refuses, or says nothing.

use std::time::Duration;

use hcs_crds::Reason;
use kube::runtime::controller::Action;

use crate::agent::fixtures::{Answer, Node, Said, pass, uid};

#[tokio::test(start_paused = true)]
async fn no_container_is_made_while_the_finalizer_cannot_be_set() {
    for answer in [Answer::Refuses(409), Answer::Refuses(500), Answer::Silence] {
        let node = Node::new().await;
        node.has(node.object("web"));
        node.api.next("finalizer", answer);
        node.reconcile("web").await.unwrap_err();
        let said = node.api.said();
        assert_eq!(said[0], Said::AddsFinalizer("web".into()), "{answer:?}");
        assert!(node.runtime.calls().is_empty(), "{answer:?}");
        let said = node.converge("web").await;
        assert_eq!(
            said,
            [
                Said::AddsFinalizer("web".into()),
                Said::status("web", "Running", "Running")
            ]
        );
        assert_eq!(node.runtime.has(), [("web-1".into(), "running")]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_gone_gets_no_container() {
    let node = Node::new().await;
    node.has(node.object("web"));
    node.api.remove("web");
    node.reconcile_cached("web").await.unwrap_err();
    assert!(node.runtime.calls().is_empty());
    assert!(node.api.get("web").is_none());
    assert!(node.record("web").is_none(), "nothing is left of it");
}

#[tokio::test(start_paused = true)]
async fn the_finalizer_is_added_though_the_spec_has_changed_since_it_was_seen() {
    let node = Node::new().await;
    node.has(node.object("web"));
    let mut newer = node.api.get("web").unwrap();
    newer["spec"]["bundle"]["config"]["process"]["args"] = serde_json::json!(["run", "else"]);
    newer["metadata"]["generation"] = 2.into();
    newer["metadata"]["finalizers"] = serde_json::json!(["example.com/mine"]);
    node.api.put(newer);
    node.reconcile_cached("web").await.unwrap();
    let now = node.api.get("web").unwrap();
    assert_eq!(
        now["metadata"]["finalizers"],
        serde_json::json!(["example.com/mine", hcs_crds::FINALIZER])
    );
    assert_eq!(node.runtime.has(), [("web-1".into(), "running")]);
    let id = crate::agent::record::container_id(&uid("web"), 1);
    let config = std::fs::read(node.ctx.bundle(&id).join("config.json")).unwrap();
    let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
    assert_eq!(
        config["process"]["args"],
        serde_json::json!(["run", "else"])
    );
    // It is known to be made from that spec.
    node.converge("web").await;
    assert_eq!(node.runtime.has(), [("web-1".into(), "running")]);
}

#[tokio::test(start_paused = true)]
async fn an_object_made_anew_under_the_same_name_is_never_written_to() {
    let node = Node::new().await;
    node.has(node.object("web"));
    let mut other = node.api.get("web").unwrap();
    other["metadata"]["uid"] = "another".into();
    node.api.put(other.clone());
    node.reconcile_cached("web").await.unwrap_err();
    assert!(node.runtime.calls().is_empty());
    let now = node.api.get("web").unwrap();
    assert_eq!(
        now["metadata"]["finalizers"],
        other["metadata"]["finalizers"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_status_that_could_not_be_written_is_written_next_and_the_container_left_alone() {
    for answer in [Answer::Refuses(500), Answer::Silence] {
        let node = Node::new().await;
        node.has(node.object("web"));
        node.api.next("status", answer);
        node.reconcile("web").await.unwrap_err();
        assert_eq!(node.runtime.calls().len(), 3, "{answer:?}");
        node.api.said();
        let written = [Said::status("web", "Running", "Running")];
        assert_eq!(node.converge("web").await, written, "{answer:?}");
        assert!(node.runtime.calls().is_empty(), "{answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_api_server_does_not_stop_what_is_under_way() {
    let node = Node::new().await;
    node.has(node.object("web"));
    node.runtime.next("create", crate::agent::fixtures::late(3));
    node.api.next("status", Answer::Silence);
    let begun = tokio::time::Instant::now();
    node.converge("web").await;
    assert!(begun.elapsed().as_secs() < 20);
    assert_eq!(node.runtime.has(), [("web-1".into(), "running")]);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_the_api_server_does_not_answer_is_published_next() {
    for answer in [Answer::Refuses(503), Answer::Refuses(429), Answer::Silence] {
        let node = Node::running(|web| web).await;
        node.ends(1, 3);
        node.api.next("event", answer);
        let action = node.reconcile("web").await.unwrap();
        let soon = Duration::from_secs(5);
        assert_eq!(action, Action::requeue(soon), "{answer:?}");
        node.api.said();
        let said = node.converge("web").await;
        let event = Said::event(Reason::ContainerFailed);
        assert_eq!(said.last(), Some(&event), "{answer:?}");
        assert!(node.converge("web").await.is_empty(), "{answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_of_a_reconcile_whose_status_was_not_written_is_published_by_the_next() {
    for answer in [Answer::Refuses(500), Answer::Refuses(409), Answer::Silence] {
        let node = Node::running(|web| web).await;
        node.ends(1, 3);
        node.api.next("status", answer);
        node.reconcile("web").await.unwrap_err();
        let said = node.api.said();
        assert!(
            !said.contains(&Said::event(Reason::ContainerFailed)),
            "{said:?}"
        );
        let said = node.converge("web").await;
        assert_eq!(
            said.last(),
            Some(&Said::event(Reason::ContainerFailed)),
            "{answer:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_refused_changes_nothing() {
    let node = Node::running(|web| web).await;
    node.api.next("event", Answer::Refuses(403));
    node.ends(1, 3);
    node.converge("web").await;
    pass(11.0).await;
    node.converge("web").await;
    assert_eq!(node.runtime.has(), [("web-2".into(), "running")]);
}
