//! The object is being deleted: the container and the files go first, the finalizer last.

use hcs_crds::DesiredState;
use runhcs::ErrorKind;

use crate::agent::fixtures::{Answer, Node, Said, Shape, fails, hangs, pass, uid};

fn leftovers(node: &Node) -> Vec<String> {
    let mut left = Vec::new();
    for folder in ["bundles", "records", "scratch"] {
        let entries = std::fs::read_dir(node.file(folder)).into_iter().flatten();
        left.extend(entries.map(|e| e.unwrap().file_name().into_string().unwrap()));
    }
    left
}

#[tokio::test(start_paused = true)]
async fn a_deleted_object_leaves_nothing_behind() {
    let node = Node::running(|web| web).await;
    node.cluster.delete("web");
    node.converge("web").await;
    node.ends(1, 0xC000_013A);
    let said = node.converge("web").await;
    assert_eq!(said, [Said::RemovesFinalizer("web".into())]);
    assert_eq!(
        node.runtime.calls(),
        ["kill web-1 CtrlShutdown", "delete web-1"]
    );
    assert_eq!(node.api.get("web"), None);
    assert_eq!(leftovers(&node), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn the_files_are_gone_before_the_finalizer_and_the_record_after_it() {
    let node = Node::running(|web| web.grace(0)).await;
    node.cluster.delete("web");
    node.api.next("finalizer", Answer::Refuses(500));
    node.reconcile("web").await.unwrap_err();
    assert_eq!(leftovers(&node), [format!("{}.json", uid("web"))]);
    node.runtime.calls();
    node.converge("web").await;
    assert_eq!(leftovers(&node), [""; 0]);
    assert!(node.runtime.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_finalizer_stays_while_the_container_cannot_be_removed() {
    for manner in [fails(ErrorKind::Failed, "no"), hangs()] {
        let node = Node::running(|web| web.grace(0)).await;
        node.cluster.delete("web");
        node.runtime.next("delete", manner);
        node.converge("web").await;
        assert!(node.api.get("web").is_some());
        assert_eq!(node.runtime.has(), [("web-1".into(), "running")]);
        pass(10.1).await;
        node.converge("web").await;
        assert_eq!(node.api.get("web"), None);
        assert!(node.runtime.has().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn an_object_that_went_before_its_finalizer_was_removed_is_no_failure() {
    let node = Node::running(|web| web.grace(0)).await;
    node.cluster.delete("web");
    node.api.next("finalizer", Answer::Refuses(404));
    node.converge("web").await;
    assert_eq!(leftovers(&node), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn what_failed_on_the_way_does_not_keep_the_object() {
    let node = Node::running(|web| web.in_a_vm().desired(DesiredState::Paused)).await;
    node.cluster.delete("web");
    node.runtime.next("resume", fails(ErrorKind::Failed, "no"));
    let said = node.converge("web").await;
    let removals = said
        .iter()
        .filter(|s| matches!(s, Said::RemovesFinalizer(_)));
    assert_eq!(removals.count(), 1, "{said:?}");
    assert_eq!(leftovers(&node), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn the_finalizer_of_others_is_left() {
    let node = Node::new().await;
    let mut web = node.object("web").finalized().grace(0);
    web.metadata
        .finalizers
        .get_or_insert_default()
        .push("example.com/mine".into());
    node.has(web);
    node.converge("web").await;
    node.cluster.delete("web");
    node.converge("web").await;
    let finalizers = &node.api.get("web").unwrap()["metadata"]["finalizers"];
    assert_eq!(*finalizers, serde_json::json!(["example.com/mine"]));
    assert_eq!(leftovers(&node), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn the_finalizer_goes_though_the_agents_own_status_is_newer_than_what_was_seen() {
    let node = Node::running(|web| web.grace(0)).await;
    node.cluster.delete("web");
    let mut newer = node.api.get("web").unwrap();
    newer["status"]["phase"] = "Stopping".into();
    node.api.put(newer);
    node.reconcile_cached("web").await.unwrap();
    assert!(node.api.get("web").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_finalizer_that_somebody_else_has_added_meanwhile_is_left() {
    let node = Node::running(|web| web.grace(0)).await;
    node.cluster.delete("web");
    let mut newer = node.api.get("web").unwrap();
    let finalizers = serde_json::json!(["example.com/mine", hcs_crds::FINALIZER]);
    newer["metadata"]["finalizers"] = finalizers.clone();
    node.api.put(newer);
    node.reconcile_cached("web").await.unwrap_err();
    assert_eq!(
        node.api.get("web").unwrap()["metadata"]["finalizers"],
        finalizers
    );
    node.converge("web").await;
    let left = &node.api.get("web").unwrap()["metadata"]["finalizers"];
    assert_eq!(*left, serde_json::json!(["example.com/mine"]));
}

#[tokio::test(start_paused = true)]
async fn an_object_that_was_only_observed_goes_and_its_container_stays() {
    let node = Node::running(|web| web).await;
    node.cluster.change("web", |spec| {
        spec.management_policy = hcs_crds::ManagementPolicy::Observe;
    });
    node.converge("web").await;
    node.cluster.delete("web");
    let said = node.converge("web").await;
    assert_eq!(said, [Said::RemovesFinalizer("web".into())]);
    assert!(node.runtime.calls().is_empty());
    assert_eq!(node.runtime.has(), [("web-1".into(), "running")]);
    assert!(node.record("web").unwrap().released);
}
