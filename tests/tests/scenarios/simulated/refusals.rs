//! Commands that fail each time: the reason is said, tries are few, and what can go on does.

use std::time::Duration;

use hcs_crds::{DesiredState, Phase, Reason, conditions};
use hcs_tests::{Container, Live, Node, Result, Scenario};
use runhcs_sim::{Action, Fault, Point};

use super::fails;

/// A container in one state that is asked for another, which takes a verb that always fails.
async fn refused(
    scenario: &Scenario,
    node: &Node,
    (verb, point): (&str, Point),
    (from, phase): (DesiredState, Phase),
    to: DesiredState,
) -> Result<Live> {
    let web = Container::named("web").on(node).hyperv().running_for_ever();
    let web = scenario
        .create(
            web.desired(from)
                .with(|spec| spec.termination_grace_period_seconds = 1),
        )
        .await?;
    web.becomes(phase).await?;
    node.sim().inject(fails(verb, point)).unwrap();
    web.set_desired(to).await?;
    Ok(web)
}

async fn says_and_stays_calm(
    scenario: &Scenario,
    node: &Node,
    web: &Live,
    reason: Reason,
) -> Result {
    let said = web.says(conditions::READY, "False", reason).await?;
    let message = &hcs_tests::live::condition_of(&said, conditions::READY)
        .unwrap()
        .message;
    assert!(
        message.contains("the moon is in the wrong phase"),
        "{message}"
    );
    web.has_event(reason).await?;
    scenario.is_calm_on(node, 1, Duration::from_secs(1)).await?;
    node.sim().clear_faults().unwrap();
    web.becomes_ready().await?;
    scenario.leaves_nothing_on(node).await
}

const RUNNING: (DesiredState, Phase) = (DesiredState::Running, Phase::Running);
const STOPPED: (DesiredState, Phase) = (DesiredState::Stopped, Phase::Stopped);
const PAUSED: (DesiredState, Phase) = (DesiredState::Paused, Phase::Paused);

#[tokio::test]
async fn a_create_that_fails_each_time_is_tried_calmly() -> Result {
    let scenario = Scenario::named("create-fails").await?;
    let node = scenario.node().await?;
    let fault = ("create", Point::RecordWritten);
    let web = refused(&scenario, &node, fault, STOPPED, DesiredState::Running).await?;
    says_and_stays_calm(&scenario, &node, &web, Reason::CreateFailed).await
}

#[tokio::test]
async fn a_pause_that_fails_each_time_is_tried_calmly() -> Result {
    let scenario = Scenario::named("pause-fails").await?;
    let node = scenario.node().await?;
    let fault = ("pause", Point::BeforeEffect);
    let web = refused(&scenario, &node, fault, RUNNING, DesiredState::Paused).await?;
    says_and_stays_calm(&scenario, &node, &web, Reason::PauseFailed).await
}

#[tokio::test]
async fn a_pause_that_this_node_cannot_do_is_said_and_stalls() -> Result {
    let scenario = Scenario::named("no-pause").await?;
    let node = scenario.node().await?;
    let action = Action::Fail {
        exit_code: 1,
        stderr: "hcs::System::Pause web: The request is not supported.".to_owned(),
    };
    node.sim()
        .inject(Fault::new("pause", Point::BeforeEffect, action))
        .unwrap();
    let web = Container::named("web")
        .on(&node)
        .hyperv()
        .running_for_ever();
    let web = scenario.create(web.desired(DesiredState::Paused)).await?;
    web.says(conditions::STALLED, "True", Reason::PauseUnsupported)
        .await?;
    web.has_event(Reason::PauseUnsupported).await?;
    scenario
        .is_calm_on(&node, 1, Duration::from_secs(1))
        .await?;
    web.set_desired(DesiredState::Running).await?;
    let status = web.becomes(Phase::Running).await?.status.unwrap();
    assert_eq!(status.attempt, Some(1));
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn a_resume_that_fails_each_time_is_tried_calmly() -> Result {
    let scenario = Scenario::named("resume-fails").await?;
    let node = scenario.node().await?;
    let fault = ("resume", Point::BeforeEffect);
    let web = refused(&scenario, &node, fault, PAUSED, DesiredState::Running).await?;
    says_and_stays_calm(&scenario, &node, &web, Reason::ResumeFailed).await
}

#[tokio::test]
async fn a_delete_that_fails_each_time_is_tried_calmly() -> Result {
    let scenario = Scenario::named("delete-fails").await?;
    let node = scenario.node().await?;
    let fault = ("delete", Point::BeforeEffect);
    let web = refused(&scenario, &node, fault, RUNNING, DesiredState::Deleted).await?;
    says_and_stays_calm(&scenario, &node, &web, Reason::DeleteFailed).await
}

#[tokio::test]
async fn a_kill_that_fails_each_time_ends_in_force() -> Result {
    let scenario = Scenario::named("kill-fails").await?;
    let node = scenario.node().await?;
    let fault = ("kill", Point::BeforeEffect);
    let web = refused(&scenario, &node, fault, RUNNING, DesiredState::Stopped).await?;
    web.has_event(Reason::KillFailed).await?;
    web.has_event(Reason::ForceKilled).await?;
    web.becomes(Phase::Stopped).await?;
    assert_eq!(node.sim().count("kill").unwrap(), 1);
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn a_paused_container_that_cannot_be_resumed_is_removed_by_force_with_its_object() -> Result {
    let scenario = Scenario::named("stuck-paused").await?;
    let node = scenario.node().await?;
    let web = Container::named("web")
        .on(&node)
        .hyperv()
        .running_for_ever();
    let web = scenario.create(web.desired(DesiredState::Paused)).await?;
    web.becomes(Phase::Paused).await?;
    node.sim()
        .inject(fails("resume", Point::BeforeEffect))
        .unwrap();
    web.delete().await?;
    web.is_gone().await?;
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn a_list_of_processes_that_is_garbage_leaves_the_container_ready() -> Result {
    let scenario = Scenario::named("ps-garbage").await?;
    let node = scenario.node().await?;
    let garbage = Action::Garbage {
        stdout: "PID TTY TIME CMD".to_owned(),
    };
    node.sim()
        .inject(Fault::new("ps", Point::Output, garbage))
        .unwrap();
    let web = Container::named("web").on(&node).running_for_ever();
    let web = scenario.create(web).await?;
    web.says(
        conditions::RUNTIME_RESPONSIVE,
        "False",
        Reason::RuntimeBadOutput,
    )
    .await?;
    web.has_event(Reason::RuntimeBadOutput).await?;
    let status = web.becomes_ready().await?.status.unwrap();
    assert_eq!((status.phase, status.processes), (Phase::Running, None));
    scenario
        .is_calm_on(&node, 1, Duration::from_secs(1))
        .await?;
    node.sim().clear_faults().unwrap();
    web.says(
        conditions::RUNTIME_RESPONSIVE,
        "True",
        Reason::RuntimeResponds,
    )
    .await?;
    assert_eq!(web.status().await?.processes.unwrap().count, 1);
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn a_console_that_cannot_be_resized_is_tried_calmly() -> Result {
    let scenario = Scenario::named("resize-fails").await?;
    let node = scenario.node().await?;
    node.sim()
        .inject(fails("resize-tty", Point::BeforeEffect))
        .unwrap();
    let web = Container::named("web").on(&node).tty(80, 25);
    let web = scenario.create(web.running_for_ever()).await?;
    web.becomes_ready().await?;
    web.patch_spec(serde_json::json!({"tty": {"width": 100, "height": 40}}))
        .await?;
    says_and_stays_calm(&scenario, &node, &web, Reason::ResizeFailed).await
}
