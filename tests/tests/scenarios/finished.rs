//! `ttlSecondsAfterFinished`: an object that is done goes by itself, and with it what is on the node.

use hcs_crds::{Phase, Reason, RestartPolicy, conditions};
use hcs_tests::{Container, Result, Scenario};

#[tokio::test]
async fn a_finished_object_is_deleted_when_its_time_is_over() -> Result {
    let scenario = Scenario::named("ttl").await?;
    let node = scenario.node().await?;
    let named = |name: &str, ttl: u32| {
        let container = Container::named(name).on(&node);
        container.with(|spec| spec.ttl_seconds_after_finished = Some(ttl))
    };
    let done = scenario.create(named("done", 2).exiting_with(0)).await?;
    let failed = scenario.create(named("failed", 0).exiting_with(3)).await?;
    let kept = scenario.create(named("kept", 3600).exiting_with(0)).await?;
    let running = scenario
        .create(named("running", 0).running_for_ever())
        .await?;
    let restarted = named("restarted", 0).exiting_with(3).with(|spec| {
        spec.restart_policy = RestartPolicy::Always;
        spec.restart.initial_backoff_seconds = 600;
        spec.restart.max_backoff_seconds = 600;
    });
    let restarted = scenario.create(restarted).await?;
    for object in [done, failed] {
        object.is_gone().await?;
        object.has_event(Reason::TtlExpired).await?;
    }
    kept.says(conditions::READY, "True", Reason::Completed)
        .await?;
    restarted
        .says(conditions::READY, "False", Reason::WaitingForBackoff)
        .await?;
    kept.has_event(Reason::Completed).await?;
    restarted.has_event(Reason::ContainerFailed).await?;
    running.becomes(Phase::Running).await?;
    scenario.is_at_rest_on(&node).await?;
    assert_eq!(node.containers()?.len(), 3);
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn a_time_to_live_that_is_set_later_counts_from_the_end() -> Result {
    let scenario = Scenario::named("ttl-later").await?;
    let node = scenario.node().await?;
    let job = Container::named("job").on(&node).exiting_with(0);
    let job = scenario.create(job).await?;
    job.says(conditions::READY, "True", Reason::Completed)
        .await?;
    job.patch_spec(serde_json::json!({"ttlSecondsAfterFinished": 1}))
        .await?;
    job.is_gone().await?;
    scenario.leaves_nothing_on(&node).await
}
