//! A container ends by itself: what is told of it, and when the next one comes.

use hcs_crds::RestartPolicy;

use crate::agent::fixtures::{Node, Said, Shape, pass};

#[tokio::test(start_paused = true)]
async fn an_end_is_told_with_its_exit_code_and_a_new_one_waits_for_its_time() {
    let node = Node::running(|web| web).await;
    node.ends(1, 0xC000_0005);
    let said = node.converge("web").await;
    let waiting = Said::status("web", "Stopped", "WaitingForBackoff");
    assert_eq!(said, [waiting, Said::event("ContainerFailed")]);
    let last = node.status("web").last_termination.unwrap();
    assert_eq!(last.exit_code_hex.as_deref(), Some("0xC0000005"));
    pass(8.9).await;
    assert_eq!(node.converge("web").await, []);
    assert!(node.runtime.calls().is_empty());
    pass(1.2).await;
    node.converge("web").await;
    let calls = ["delete web-1", "create web-2", "start web-2", "ps web-2"];
    assert_eq!(node.runtime.calls(), calls);
}

#[tokio::test(start_paused = true)]
async fn ends_in_a_row_wait_twice_as_long_each_until_a_long_run_forgets_them() {
    let node = Node::running(|web| web).await;
    let waits = [10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0];
    for (n, expected) in (1..).zip(waits) {
        node.ends(n, 1);
        node.converge("web").await;
        pass(expected * 0.9 - 0.1).await;
        node.converge("web").await;
        assert_eq!(node.status("web").attempt, Some(n), "too soon: {expected}");
        pass(expected * 0.1 + 0.2).await;
        node.converge("web").await;
        assert_eq!(node.status("web").attempt, Some(n + 1), "late: {expected}");
    }
    assert_eq!(node.status("web").restart_count, 7);
    pass(601.0).await;
    node.converge("web").await;
    assert_eq!(node.status("web").backoff, None);
    node.ends(8, 1);
    node.converge("web").await;
    pass(10.1).await;
    node.converge("web").await;
    assert_eq!(node.status("web").attempt, Some(9));
}

#[tokio::test(start_paused = true)]
async fn after_max_restarts_it_is_stalled_until_a_restart_is_asked_for() {
    let node = Node::running(|web| web.with(|spec| spec.restart.max_restarts = Some(1))).await;
    for n in 1..=2 {
        node.ends(n, 1);
        node.converge("web").await;
        pass(20.0).await;
        node.converge("web").await;
    }
    assert_eq!(node.condition("web", "Stalled"), "True RestartLimitReached");
    pass(3600.0).await;
    assert_eq!(node.converge("web").await, []);
    node.cluster
        .change("web", |spec| spec.restart_request = Some("again".into()));
    node.converge("web").await;
    assert_eq!(node.runtime.has(), [("web-3".into(), "running")]);
}

#[tokio::test(start_paused = true)]
async fn an_end_that_the_policy_leaves_is_left_and_costs_nothing_more() {
    for (policy, code, ready) in [
        (RestartPolicy::OnFailure, 0, "True Completed"),
        (RestartPolicy::Never, 0, "True Completed"),
        (RestartPolicy::Never, 3, "False ContainerFailed"),
    ] {
        let node = Node::running(|web| web.with(|spec| spec.restart_policy = policy)).await;
        node.ends(1, code);
        node.converge("web").await;
        assert_eq!(node.condition("web", "Ready"), ready);
        pass(3600.0).await;
        assert_eq!(node.converge("web").await, []);
        assert!(node.runtime.calls().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn an_object_whose_time_is_over_is_deleted_and_cleaned_up() {
    let node = Node::running(|web| {
        web.with(|spec| {
            spec.restart_policy = RestartPolicy::Never;
            spec.ttl_seconds_after_finished = Some(60);
        })
    })
    .await;
    node.ends(1, 0);
    node.converge("web").await;
    pass(59.0).await;
    assert_eq!(node.converge("web").await, []);
    pass(1.1).await;
    let said = node.converge("web").await;
    assert_eq!(
        said,
        [Said::Deletes("web".into()), Said::event("TtlExpired")]
    );
    node.converge("web").await;
    assert_eq!(node.api.get("web"), None);
    assert!(node.runtime.has().is_empty());
}
