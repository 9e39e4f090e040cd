//! The machine's clock is set by hours: no wait becomes longer or shorter.

use hcs_crds::{DesiredState, RestartPolicy};

use crate::agent::fixtures::{Node, Shape as _, clock_jumps, pass, uid};

const HOURS: [i64; 2] = [3, -3];

/// A node whose `web` has been asked to stop, within 30 s.
async fn stops() -> Node {
    let node = Node::running(|web| web.grace(30)).await;
    let stop = |spec: &mut hcs_crds::HcsContainerSpec| spec.desired_state = DesiredState::Stopped;
    node.cluster.change("web", stop);
    node.converge("web").await;
    assert_eq!(node.runtime.calls(), ["kill web-1 CtrlShutdown"]);
    node
}

/// The grace period lasts for 30 s from now on.
async fn has_its_grace(node: &Node, hours: i64) {
    pass(28.0).await;
    node.converge("web").await;
    assert!(node.runtime.calls().is_empty(), "too soon, {hours} h");
    pass(2.1).await;
    node.converge("web").await;
    assert_eq!(node.runtime.calls(), ["delete --force web-1"], "{hours} h");
}

/// A node whose `web` has just failed, and is to run always.
async fn fails() -> Node {
    let node =
        Node::running(|web| web.with(|spec| spec.restart_policy = RestartPolicy::Always)).await;
    node.ends(1, 1);
    node
}

/// The backoff lasts for about 10 s from now on.
async fn waits_its_backoff(node: &Node, hours: i64) {
    pass(8.0).await;
    node.converge("web").await;
    assert_eq!(node.status("web").attempt, Some(1), "too soon, {hours} h");
    pass(2.1).await;
    node.converge("web").await;
    assert_eq!(node.status("web").attempt, Some(2), "{hours} h");
}

#[tokio::test(start_paused = true)]
async fn a_grace_period_lasts_as_long_as_it_does_whatever_the_clock_says() {
    for hours in HOURS {
        let node = stops().await;
        clock_jumps(hours);
        has_its_grace(&node, hours).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_backoff_lasts_as_long_as_it_does_whatever_the_clock_says() {
    for hours in HOURS {
        let node = fails().await;
        node.converge("web").await;
        clock_jumps(hours);
        waits_its_backoff(&node, hours).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_backoff_lasts_as_long_as_it_does_though_the_clock_is_set_before_the_end_is_looked_at() {
    for hours in HOURS {
        let node = fails().await;
        clock_jumps(hours);
        node.converge("web").await;
        waits_its_backoff(&node, hours).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_step_that_failed_waits_as_long_as_it_does_whatever_the_clock_says() {
    for hours in HOURS {
        let node = Node::new().await;
        node.has(node.object("web"));
        node.disk_works(false);
        node.reconcile("web").await.unwrap();
        node.disk_works(true);
        clock_jumps(hours);
        node.converge("web").await;
        assert!(node.runtime.has().is_empty(), "too soon, {hours} h");
        pass(10.1).await;
        node.converge("web").await;
        assert_eq!(node.runtime.has().len(), 1, "{hours} h");
    }
}

#[tokio::test(start_paused = true)]
async fn a_time_to_live_lasts_as_long_as_it_does_whatever_the_clock_says() {
    for hours in HOURS {
        let node = Node::running(|web| {
            web.with(|spec| {
                spec.restart_policy = RestartPolicy::Never;
                spec.ttl_seconds_after_finished = Some(60);
            })
        })
        .await;
        node.ends(1, 0);
        node.converge("web").await;
        clock_jumps(hours);
        pass(55.0).await;
        node.converge("web").await;
        let deleted = || {
            let object = node.api.get("web");
            object.is_none_or(|object| !object["metadata"]["deletionTimestamp"].is_null())
        };
        assert!(!deleted(), "too soon, {hours} h");
        pass(5.1).await;
        node.converge("web").await;
        assert!(deleted(), "{hours} h");
    }
}

/// Stops `web`, has its agent end before the grace period does, and the next one begin after something was done to the
/// record.
async fn stops_and_begins_anew(between: impl FnOnce(&Node)) -> Node {
    let node = stops().await;
    between(&node);
    node.restarted().await
}

#[tokio::test(start_paused = true)]
async fn a_grace_period_lasts_as_long_as_it_does_though_the_clock_is_set_while_no_agent_runs() {
    for hours in HOURS {
        let node = stops_and_begins_anew(|_| clock_jumps(hours)).await;
        node.converge("web").await;
        has_its_grace(&node, hours).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_left_before_a_boot_is_not_taken_for_what_a_set_clock_did() {
    let node = stops_and_begins_anew(|node| {
        forgets(node, |record| {
            record["boot_id"] = "another".into();
            record["booted_at"] = "2024-01-01T00:00:00Z".into();
        });
    })
    .await;
    node.converge("web").await;
    assert!(node.runtime.calls().is_empty(), "too soon");
    pass(30.1).await;
    node.converge("web").await;
    assert_eq!(node.runtime.calls(), ["delete --force web-1"]);
}

/// Changes the record of `web` while no agent runs.
fn forgets(node: &Node, change: impl FnOnce(&mut serde_json::Value)) {
    let file = node.file(&format!("records/{}.json", uid("web")));
    let mut record = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    change(&mut record);
    std::fs::write(file, record.to_string()).unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_cannot_know_that_the_clock_was_set_back_waits_no_longer_than_ever() {
    // As an earlier version has left it.
    let unknown = |record: &mut serde_json::Value| record["booted_at"] = serde_json::Value::Null;
    let node = Node::running(|web| {
        web.grace(30)
            .with(|spec| spec.restart.max_backoff_seconds = 60)
    })
    .await;
    node.ends(1, 1);
    node.converge("web").await;
    clock_jumps(-3);
    forgets(&node, unknown);
    let node = node.restarted().await;
    // From its first look on.
    node.converge("web").await;
    pass(60.1).await;
    node.converge("web").await;
    assert_eq!(node.status("web").attempt, Some(2));
    node.cluster
        .change("web", |spec| spec.desired_state = DesiredState::Stopped);
    node.converge("web").await;
    clock_jumps(-3);
    forgets(&node, unknown);
    node.runtime.calls();
    let node = node.restarted().await;
    node.converge("web").await;
    pass(30.1).await;
    node.converge("web").await;
    assert_eq!(node.runtime.calls(), ["delete --force web-2"]);
}
