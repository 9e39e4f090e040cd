//! A create of which nobody knows how it went: what is there then decides, and never are there
//! two containers of one object.

use runhcs::ErrorKind;

use crate::agent::fixtures::{Node, Said, fails, hangs, pass, uid};

#[tokio::test(start_paused = true)]
async fn a_half_made_container_is_removed_by_force_before_the_next_attempt() {
    let node = Node::new().await;
    node.has(node.object("web"));
    node.runtime.next("create", hangs().leaving("half-made"));
    let said = node.converge("web").await;
    assert!(said.contains(&Said::event("HalfMadeRemoved")), "{said:?}");
    assert_eq!(
        node.runtime.calls(),
        ["create web-1", "delete --force web-1"]
    );
    pass(10.0).await;
    node.converge("web").await;
    let calls = ["create web-2", "start web-2", "ps web-2"];
    assert_eq!(node.runtime.calls(), calls);
    assert_eq!(node.runtime.most_at_once(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_container_that_is_there_after_all_is_taken_on() {
    let node = Node::new().await;
    node.has(node.object("web"));
    node.runtime.next("create", hangs().leaving("created"));
    node.converge("web").await;
    let calls = ["create web-1", "start web-1", "ps web-1"];
    assert_eq!(node.runtime.calls(), calls);
    assert_eq!(node.condition("web", "Ready"), "True Running");
}

#[tokio::test(start_paused = true)]
async fn where_nothing_is_there_a_new_attempt_is_made_and_the_old_bundle_is_gone() {
    let node = Node::new().await;
    node.has(node.object("web"));
    node.runtime.next("create", hangs());
    node.converge("web").await;
    assert!(!node.file(&format!("bundles/hc-{}-1", uid("web"))).exists());
    pass(10.0).await;
    node.converge("web").await;
    assert_eq!(node.runtime.has(), [("web-2".into(), "running")]);
}

#[tokio::test(start_paused = true)]
async fn no_new_attempt_is_made_until_a_list_has_told_what_became_of_the_last() {
    let node = Node::new().await;
    node.has(node.object("web"));
    node.runtime.next("create", hangs().leaving("created"));
    node.runtime.next("list", fails(ErrorKind::BadOutput, "?"));
    node.runtime.next("list", hangs());
    node.converge("web").await;
    assert_eq!(node.runtime.calls(), ["create web-1"]);
    for _ in 0..20 {
        pass(10.0).await;
        node.converge("web").await;
    }
    assert_eq!(node.runtime.has(), [("web-1".into(), "running")]);
    assert_eq!(node.runtime.calls(), ["start web-1", "ps web-1"]);
    assert_eq!(node.runtime.most_at_once(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_bundle_stays_while_it_is_not_known_whether_a_container_uses_it() {
    let node = Node::new().await;
    node.has(node.object("web"));
    node.runtime.next("create", hangs().leaving("created"));
    node.runtime.next("list", fails(ErrorKind::BadOutput, "?"));
    node.converge("web").await;
    assert!(node.file(&format!("bundles/hc-{}-1", uid("web"))).exists());
}

#[tokio::test(start_paused = true)]
async fn a_container_of_an_earlier_attempt_is_removed_before_anything_else() {
    let node = Node::new().await;
    node.has(node.object("web"));
    node.runtime.next("create", hangs());
    node.converge("web").await;
    pass(10.0).await;
    node.converge("web").await;
    let late = format!("hc-{}-1", uid("web"));
    node.runtime.put(&late, "created", &node.ctx.bundle(&late));
    node.ctx.relist.refresh().await;
    node.runtime.calls();
    let said = node.converge("web").await;
    assert_eq!(node.runtime.calls(), ["delete --force web-1"]);
    assert!(said.contains(&Said::event("OrphanRemoved")), "{said:?}");
    assert_eq!(node.runtime.has(), [("web-2".into(), "running")]);
}
