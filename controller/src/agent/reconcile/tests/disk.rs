//! The disk with the records fails: what is not written down first is not done.

use hcs_crds::{DesiredState, ManagementPolicy};
use kube::runtime::controller::Action;

use crate::agent::fixtures::{Node, Said, pass};

#[tokio::test(start_paused = true)]
async fn no_container_is_made_that_no_record_tells_of() {
    let node = Node::new().await;
    node.has(node.object("web"));
    node.disk_works(false);
    let action = node.reconcile("web").await.unwrap();
    assert!(node.runtime.calls().is_empty());
    assert_eq!(node.condition("web", "Ready"), "False NodeStorageFailed");
    assert_ne!(action, Action::await_change());
    node.disk_works(true);
    pass(10.0).await;
    node.converge("web").await;
    assert_eq!(node.condition("web", "Ready"), "True Running");
    assert_eq!(node.runtime.has().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_grace_period_begins_with_the_signal_and_not_before() {
    let node = Node::running(|web| web).await;
    node.cluster
        .change("web", |spec| spec.desired_state = DesiredState::Stopped);
    node.disk_works(false);
    node.converge("web").await;
    assert!(node.runtime.calls().is_empty());
    node.disk_works(true);
    pass(60.0).await;
    node.converge("web").await;
    assert_eq!(node.runtime.calls(), ["kill web-1 CtrlShutdown"]);
}

#[tokio::test(start_paused = true)]
async fn a_release_that_cannot_be_written_down_is_tried_again() {
    let node = Node::running(|web| web).await;
    node.cluster.change("web", |spec| {
        spec.management_policy = ManagementPolicy::Observe;
    });
    node.converge("web").await;
    node.cluster.delete("web");
    node.disk_works(false);
    let action = node.reconcile("web").await.unwrap();
    assert_ne!(action, Action::await_change());
    assert!(node.api.get("web").is_some());
    node.api.said();
    node.disk_works(true);
    pass(10.0).await;
    let said = node.converge("web").await;
    assert_eq!(said, [Said::RemovesFinalizer("web".into())]);
    assert!(node.record("web").unwrap().released);
}
