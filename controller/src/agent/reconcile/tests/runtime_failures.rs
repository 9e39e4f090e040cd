//! runhcs fails: what is said of it, and when it is tried again.

use std::time::Duration;

use hcs_crds::DesiredState;
use kube::runtime::controller::Action;
use runhcs::ErrorKind;

use crate::agent::fixtures::{Manner, Node, Said, Shape, fails, hangs, pass};

fn failing(kind: ErrorKind) -> Manner {
    fails(kind, "it says no")
}

#[tokio::test(start_paused = true)]
async fn a_create_that_fails_has_the_reason_an_event_and_a_time_for_the_next() {
    use ErrorKind as E;
    for (manner, reason) in [
        (failing(E::StorageFailed), "CreateFailed"),
        (failing(E::AccessDenied), "CreateFailed"),
        (failing(E::Failed), "CreateFailed"),
        (failing(E::BundleInvalid), "BundleInvalid"),
        (failing(E::NotSupported), "Unsupported"),
        (failing(E::BadOutput), "RuntimeBadOutput"),
        (failing(E::ExecutableNotFound), "RuntimeMissing"),
        (failing(E::NotExecutable), "RuntimeMissing"),
        (failing(E::Killed), "RuntimeFailed"),
        (hangs(), "RuntimeHung"),
    ] {
        let node = Node::new().await;
        node.has(node.object("web"));
        node.runtime.next("create", manner);
        let action = node.reconcile("web").await.unwrap();
        assert_eq!(node.condition("web", "Ready"), format!("False {reason}"));
        // What this runhcs cannot do, or does not understand, takes another spec or another runhcs.
        let progress = if ["Unsupported", "BundleInvalid"].contains(&reason) {
            "Stalled"
        } else {
            "Reconciling"
        };
        assert_eq!(node.condition("web", progress), format!("True {reason}"));
        let events = node
            .api
            .said()
            .into_iter()
            .filter(|s| matches!(s, Said::Event(_)));
        assert_eq!(events.collect::<Vec<_>>(), [Said::event(reason)]);
        let wait = node.retry_in("web");
        assert!((9.0..=10.0).contains(&wait), "{reason}: {wait}");
        let due = Duration::from_secs_f64(wait) + Duration::from_millis(5);
        assert_eq!(action, Action::requeue(due), "{reason}");
        node.runtime.calls();

        pass(wait - 0.5).await;
        assert_eq!(node.converge("web").await, [], "{reason}: too soon");
        assert!(node.runtime.calls().is_empty(), "{reason}: too soon");
        pass(0.6).await;
        node.converge("web").await;
        assert_eq!(
            node.runtime.has(),
            [("web-2".into(), "running")],
            "{reason}"
        );
        assert_eq!(node.condition("web", "Ready"), "True Running");
    }
}

#[tokio::test(start_paused = true)]
async fn what_keeps_failing_is_tried_ever_more_seldom_up_to_a_limit_and_said_once() {
    let node = Node::new().await;
    node.has(node.object("web"));
    let mut events = Vec::new();
    for expected in [10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0] {
        node.runtime
            .next("create", failing(ErrorKind::StorageFailed));
        let said = node.converge("web").await;
        events.extend(said.into_iter().filter(|s| matches!(s, Said::Event(_))));
        let wait = node.retry_in("web");
        let allowed = expected * 0.9..=expected;
        assert!(allowed.contains(&wait), "{wait} and not {expected}");
        assert_eq!(node.runtime.calls().len(), 1);
        pass(wait + 0.01).await;
    }
    assert_eq!(events, [Said::event("CreateFailed")]);
    assert_eq!(node.status("web").backoff.unwrap().consecutive_failures, 7);
    node.converge("web").await;
    assert_eq!(node.status("web").backoff, None);
}

#[tokio::test(start_paused = true)]
async fn a_new_spec_is_tried_at_once() {
    let node = Node::new().await;
    node.has(node.object("web"));
    node.runtime
        .next("create", failing(ErrorKind::StorageFailed));
    node.converge("web").await;
    node.cluster
        .change("web", |spec| spec.termination_grace_period_seconds = 5);
    node.converge("web").await;
    assert_eq!(node.runtime.has(), [("web-2".into(), "running")]);
}

#[tokio::test(start_paused = true)]
async fn a_start_that_hung_is_tried_again_on_the_same_container() {
    let node = Node::new().await;
    node.has(node.object("web"));
    node.runtime.next("start", hangs());
    node.converge("web").await;
    assert_eq!(node.condition("web", "Ready"), "False RuntimeHung");
    assert_eq!(
        node.condition("web", "RuntimeResponsive"),
        "False RuntimeHung"
    );
    pass(10.0).await;
    node.converge("web").await;
    let calls = ["create web-1", "start web-1", "start web-1", "ps web-1"];
    assert_eq!(node.runtime.calls(), calls);
    assert_eq!(
        node.condition("web", "RuntimeResponsive"),
        "True RuntimeResponds"
    );
}

#[tokio::test(start_paused = true)]
async fn a_start_that_hung_after_it_had_its_effect_is_not_repeated() {
    let node = Node::new().await;
    node.has(node.object("web"));
    node.runtime.next("start", hangs().leaving("running"));
    node.converge("web").await;
    let calls = ["create web-1", "start web-1", "ps web-1"];
    assert_eq!(node.runtime.calls(), calls);
    assert_eq!(node.condition("web", "Ready"), "True Running");
}

#[tokio::test(start_paused = true)]
async fn a_program_that_is_not_there_fails_the_start_and_the_next_attempt_waits() {
    let node = Node::new().await;
    node.has(node.object("web"));
    let not_there = fails(ErrorKind::ProgramNotFound, "cannot find the file specified");
    node.runtime.next("start", not_there.leaving("stopped"));
    let said = node.converge("web").await;
    assert!(said.contains(&Said::event("StartFailed")), "{said:?}");
    assert_eq!(node.condition("web", "Ready"), "False WaitingForBackoff");
    let last = node.status("web").last_termination.unwrap();
    assert_eq!(last.reason.as_deref(), Some("StartFailed"));
    node.runtime.calls();
    pass(10.0).await;
    node.converge("web").await;
    let calls = ["delete web-1", "create web-2", "start web-2", "ps web-2"];
    assert_eq!(node.runtime.calls(), calls);
    assert_eq!(node.status("web").restart_count, 1);
}

#[tokio::test(start_paused = true)]
async fn a_list_of_processes_that_fails_leaves_the_container_ready() {
    let node = Node::new().await;
    node.has(node.object("web"));
    node.runtime.next("ps", failing(ErrorKind::Failed));
    node.converge("web").await;
    assert_eq!(node.condition("web", "Ready"), "True Running");
    assert_eq!(node.status("web").processes, None);
    pass(10.0).await;
    node.converge("web").await;
    assert_eq!(node.status("web").processes.unwrap().count, 1);
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_windows_refuses_is_stalled_and_the_container_goes_on() {
    let node = Node::running(Shape::in_a_vm).await;
    node.cluster
        .change("web", |spec| spec.desired_state = DesiredState::Paused);
    node.runtime.next("pause", failing(ErrorKind::NotSupported));
    node.converge("web").await;
    assert_eq!(node.condition("web", "Stalled"), "True PauseUnsupported");
    assert_eq!(node.runtime.has(), [("web-1".into(), "running")]);
}
