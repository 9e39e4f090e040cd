//! Two objects that want the same layer to write to.

use hcs_crds::{DesiredState, HcsContainer};

use crate::agent::fixtures::{Node, Said, pass};
use crate::agent::sweep::sweep;

/// A node on which `web` runs and `api` wants the same layer.
async fn contended() -> Node {
    let node = Node::running(|web| web).await;
    let mut api: HcsContainer = node.object("api");
    api.spec.bundle = node.object("web").spec.bundle;
    node.has(api);
    node
}

#[tokio::test(start_paused = true)]
async fn the_second_is_told_who_holds_it_and_makes_nothing() {
    let node = contended().await;
    let said = node.converge("api").await;
    let waiting = Said::status("api", "Pending", "BundleInUse");
    assert_eq!(said, [waiting, Said::event("BundleInUse")]);
    assert!(node.runtime.calls().is_empty());
    let message = &node.status("api").conditions[0].message;
    assert!(message.contains("HcsContainer default/web"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn the_second_comes_at_once_when_the_first_is_gone() {
    let mut node = contended().await;
    node.converge("api").await;
    node.cluster.delete("web");
    node.converge("web").await;
    assert_eq!(node.queued(), [""; 0], "it still stops");
    node.ends(1, 0);
    node.converge("web").await;
    assert_eq!(node.queued(), ["api"]);
    node.converge("api").await;
    assert_eq!(node.runtime.has(), [("api-1".into(), "running")]);
}

#[tokio::test(start_paused = true)]
async fn the_second_comes_at_once_when_the_first_should_have_no_container() {
    let mut node = contended().await;
    node.converge("api").await;
    node.cluster.change("web", |spec| {
        spec.desired_state = DesiredState::Deleted;
        spec.termination_grace_period_seconds = 0;
    });
    node.converge("web").await;
    assert_eq!(node.queued(), ["api"]);
}

#[tokio::test(start_paused = true)]
async fn the_second_comes_at_once_when_the_first_is_swept() {
    let mut node = contended().await;
    node.converge("api").await;
    node.api.remove("web");
    node.cluster.catch_up();
    sweep(&node.ctx).await;
    assert_eq!(node.queued(), ["api"]);
    node.converge("api").await;
    assert_eq!(node.runtime.has(), [("api-1".into(), "running")]);
}

#[tokio::test(start_paused = true)]
async fn the_first_keeps_it_through_its_restarts() {
    let mut node = contended().await;
    node.converge("api").await;
    node.ends(1, 1);
    node.converge("web").await;
    pass(10.0).await;
    node.converge("api").await;
    node.converge("web").await;
    assert_eq!(node.queued(), [""; 0]);
    assert_eq!(node.runtime.has(), [("web-2".into(), "running")]);
}

#[tokio::test(start_paused = true)]
async fn what_a_released_container_uses_is_free_only_when_that_container_is_gone() {
    let mut node = contended().await;
    node.converge("api").await;
    node.cluster.change("web", |spec| {
        spec.management_policy = hcs_crds::ManagementPolicy::Observe;
    });
    node.converge("web").await;
    node.cluster.delete("web");
    node.converge("web").await;
    node.cluster.catch_up();
    assert_eq!(node.queued(), [""; 0]);
    pass(600.0).await;
    node.converge("api").await;
    assert_eq!(node.runtime.has(), [("web-1".into(), "running")]);

    node.runtime.loses_all();
    node.ctx.relist.refresh().await;
    sweep(&node.ctx).await;
    assert_eq!(node.queued(), ["api"]);
    node.converge("api").await;
    assert_eq!(node.runtime.has(), [("api-1".into(), "running")]);
}

#[tokio::test(start_paused = true)]
async fn what_a_released_container_uses_is_not_free_for_the_next_agent() {
    let node = contended().await;
    node.cluster.change("web", |spec| {
        spec.management_policy = hcs_crds::ManagementPolicy::Observe;
    });
    node.converge("web").await;
    node.cluster.delete("web");
    node.converge("web").await;
    let node = node.restarted().await;
    node.converge("api").await;
    assert!(node.condition("api", "Ready").ends_with("BundleInUse"));
    assert_eq!(node.runtime.has(), [("web-1".into(), "running")]);
}
