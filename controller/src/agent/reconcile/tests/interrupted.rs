//! The agent is killed in the middle of a command, or a container goes behind its back.

use std::time::Duration;

use hcs_crds::DesiredState;
use runhcs::ErrorKind;

use crate::agent::fixtures::{Node, Said, Whole, fails, hangs, late, pass, uid};
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
async fn a_stop_that_was_cut_off_is_said_again_and_keeps_its_grace_period() {
    let node = Node::running(|web| web).await;
    node.cluster
        .change("web", |spec| spec.desired_state = DesiredState::Stopped);
    node.runtime.next("kill", late(5));
    killed_in_the_middle(&node).await;
    let begun = tokio::time::Instant::now();
    let agent = Whole::start(node).await;
    agent.until("removed", |a| a.runtime.has().is_empty()).await;
    // One that is removed by force anyway is asked whether it can be paused.
    let calls = [
        "kill web-1 CtrlShutdown",
        "pause web-1",
        "delete --force web-1",
    ];
    assert_eq!(agent.runtime.calls(), calls);
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

#[tokio::test(start_paused = true)]
async fn the_bundle_of_an_attempt_that_came_to_nothing_does_not_stay_beside_the_next() {
    let node = Node::new().await;
    node.has(node.object("web"));
    node.runtime.next("create", hangs());
    killed_in_the_middle(&node).await;
    let bundles = node.file("bundles");
    let agent = Whole::start(node).await;
    agent.until_has("web-2", "running").await;
    let left: Vec<_> = std::fs::read_dir(bundles).unwrap().flatten().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[tokio::test(start_paused = true)]
async fn a_bundle_that_an_agent_had_no_time_to_remove_is_removed_by_the_next() {
    let node = Node::running(|web| web).await;
    node.runtime.obeys();
    node.cluster
        .change("web", |spec| spec.desired_state = DesiredState::Deleted);
    node.converge("web").await;
    let id = container_id(&uid("web"), 1);
    let bundle = node.ctx.bundle(&id);
    std::fs::create_dir_all(&bundle).unwrap();
    let mut record = node.record("web").unwrap();
    record.stage = crate::agent::record::Stage::Deleting;
    let file = node.file(&format!("records/{}.json", uid("web")));
    std::fs::write(file, serde_json::to_vec(&record).unwrap()).unwrap();
    let agent = Whole::start(node).await;
    agent.until("removed", |_| !bundle.exists()).await;
    assert!(
        agent
            .runtime
            .calls()
            .iter()
            .all(|call| !call.contains("create"))
    );
}

#[tokio::test(start_paused = true)]
async fn what_start_said_is_kept_before_an_exit_code_is_waited_for() {
    let node = Node::new().await;
    node.has(node.object("web"));
    let failed = fails(ErrorKind::Failed, "no such program").leaving("stopped");
    node.runtime.next("start", failed);
    killed_in_the_middle(&node).await;
    let said = node.record("web").unwrap().start_error;
    assert_eq!(said.as_deref(), Some("no such program"));
}
