//! What follows the end of a container: its restart policy, the backoff, the limit, and a person's request.

use hcs_crds::{HcsContainer, HcsContainerStatus, Phase, Reason, RestartPolicy, conditions};
use hcs_tests::{Container, Live, Result, Scenario};
use serde_json::json;

/// Waits until the status of the object's newest spec is as asked.
async fn status_where(
    object: &Live,
    what: &str,
    so: impl Fn(&HcsContainerStatus) -> bool,
) -> Result<HcsContainerStatus> {
    let so = |object: &HcsContainer| {
        hcs_tests::live::observed(object) && object.status.as_ref().is_some_and(&so)
    };
    Ok(object.comes_to(what, so).await?.status.unwrap())
}

#[tokio::test]
async fn a_policy_on_failure_restarts_what_failed_and_leaves_what_completed() -> Result {
    let scenario = Scenario::named("on-failure").await?;
    let node = scenario.node().await?;
    let named = |name: &str| {
        Container::named(name)
            .on(&node)
            .restart_policy(RestartPolicy::OnFailure)
    };
    let done = scenario.create(named("done").exiting_with(0)).await?;
    let failing = scenario.create(named("failing").exiting_with(3)).await?;
    let status = status_where(&failing, "has restarted", |s| s.restart_count >= 1).await?;
    assert_eq!(status.last_termination.unwrap().exit_code, Some(3));
    done.says(conditions::READY, "True", Reason::Completed)
        .await?;
    let status = done.status().await?;
    assert_eq!((status.attempt, status.restart_count), (Some(1), 0));
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn a_policy_always_restarts_what_completed_too() -> Result {
    let scenario = Scenario::named("always").await?;
    let node = scenario.node().await?;
    let web = Container::named("web").on(&node).exiting_with(0);
    let web = web.restart_policy(RestartPolicy::Always);
    let web = scenario.create(web).await?;
    status_where(&web, "has restarted", |s| s.restart_count >= 1).await?;
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn a_policy_never_leaves_what_failed_and_says_that_it_stalls() -> Result {
    let scenario = Scenario::named("never").await?;
    let node = scenario.node().await?;
    let job = Container::named("job").on(&node).exiting_with(3);
    let job = scenario.create(job).await?;
    job.says(conditions::STALLED, "True", Reason::ContainerFailed)
        .await?;
    job.has_event(Reason::ContainerFailed).await?;
    scenario.is_at_rest_on(&node).await?;
    assert_eq!(job.status().await?.attempt, Some(1));
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn a_waiting_restart_shows_its_backoff_and_a_request_does_not_wait() -> Result {
    let scenario = Scenario::named("backoff").await?;
    let node = scenario.node().await?;
    let web = Container::named("web")
        .on(&node)
        .exiting_with(3)
        .with(|spec| {
            spec.restart_policy = RestartPolicy::Always;
            spec.restart.initial_backoff_seconds = 600;
            spec.restart.max_backoff_seconds = 600;
        });
    let web = scenario.create(web).await?;
    web.says(conditions::READY, "False", Reason::WaitingForBackoff)
        .await?;
    web.says(conditions::RECONCILING, "True", Reason::WaitingForBackoff)
        .await?;
    web.has_event(Reason::ContainerFailed).await?;
    let status = web.status().await?;
    let backoff = status.backoff.unwrap();
    assert_eq!(backoff.consecutive_failures, 1);
    let ended = status.last_termination.unwrap().finished_at.unwrap().0;
    let wait = backoff
        .retry_after
        .unwrap()
        .0
        .duration_since(ended)
        .as_secs();
    assert!((539..=600).contains(&wait), "{wait} s");
    scenario.is_at_rest_on(&node).await?;
    web.patch_spec(json!({"restartRequest": "now"})).await?;
    status_where(&web, "is tried again", |s| s.attempt == Some(2)).await?;
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn a_container_that_ends_too_often_is_given_up_until_it_is_asked_for_again() -> Result {
    let scenario = Scenario::named("limit").await?;
    let node = scenario.node().await?;
    let web = Container::named("web")
        .on(&node)
        .exiting_with(3)
        .with(|spec| {
            spec.restart_policy = RestartPolicy::Always;
            spec.restart.max_restarts = Some(1);
            spec.restart.max_backoff_seconds = 1;
        });
    let web = scenario.create(web).await?;
    web.says(conditions::STALLED, "True", Reason::RestartLimitReached)
        .await?;
    let status = web.status().await?;
    assert_eq!((status.attempt, status.restart_count), (Some(2), 1));
    assert_eq!(status.phase, Phase::Failed);
    web.has_event_times(Reason::ContainerFailed, 2).await?;
    scenario.is_at_rest_on(&node).await?;
    // Asked for again it has all its tries anew.
    web.patch_spec(json!({"restartRequest": "1"})).await?;
    let limit = |s: &HcsContainerStatus| s.attempt == Some(4) && s.phase == Phase::Failed;
    status_where(&web, "is given up again", limit).await?;
    web.says(conditions::STALLED, "True", Reason::RestartLimitReached)
        .await?;
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn a_container_that_ran_long_enough_fails_for_the_first_time_again() -> Result {
    let scenario = Scenario::named("reset").await?;
    let node = scenario.node().await?;
    let web = Container::named("web")
        .on(&node)
        .exiting_after(1100, 3)
        .with(|spec| {
            spec.restart_policy = RestartPolicy::Always;
            spec.restart.max_restarts = Some(1);
            spec.restart.reset_after_seconds = 1;
        });
    let web = scenario.create(web).await?;
    let status = status_where(&web, "has restarted thrice", |s| s.restart_count >= 3).await?;
    assert!(
        status
            .backoff
            .is_none_or(|backoff| backoff.consecutive_failures <= 1)
    );
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn a_restart_request_makes_a_container_anew_once() -> Result {
    let scenario = Scenario::named("request").await?;
    let node = scenario.node().await?;
    let web = Container::named("web").on(&node).running_for_ever();
    let web = scenario.create(web).await?;
    let before = web.becomes(Phase::Running).await?.status.unwrap();
    web.patch_spec(json!({"restartRequest": "1"})).await?;
    web.has_event(Reason::RestartRequested).await?;
    let after = web.becomes(Phase::Running).await?.status.unwrap();
    assert_eq!((after.attempt, after.restart_count), (Some(2), 0));
    assert_ne!(after.pid, before.pid);
    scenario.is_at_rest_on(&node).await?;
    node.agent().crash_and_restart().await?;
    scenario.activity(&node, 2).await?;
    assert_eq!(web.status().await?.attempt, Some(2));
    assert_eq!(node.containers()?, [after.container_id.unwrap()]);
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn a_restart_request_runs_a_completed_container_again() -> Result {
    let scenario = Scenario::named("request-done").await?;
    let node = scenario.node().await?;
    let job = Container::named("job").on(&node).exiting_with(0);
    let job = scenario.create(job).await?;
    job.says(conditions::READY, "True", Reason::Completed)
        .await?;
    job.patch_spec(json!({"restartRequest": "again"})).await?;
    let again = |s: &HcsContainerStatus| s.attempt == Some(2) && s.phase == Phase::Stopped;
    let status = status_where(&job, "has completed again", again).await?;
    assert_eq!(status.restart_count, 1);
    assert_eq!(status.last_termination.unwrap().exit_code, Some(0));
    scenario.leaves_nothing_on(&node).await
}
