//! What is swept and, more so, what is not.

use std::sync::atomic::Ordering;

use runhcs::ErrorKind;

use super::sweep;
use crate::agent::fixtures::{Answer, Node, Said, Shape, fails, hangs, uid};
use crate::agent::record::container_id;

/// A node with a container whose object nobody knows.
async fn with_orphan() -> Node {
    let node = Node::new().await;
    orphan(&node, "old");
    node.ctx.relist.refresh().await;
    node
}

fn orphan(node: &Node, name: &str) {
    let id = container_id(&uid(name), 3);
    let bundle = node.ctx.bundle(&id);
    std::fs::create_dir_all(&bundle).unwrap();
    node.runtime.put(&id, "running", &bundle);
}

#[tokio::test(start_paused = true)]
async fn an_orphan_is_removed_with_its_bundle() {
    let node = with_orphan().await;
    sweep(&node.ctx).await;
    assert_eq!(node.runtime.calls(), ["delete --force old-3"]);
    assert_eq!(std::fs::read_dir(node.file("bundles")).unwrap().count(), 0);
    sweep(&node.ctx).await;
    assert!(node.runtime.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_swept_before_the_api_servers_first_list_is_in() {
    let node = with_orphan().await;
    node.ctx.synced.store(false, Ordering::Release);
    sweep(&node.ctx).await;
    assert!(node.runtime.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_only_an_old_list_does_not_have_is_no_orphan() {
    let node = Node::running(|web| web).await;
    let web = node.api.get("web").unwrap();
    node.api.remove("web");
    node.cluster.catch_up();
    node.api.put(web);
    sweep(&node.ctx).await;
    assert!(node.runtime.calls().is_empty());
    assert!(node.record("web").is_some());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_swept_while_the_api_server_does_not_confirm_it() {
    for answer in [Answer::Refuses(503), Answer::Silence] {
        let node = with_orphan().await;
        node.api.next("list", answer);
        sweep(&node.ctx).await;
        assert!(node.runtime.calls().is_empty());
        sweep(&node.ctx).await;
        assert_eq!(node.runtime.calls(), ["delete --force old-3"]);
    }
}

#[tokio::test(start_paused = true)]
async fn many_orphans_cost_one_list_and_none_cost_nothing() {
    let node = with_orphan().await;
    orphan(&node, "api");
    node.ctx.relist.refresh().await;
    for said in [&[Said::Lists][..], &[]] {
        sweep(&node.ctx).await;
        assert_eq!(node.api.said(), said);
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_swept_while_runhcs_does_not_answer() {
    let node = with_orphan().await;
    for _ in 0..2 {
        node.runtime.next("list", fails(ErrorKind::Failed, "no"));
        node.ctx.relist.refresh().await;
    }
    sweep(&node.ctx).await;
    assert!(node.runtime.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_others_made_is_not_touched_even_under_an_id_like_ours() {
    let node = Node::new().await;
    let like_ours = container_id(&uid("old"), 1);
    let elsewhere = node.file("elsewhere");
    node.runtime.put("nginx", "running", &elsewhere);
    node.runtime.put(&like_ours, "running", &elsewhere);
    node.ctx.relist.refresh().await;
    sweep(&node.ctx).await;
    assert!(node.runtime.calls().is_empty());
    assert_eq!(node.runtime.has().len(), 2);
    assert_eq!(node.ctx.table.foreign().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_orphan_that_cannot_be_removed_is_tried_again_by_the_next_sweep() {
    for manner in [fails(ErrorKind::Failed, "no"), hangs()] {
        let node = with_orphan().await;
        node.runtime.next("delete", manner);
        sweep(&node.ctx).await;
        assert_eq!(node.runtime.has().len(), 1);
        assert!(node.ctx.bundle(&container_id(&uid("old"), 3)).exists());
        sweep(&node.ctx).await;
        assert!(node.runtime.has().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_bundle_that_outlasted_its_container_and_its_record_is_removed() {
    let node = Node::new().await;
    let left = node.ctx.bundle(&container_id(&uid("old"), 3));
    let foreign = node.ctx.bundle("by-hand");
    for bundle in [&left, &foreign] {
        std::fs::create_dir_all(bundle).unwrap();
    }
    sweep(&node.ctx).await;
    assert!(!left.exists() && foreign.exists());
    assert!(node.runtime.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn orphans_whose_deletion_hangs_do_not_wait_for_each_other() {
    let node = with_orphan().await;
    orphan(&node, "web");
    orphan(&node, "api");
    node.ctx.relist.refresh().await;
    for _ in 0..2 {
        node.runtime.next("delete", hangs());
    }
    let begun = tokio::time::Instant::now();
    sweep(&node.ctx).await;
    assert_eq!(begun.elapsed().as_secs(), 60);
    assert_eq!(node.runtime.has().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_container_of_a_known_object_is_left() {
    let node = Node::running(|web| web).await;
    sweep(&node.ctx).await;
    assert!(node.runtime.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_object_that_went_without_its_finalizer_leaves_nothing() {
    let node = Node::running(|web| web).await;
    node.api.remove("web");
    node.cluster.catch_up();
    sweep(&node.ctx).await;
    assert_eq!(node.runtime.calls(), ["delete --force web-1"]);
    assert!(node.record("web").is_none());
    assert!(node.ctx.records.uids().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_was_released_stays_when_its_object_is_gone() {
    let node = Node::running(|web| web).await;
    node.cluster.change("web", |spec| {
        spec.management_policy = hcs_crds::ManagementPolicy::Observe;
    });
    node.converge("web").await;
    node.cluster.delete("web");
    node.converge("web").await;
    node.cluster.catch_up();
    sweep(&node.ctx).await;
    assert!(node.runtime.calls().is_empty());
    assert!(node.record("web").is_some());
}

#[tokio::test(start_paused = true)]
async fn a_retained_disk_outlives_an_old_spec_that_would_not_retain_it() {
    let node = Node::new().await;
    let old = node.object("web").with(|spec| {
        spec.runtime.os = hcs_crds::Os::Linux;
        spec.runtime.isolation = hcs_crds::Isolation::HyperV;
        spec.scratch = Some(hcs_crds::Scratch::default());
        spec.desired_state = hcs_crds::DesiredState::Stopped;
    });
    node.has(old);
    node.converge("web").await;
    assert!(node.record("web").is_some());
    let disk = node.file(&format!("scratch/{}/sandbox.vhdx", uid("web")));
    std::fs::create_dir_all(disk.parent().unwrap()).unwrap();
    std::fs::write(&disk, "disk").unwrap();
    node.api.remove("web");
    node.cluster.catch_up();
    sweep(&node.ctx).await;
    assert!(node.record("web").is_none());
    assert!(disk.exists());
}
