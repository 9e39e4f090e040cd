//! How a container is stopped: asked by its stop signal, forced after its grace period.

use hcs_crds::{DesiredState, Initiator, Phase, Reason, StopSignal, conditions};
use hcs_tests::{Container, Result, Scenario};

#[tokio::test]
async fn a_container_is_asked_to_stop_with_its_stop_signal() -> Result {
    let scenario = Scenario::named("signals").await?;
    let node = scenario.node().await?;
    let cases = [
        (None, "CtrlShutdown"),
        (Some(StopSignal::Term), "TERM"),
        (Some(StopSignal::CtrlBreak), "CtrlBreak"),
    ];
    for (number, (signal, said)) in cases.into_iter().enumerate() {
        let web = Container::named(&format!("web{number}"))
            .on(&node)
            .running_for_ever()
            .with(|spec| {
                spec.stop_signal = signal;
                spec.termination_grace_period_seconds = 600;
            });
        let web = scenario.create(web).await?;
        let id = web.becomes(Phase::Running).await?.status.unwrap();
        let id = id.container_id.unwrap();
        web.set_desired(DesiredState::Stopped).await?;
        let status = web.becomes(Phase::Stopped).await?.status.unwrap();
        let kill = format!("kill {id} {said}");
        let commands: Vec<_> = status.recent_commands.iter().map(|c| &c.command).collect();
        assert!(commands.contains(&&kill), "{commands:?}");
        let end = status.last_termination.unwrap();
        assert_eq!(end.initiator, Initiator::Operator);
        assert!(end.exit_code.is_some());
    }
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn a_container_that_ignores_its_signal_is_forced_after_its_grace_period() -> Result {
    let scenario = Scenario::named("forced").await?;
    let node = scenario.node().await?;
    let web = Container::named("web")
        .on(&node)
        .working(["--ignore-term"])
        .with(|spec| spec.termination_grace_period_seconds = 2);
    let web = scenario.create(web).await?;
    web.becomes(Phase::Running).await?;
    web.set_desired(DesiredState::Stopped).await?;
    let stopping = web
        .says(conditions::READY, "False", Reason::Stopping)
        .await?;
    let stopping = stopping.status.unwrap();
    assert_eq!(
        (stopping.phase, stopping.attempt),
        (Phase::Stopping, Some(1))
    );
    web.has_event(Reason::ForceKilled).await?;
    let status = web.becomes(Phase::Stopped).await?.status.unwrap();
    let end = status.last_termination.unwrap();
    assert_eq!(end.initiator, Initiator::Operator);
    assert_eq!(end.reason.as_deref(), Some(Reason::ForceKilled.as_str()));
    scenario.is_at_rest_on(&node).await?;
    assert!(node.containers()?.is_empty());
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn a_deleted_object_forces_its_container_after_the_grace_period() -> Result {
    let scenario = Scenario::named("forced-deletion").await?;
    let node = scenario.node().await?;
    for grace in [0, 1] {
        let web = Container::named(&format!("web{grace}"))
            .on(&node)
            .working(["--ignore-term"])
            .with(|spec| spec.termination_grace_period_seconds = grace);
        let web = scenario.create(web).await?;
        web.becomes(Phase::Running).await?;
        web.delete().await?;
        web.is_gone().await?;
        web.has_event(Reason::ForceKilled).await?;
        assert!(node.containers()?.is_empty());
    }
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn a_shorter_grace_period_counts_while_a_stop_is_under_way() -> Result {
    let scenario = Scenario::named("impatient").await?;
    let node = scenario.node().await?;
    let web = Container::named("web")
        .on(&node)
        .working(["--ignore-term"])
        .with(|spec| spec.termination_grace_period_seconds = 3600);
    let web = scenario.create(web).await?;
    web.becomes(Phase::Running).await?;
    web.delete().await?;
    web.comes_to("is being stopped", |object| {
        object
            .status
            .as_ref()
            .is_some_and(|s| s.phase == Phase::Stopping)
    })
    .await?;
    web.patch_spec(serde_json::json!({"terminationGracePeriodSeconds": 0}))
        .await?;
    web.is_gone().await?;
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn a_stopped_container_stays_for_inspection_until_it_is_wanted_again() -> Result {
    let scenario = Scenario::named("stopped").await?;
    let node = scenario.node().await?;
    let web = Container::named("web").on(&node).running_for_ever();
    let web = scenario.create(web).await?;
    web.becomes(Phase::Running).await?;
    web.set_desired(DesiredState::Stopped).await?;
    let stopped = web.becomes(Phase::Stopped).await?.status.unwrap();
    assert_eq!(node.containers()?, [stopped.container_id.unwrap()]);
    scenario.is_at_rest_on(&node).await?;
    web.set_desired(DesiredState::Running).await?;
    let again = web.becomes(Phase::Running).await?.status.unwrap();
    assert_eq!((again.attempt, again.restart_count), (Some(2), 0));
    assert_eq!(node.containers()?, [again.container_id.unwrap()]);
    scenario.leaves_nothing_on(&node).await
}
