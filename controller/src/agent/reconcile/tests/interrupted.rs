//! The agent is killed in the middle of a command, or a container goes behind its back.

use std::time::Duration;

use hcs_crds::DesiredState;

use crate::agent::fixtures::{Node, Said, Whole, hangs, late, pass, uid};
use crate::agent::record::container_id;

/// Reconciles `web` and is killed after a while.
async fn killed_in_the_middle(node: &Node) {
    let reconcile = node.reconcile("web");
    let ended = tokio::time::timeout(Duration::from_secs(2), reconcile).await;
    assert!(ended.is_err());
    node.runtime.calls();
}

fn first(node: &Node, state: &'static str) {
    let id = container_id(&uid("web"), 1);
    node.runtime.put(&id, state, &node.ctx.bundle(&id));
}

#[tokio::test(start_paused = true)]
async fn a_create_that_was_cut_off_is_gone_on_from_by_the_next_agent() {
    for (left, calls) in [
        ("created", &["start web-1", "ps web-1"][..]),
        ("running", &["ps web-1"]),
    ] {
        let node = Node::new().await;
        node.has(node.object("web"));
        node.runtime.next("create", hangs());
        killed_in_the_middle(&node).await;
        first(&node, left);
        let agent = Whole::start(node).await;
        let ready = |a: &Whole| a.api.get("web").unwrap()["status"]["phase"] == "Running";
        agent.until("ready", ready).await;
        assert_eq!(agent.runtime.calls(), calls, "{left}");
        assert_eq!(agent.runtime.has(), [("web-1".into(), "running")]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_create_that_was_cut_off_without_effect_is_followed_by_a_new_attempt() {
    let node = Node::new().await;
    node.has(node.object("web"));
    node.runtime.next("create", hangs());
    killed_in_the_middle(&node).await;
    let agent = Whole::start(node).await;
    agent.until_has("web-2", "running").await;
    assert_eq!(agent.runtime.most_at_once(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_was_cut_off_keeps_its_grace_period() {
    let node = Node::running(|web| web).await;
    node.cluster
        .change("web", |spec| spec.desired_state = DesiredState::Stopped);
    node.runtime.next("kill", late(5));
    killed_in_the_middle(&node).await;
    let begun = tokio::time::Instant::now();
    let agent = Whole::start(node).await;
    agent.until("removed", |a| a.runtime.has().is_empty()).await;
    assert_eq!(agent.runtime.calls(), ["delete --force web-1"]);
    assert!((27..=30).contains(&begun.elapsed().as_secs()));
}

#[tokio::test(start_paused = true)]
async fn a_container_that_somebody_removed_is_missed_and_made_again_after_a_while() {
    let node = Node::running(|web| web).await;
    node.runtime.loses_all();
    node.ctx.relist.refresh().await;
    let said = node.converge("web").await;
    assert!(said.contains(&Said::event("ContainerLost")), "{said:?}");
    assert!(node.runtime.calls().is_empty());
    pass(10.0).await;
    node.converge("web").await;
    assert_eq!(node.runtime.has(), [("web-2".into(), "running")]);
}

/// The API server's first list may come in between the look at the cache and the report.
#[tokio::test(start_paused = true)]
async fn no_status_is_made_from_an_object_that_only_its_record_has() {
    let node = Node::running(|web| web).await;
    let record = node.record("web").unwrap();
    node.cluster.starts_from(&[record], &node.ctx.queue);
    node.api.said();
    node.reconcile_cached("web").await.unwrap();
    assert!(node.api.said().is_empty());
    node.ends(1, 3);
    node.reconcile_cached("web").await.unwrap();
    assert_eq!(node.api.said(), [Said::event("ContainerFailed")]);
    let said = node.converge("web").await;
    let waits = Said::status("web", "Stopped", "WaitingForBackoff");
    assert_eq!(said, [waits]);
}
