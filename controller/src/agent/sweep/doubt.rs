//! A store that was restored from a backup, or lost: what it does not have was not deleted.

use super::*;
use crate::agent::fixtures::{Node, uid};
use crate::agent::record::container_id;

async fn sweeps(node: &Node) -> Vec<&'static str> {
    node.cluster.catch_up();
    sweep(&node.ctx).await;
    let has = node.runtime.has();
    has.into_iter().map(|(_, state)| state).collect()
}

/// A node whose `web` is in doubt, and there is another object of its name.
async fn applied_again() -> Node {
    let node = Node::running(|object| object).await;
    node.api.is_emptied(0);
    assert_eq!(sweeps(&node).await, ["running"]);
    let mut again = node.object("web");
    again.metadata.uid = Some(uid("api"));
    node.has(again);
    node
}

#[tokio::test(start_paused = true)]
async fn what_an_older_store_does_not_have_stays_whatever_comes_later() {
    let node = Node::running(|object| object).await;
    node.api.is_emptied(0);
    assert_eq!(sweeps(&node).await, ["running"]);
    assert!(node.record("web").unwrap().lost);
    // The new store has come further than the old one ever did.
    node.api.is_emptied(1_000_000);
    assert_eq!(sweeps(&node).await, ["running"]);
    let node = node.restarted().await;
    assert_eq!(sweeps(&node).await, ["running"]);
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_was_away_when_the_store_was_lost_doubts_too() {
    let node = Node::running(|object| object).await;
    node.api.is_emptied(0);
    let node = node.restarted().await;
    assert_eq!(sweeps(&node).await, ["running"]);
    assert!(node.record("web").unwrap().lost);
}

#[tokio::test(start_paused = true)]
async fn what_an_older_store_does_not_have_goes_for_another_object_of_its_name() {
    let node = applied_again().await;
    assert!(sweeps(&node).await.is_empty());
    assert!(node.record("web").is_none());
}

/// As on Windows, where a shim that is about to end keeps its bundle's folder.
#[tokio::test(start_paused = true)]
async fn what_could_not_be_removed_at_once_goes_though_the_other_object_is_gone_by_then() {
    let node = applied_again().await;
    let bundle = bundles(&node.ctx.data).join(container_id(&uid("web"), 1));
    let aside = bundle.with_file_name("aside");
    fs::rename(&bundle, &aside).unwrap();
    fs::write(&bundle, "not a folder").unwrap();
    assert!(sweeps(&node).await.is_empty());
    assert!(
        node.record("web").unwrap().replaced_by.is_some(),
        "the bundle is still there"
    );

    node.api.remove("web");
    fs::remove_file(&bundle).unwrap();
    fs::rename(&aside, &bundle).unwrap();
    let node = node.restarted().await;
    assert!(sweeps(&node).await.is_empty());
    assert!(node.record("web").is_none());
    assert!(!bundle.exists());
}

#[tokio::test(start_paused = true)]
async fn what_is_there_again_is_looked_after_again_and_can_be_deleted() {
    let node = Node::running(|object| object).await;
    let object = node.api.get("web").unwrap();
    node.api.is_emptied(0);
    assert_eq!(sweeps(&node).await, ["running"]);
    node.api.put(object);
    node.converge("web").await;
    assert!(!node.record("web").unwrap().lost);
    // Removed without its finalizer's leave, in a store that goes on from here.
    node.api.remove("web");
    assert!(sweeps(&node).await.is_empty());
}
