//! A changed spec: what only a new container can honour, and what needs none.

use hcs_crds::{Phase, Reason, conditions};
use hcs_tests::{Container, Live, Node, Result, Scenario};
use serde_json::json;

/// What makes a container another one: its arguments.
async fn change_arguments(web: &Live, node: &Node, flag: &str) -> Result {
    let args = json!([node.path(node.workload()), "run", flag]);
    web.patch_spec(json!({"bundle": {"config": {"process": {"args": args}}}}))
        .await
}

#[tokio::test]
async fn a_changed_bundle_makes_the_container_anew() -> Result {
    let scenario = Scenario::named("recreate").await?;
    let node = scenario.node().await?;
    let web = Container::named("web").on(&node).running_for_ever();
    let web = scenario.create(web).await?;
    web.becomes(Phase::Running).await?;
    change_arguments(&web, &node, "--exit-code=1").await?;
    let again = web.becomes(Phase::Running).await?.status.unwrap();
    assert_eq!((again.attempt, again.restart_count), (Some(2), 0));
    assert_eq!(node.containers()?, [again.container_id.unwrap()]);
    web.has_event(Reason::SpecChanged).await?;
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn a_manual_update_waits_for_a_restart_request() -> Result {
    let scenario = Scenario::named("manual").await?;
    let node = scenario.node().await?;
    let web = Container::named("web").on(&node).running_for_ever();
    let web = scenario.create(web.updated_manually()).await?;
    web.says(conditions::RESTART_REQUIRED, "False", Reason::NotRequired)
        .await?;
    let before = web.becomes(Phase::Running).await?.status.unwrap();
    change_arguments(&web, &node, "--exit-code=1").await?;
    web.says(
        conditions::RESTART_REQUIRED,
        "True",
        Reason::RestartRequired,
    )
    .await?;
    let waiting = web.becomes_ready().await?.status.unwrap();
    assert_eq!(waiting.pid, before.pid);
    scenario.is_at_rest_on(&node).await?;
    web.patch_spec(json!({"restartRequest": "1"})).await?;
    web.says(conditions::RESTART_REQUIRED, "False", Reason::NotRequired)
        .await?;
    let after = web.becomes(Phase::Running).await?.status.unwrap();
    assert_eq!(after.attempt, Some(2));
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn a_manual_update_that_is_taken_back_requires_nothing() -> Result {
    let scenario = Scenario::named("manual-back").await?;
    let node = scenario.node().await?;
    let web = Container::named("web").on(&node).working(["--exit-code=2"]);
    let web = scenario.create(web.updated_manually()).await?;
    web.becomes(Phase::Running).await?;
    change_arguments(&web, &node, "--exit-code=1").await?;
    web.says(
        conditions::RESTART_REQUIRED,
        "True",
        Reason::RestartRequired,
    )
    .await?;
    change_arguments(&web, &node, "--exit-code=2").await?;
    web.says(conditions::RESTART_REQUIRED, "False", Reason::NotRequired)
        .await?;
    assert_eq!(web.status().await?.attempt, Some(1));
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn what_needs_no_new_container_makes_none() -> Result {
    let scenario = Scenario::named("in-place").await?;
    let node = scenario.node().await?;
    let web = Container::named("web").on(&node).running_for_ever();
    let web = scenario.create(web).await?;
    web.becomes(Phase::Running).await?;
    web.patch_spec(json!({
        "restartPolicy": "OnFailure",
        "restart": {"maxRestarts": 3},
        "updatePolicy": "Manual",
        "stopSignal": "CtrlC",
        "terminationGracePeriodSeconds": 7,
        "ttlSecondsAfterFinished": 60,
    }))
    .await?;
    let object = web.becomes_ready().await?;
    assert_eq!(object.status.unwrap().attempt, Some(1));
    assert_eq!(
        node.calls()?.iter().filter(|verb| *verb != "list").count(),
        3
    );
    scenario.leaves_nothing_on(&node).await
}
