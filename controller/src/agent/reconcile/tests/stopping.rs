//! Stopping: the signal, the grace period, force.

use std::sync::Arc;
use std::time::Duration;

use hcs_crds::{DesiredState, HcsContainer, Initiator};
use kube::runtime::controller::Action;
use runhcs::ErrorKind;

use crate::agent::capabilities::{self, Pausing};
use crate::agent::fixtures::{Node, Said, Shape, fails, hangs, late, pass};

async fn asked_to_stop(shape: impl FnOnce(HcsContainer) -> HcsContainer) -> Node {
    let node = Node::running(shape).await;
    node.cluster
        .change("web", |spec| spec.desired_state = DesiredState::Stopped);
    node
}

#[tokio::test(start_paused = true)]
async fn one_that_ignores_the_signal_is_removed_by_force_after_its_grace_period() {
    let node = asked_to_stop(|web| web).await;
    let action = node.reconcile("web").await.unwrap();
    assert_eq!(action, Action::requeue(Duration::from_millis(30_005)));
    assert_eq!(
        node.api.said(),
        [Said::status("web", "Stopping", "Stopping")]
    );
    assert_eq!(node.runtime.calls(), ["kill web-1 CtrlShutdown"]);
    pass(29.9).await;
    assert_eq!(node.converge("web").await, []);
    assert!(node.runtime.calls().is_empty());
    pass(0.11).await;
    let said = node.converge("web").await;
    let stopped = Said::status("web", "Stopped", "Stopped");
    assert_eq!(said, [stopped, Said::event("ForceKilled")]);
    assert_eq!(node.runtime.calls(), ["delete --force web-1"]);
    let last = node.status("web").last_termination.unwrap();
    assert_eq!(last.reason.as_deref(), Some("ForceKilled"));
    assert_eq!(last.exit_code, Some(1067));
}

/// The agent's first look at what runhcs can do.
async fn is_probed(node: &Node) {
    let kept = capabilities::keep(Arc::clone(&node.ctx), Duration::from_mins(1));
    let _ = tokio::time::timeout(Duration::from_millis(1), kept).await;
}

#[tokio::test(start_paused = true)]
async fn the_first_to_be_forced_of_a_node_is_paused_first_to_learn_whether_that_works() {
    let node = asked_to_stop(|web| web.grace(0)).await;
    is_probed(&node).await;
    let refused = "The request is not supported.";
    node.runtime
        .next("pause", fails(ErrorKind::NotSupported, refused));
    node.converge("web").await;
    let calls = [
        "kill web-1 CtrlShutdown",
        "pause web-1",
        "delete --force web-1",
    ];
    assert_eq!(node.runtime.calls(), calls);
    let told = node.ctx.capabilities.subscribe().borrow().pausing.clone();
    assert_eq!(told, Pausing::Refused(refused.into()));
    node.cluster
        .change("web", |spec| spec.desired_state = DesiredState::Running);
    node.converge("web").await;
    node.cluster
        .change("web", |spec| spec.desired_state = DesiredState::Stopped);
    node.runtime.calls();
    node.converge("web").await;
    let calls = ["kill web-2 CtrlShutdown", "delete --force web-2"];
    assert_eq!(node.runtime.calls(), calls);
}

#[tokio::test(start_paused = true)]
async fn a_try_to_pause_that_hangs_or_works_is_followed_by_force_all_the_same() {
    for (manner, told) in [
        (
            hangs(),
            Pausing::Unclear("did not end within 60s and was killed".into()),
        ),
        (late(0), Pausing::Works),
    ] {
        let node = asked_to_stop(|web| web.grace(0)).await;
        is_probed(&node).await;
        node.runtime.next("pause", manner);
        let said = node.converge("web").await;
        assert!(said.contains(&Said::event("ForceKilled")), "{said:?}");
        assert_eq!(node.runtime.has(), []);
        let now = node.ctx.capabilities.subscribe().borrow().pausing.clone();
        assert_eq!(now, told);
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_ends_within_its_grace_period_is_left_for_inspection() {
    let node = asked_to_stop(|web| web).await;
    node.converge("web").await;
    pass(5.0).await;
    node.ends(1, 0xC000_013A);
    let said = node.converge("web").await;
    assert_eq!(said, [Said::status("web", "Stopped", "Stopped")]);
    assert_eq!(node.runtime.calls(), ["kill web-1 CtrlShutdown"]);
    let last = node.status("web").last_termination.unwrap();
    assert_eq!(last.initiator, Initiator::Operator);
    pass(60.0).await;
    assert_eq!(node.converge("web").await, []);
    assert_eq!(node.runtime.has(), [("web-1".into(), "stopped")]);
}

#[tokio::test(start_paused = true)]
async fn without_a_grace_period_force_follows_the_signal_at_once() {
    let node = asked_to_stop(|web| web.grace(0)).await;
    node.converge("web").await;
    let calls = ["kill web-1 CtrlShutdown", "delete --force web-1"];
    assert_eq!(node.runtime.calls(), calls);
}

#[tokio::test(start_paused = true)]
async fn a_signal_that_cannot_be_sent_is_said_and_force_still_follows() {
    for manner in [fails(ErrorKind::Failed, "no"), hangs()] {
        let node = asked_to_stop(|web| web.grace(100)).await;
        node.runtime.next("kill", manner);
        let said = node.converge("web").await;
        assert!(said.contains(&Said::event("KillFailed")), "{said:?}");
        pass(100.1).await;
        node.converge("web").await;
        let calls = ["kill web-1 CtrlShutdown", "delete --force web-1"];
        assert_eq!(node.runtime.calls(), calls);
    }
}

#[tokio::test(start_paused = true)]
async fn force_that_fails_is_tried_again_after_a_while() {
    let node = asked_to_stop(|web| web.grace(0)).await;
    node.runtime.next("delete", fails(ErrorKind::Failed, "no"));
    let said = node.converge("web").await;
    assert!(said.contains(&Said::event("DeleteFailed")), "{said:?}");
    assert_eq!(node.condition("web", "Ready"), "False DeleteFailed");
    node.runtime.calls();
    pass(8.0).await;
    node.converge("web").await;
    assert!(node.runtime.calls().is_empty());
    pass(2.1).await;
    node.converge("web").await;
    assert_eq!(node.runtime.calls(), ["delete --force web-1"]);
    assert_eq!(node.condition("web", "Ready"), "True Stopped");
}

#[tokio::test(start_paused = true)]
async fn a_paused_one_is_woken_to_be_stopped() {
    let node = Node::running(|web| web.in_a_vm().desired(DesiredState::Paused)).await;
    node.cluster
        .change("web", |spec| spec.desired_state = DesiredState::Stopped);
    node.converge("web").await;
    assert_eq!(
        node.runtime.calls(),
        ["resume web-1", "kill web-1 CtrlShutdown"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_new_bundle_stops_the_old_container_before_the_new_one_is_made() {
    let node = Node::running(|web| web).await;
    node.cluster.change("web", |spec| {
        let config = spec.bundle.config.as_mut().unwrap();
        config.update(|config| config["process"]["args"] = serde_json::json!(["run", "newer"]));
    });
    let said = node.converge("web").await;
    assert!(said.contains(&Said::event("SpecChanged")), "{said:?}");
    assert_eq!(node.runtime.calls(), ["kill web-1 CtrlShutdown"]);
    node.ends(1, 0xC000_013A);
    node.converge("web").await;
    let calls = ["delete web-1", "create web-2", "start web-2", "ps web-2"];
    assert_eq!(node.runtime.calls(), calls);
    assert_eq!(node.runtime.most_at_once(), 1);
    assert_eq!(node.status("web").restart_count, 0);
}

#[tokio::test(start_paused = true)]
async fn a_delete_that_is_refused_though_all_has_ended_is_not_repeated_at_once() {
    let node = Node::running(|web| web).await;
    node.ends(1, 1);
    node.converge("web").await;
    for _ in 0..100 {
        node.runtime
            .next("delete", fails(ErrorKind::NotStopped, "not stopped"));
    }
    pass(10.0).await;
    node.converge("web").await;
    assert_eq!(node.runtime.calls(), ["delete web-1"]);
}
