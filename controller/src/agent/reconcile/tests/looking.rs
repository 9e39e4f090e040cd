//! Where nothing may be done: it is only looked on, the spec is no good, or nobody knows what is
//! there.

use hcs_crds::{DesiredState, HcsContainerSpec, Phase};
use kube::runtime::controller::Action;
use runhcs::ErrorKind;

use crate::agent::fixtures::{Node, Said, Shape, fails, pass};

#[tokio::test(start_paused = true)]
async fn observe_says_what_would_be_run_and_runs_nothing() {
    let node = Node::new().await;
    node.has(node.object("web").observed_only());
    let said = node.converge("web").await;
    assert_eq!(said, [Said::status("web", "Pending", "Observing")]);
    assert_eq!(node.status("web").planned_actions, ["create", "start"]);
    assert_eq!(node.converge("web").await, []);
    assert!(node.runtime.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_spec_that_is_no_good_is_stalled_and_said_once() {
    let node = Node::new().await;
    node.has(node.object("web").desired(DesiredState::Paused));
    let said = node.converge("web").await;
    let failed = Said::status("web", "Failed", "InvalidSpec");
    assert_eq!(said, [failed, Said::event("InvalidSpec")]);
    assert_eq!(node.condition("web", "Stalled"), "True InvalidSpec");
    for _ in 0..5 {
        pass(600.0).await;
        assert_eq!(node.converge("web").await, []);
    }
    assert!(node.runtime.calls().is_empty());
    node.cluster
        .change("web", |spec| spec.desired_state = DesiredState::Running);
    node.converge("web").await;
    assert_eq!(node.condition("web", "Ready"), "True Running");
    assert_eq!(node.condition("web", "Stalled"), "");
}

#[tokio::test(start_paused = true)]
async fn a_container_whose_new_spec_is_no_good_runs_on() {
    let node = Node::running(|web| web).await;
    node.cluster
        .change("web", |spec| spec.bundle.path = Some("x".into()));
    node.converge("web").await;
    assert_eq!(node.condition("web", "Stalled"), "True InvalidSpec");
    assert_eq!(node.status("web").phase, Phase::Running);
    assert!(node.runtime.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn before_the_first_list_nothing_is_done_and_nothing_is_said() {
    let node = Node::unlisted();
    node.has(node.object("web"));
    let action = node.reconcile("web").await.unwrap();
    assert_eq!(action, Action::await_change());
    assert_eq!(node.api.said(), []);
    assert!(node.runtime.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_node_whose_runhcs_does_not_answer_is_left_alone_until_it_does() {
    let node = Node::running(|web| web).await;
    for _ in 0..3 {
        node.runtime
            .next("list", fails(ErrorKind::ExecutableNotFound, "no runhcs"));
    }
    node.ctx.relist.refresh().await;
    assert_eq!(node.converge("web").await, [], "one failure says nothing");
    node.ctx.relist.refresh().await;
    node.cluster
        .change("web", |spec| spec.desired_state = DesiredState::Stopped);
    let said = node.converge("web").await;
    let unknown = Said::status("web", "Unknown", "RuntimeMissing");
    assert_eq!(said, [unknown, Said::event("RuntimeMissing")]);
    assert_eq!(
        node.condition("web", "RuntimeResponsive"),
        "False RuntimeMissing"
    );
    node.ctx.relist.refresh().await;
    assert_eq!(node.converge("web").await, []);
    assert!(node.runtime.calls().is_empty());

    node.ctx.relist.refresh().await;
    node.converge("web").await;
    assert_eq!(node.runtime.calls(), ["kill web-1 CtrlShutdown"]);
    assert_eq!(
        node.condition("web", "RuntimeResponsive"),
        "True RuntimeResponds"
    );
}

#[tokio::test(start_paused = true)]
async fn a_refresh_whose_list_failed_says_so() {
    let node = Node::new().await;
    node.runtime.next("list", fails(ErrorKind::Failed, "no"));
    assert!(!node.ctx.relist.refresh().await);
    assert!(node.ctx.relist.refresh().await);
}

/// A node whose `web` was stopped, while the cache still has the spec that has it run.
async fn with_an_old_spec() -> (Node, serde_json::Value) {
    let node = Node::running(|web| web).await;
    let old = node.api.get("web").unwrap();
    node.runtime.obeys();
    let stopped = |spec: &mut HcsContainerSpec| spec.desired_state = DesiredState::Stopped;
    node.cluster.change("web", stopped);
    node.converge("web").await;
    node.converge("web").await;
    assert_eq!(node.runtime.has(), [("web-1".into(), "stopped")]);
    node.runtime.calls();
    let new = node.api.get("web").unwrap();
    node.api.put(old);
    node.cluster.catch_up();
    (node, new)
}

#[tokio::test(start_paused = true)]
async fn an_old_spec_that_a_list_shows_is_not_acted_on() {
    let (node, new) = with_an_old_spec().await;
    node.api.put(new);
    node.api.said();
    node.reconcile_cached("web").await.unwrap();
    assert!(node.runtime.calls().is_empty());
    assert_eq!(node.api.said(), [Said::Reads("web".into())]);
    node.api.remove("web");
    assert!(node.reconcile_cached("web").await.is_err());
    assert!(node.runtime.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_object_that_was_let_go_is_not_made_again_while_the_view_is_of_before() {
    let node = Node::running(|web| web).await;
    node.runtime.obeys();
    let before = node.api.get("web").unwrap();
    node.cluster.delete("web");
    node.converge("web").await;
    assert!(node.api.get("web").is_none() && node.record("web").is_none());
    node.runtime.calls();
    node.api.put(before);
    node.cluster.catch_up();
    node.api.remove("web");
    assert!(node.reconcile_cached("web").await.is_err());
    assert!(node.runtime.calls().is_empty());
    assert!(node.record("web").is_none(), "nothing is left of it");
}

#[tokio::test(start_paused = true)]
async fn an_old_spec_that_the_api_server_itself_has_counts_as_after_a_restore() {
    let (node, _) = with_an_old_spec().await;
    node.reconcile_cached("web").await.unwrap();
    assert_eq!(node.runtime.has(), [("web-2".into(), "running")]);
    node.api.said();
    node.converge("web").await;
    node.api.said();
    assert_eq!(node.converge("web").await, [], "it is not asked again");
}
