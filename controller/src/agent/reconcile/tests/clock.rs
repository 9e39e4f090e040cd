//! The machine's clock is set by hours: no wait becomes longer or shorter.

use hcs_crds::{DesiredState, RestartPolicy};

use crate::agent::fixtures::{Node, Shape as _, clock_jumps, pass};

const HOURS: [i64; 2] = [3, -3];

#[tokio::test(start_paused = true)]
async fn a_grace_period_lasts_as_long_as_it_does_whatever_the_clock_says() {
    for hours in HOURS {
        let node = Node::running(|web| web.grace(30)).await;
        let stop = |spec: &mut hcs_crds::HcsContainerSpec| {
            spec.desired_state = DesiredState::Stopped;
        };
        node.cluster.change("web", stop);
        node.converge("web").await;
        assert_eq!(node.runtime.calls(), ["kill web-1 CtrlShutdown"]);
        clock_jumps(hours);
        pass(28.0).await;
        node.converge("web").await;
        assert!(node.runtime.calls().is_empty(), "too soon, {hours} h");
        pass(2.1).await;
        node.converge("web").await;
        assert_eq!(node.runtime.calls(), ["delete --force web-1"], "{hours} h");
    }
}

#[tokio::test(start_paused = true)]
async fn a_backoff_lasts_as_long_as_it_does_whatever_the_clock_says() {
    for hours in HOURS {
        let node =
            Node::running(|web| web.with(|spec| spec.restart_policy = RestartPolicy::Always)).await;
        node.ends(1, 1);
        node.converge("web").await;
        clock_jumps(hours);
        pass(8.0).await;
        node.converge("web").await;
        assert_eq!(node.status("web").attempt, Some(1), "too soon, {hours} h");
        pass(2.1).await;
        node.converge("web").await;
        assert_eq!(node.status("web").attempt, Some(2), "{hours} h");
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

#[tokio::test(start_paused = true)]
async fn an_agent_that_was_away_when_the_clock_was_set_back_waits_no_longer_than_ever() {
    let node = Node::running(|web| {
        web.grace(30)
            .with(|spec| spec.restart.max_backoff_seconds = 60)
    })
    .await;
    node.ends(1, 1);
    node.converge("web").await;
    clock_jumps(-3);
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
    node.runtime.calls();
    let node = node.restarted().await;
    node.converge("web").await;
    pass(30.1).await;
    node.converge("web").await;
    assert_eq!(node.runtime.calls(), ["delete --force web-2"]);
}
