//! `managementPolicy: Observe`: the agent says what it would run, and runs nothing.

use hcs_crds::{HcsContainer, Phase, Reason, conditions};
use hcs_tests::live::{has, observed};
use hcs_tests::{Container, Live, Result, Scenario};
use serde_json::json;

async fn plans(object: &Live, actions: &[&str]) -> Result<HcsContainer> {
    let planned = |object: &HcsContainer| {
        let status = object.status.as_ref();
        observed(object)
            && has(
                object,
                conditions::READY,
                if actions.is_empty() { "True" } else { "False" },
            )
            && status.is_some_and(|status| status.planned_actions == actions)
    };
    object
        .comes_to(&format!("plans {actions:?}"), planned)
        .await?;
    let status = if actions.is_empty() { "True" } else { "False" };
    object
        .says(conditions::READY, status, Reason::Observing)
        .await
}

#[tokio::test]
async fn an_observed_object_lists_what_would_be_run_and_nothing_is() -> Result {
    let scenario = Scenario::named("observe").await?;
    let node = scenario.node().await?;
    let web = Container::named("web").on(&node).running_for_ever();
    let web = scenario.create(web.observed()).await?;
    let object = plans(&web, &["create", "start"]).await?;
    assert!(object.metadata.finalizers.is_none_or(|f| f.is_empty()));
    web.patch_spec(json!({"desiredState": "Created"})).await?;
    plans(&web, &["create"]).await?;
    web.patch_spec(json!({"desiredState": "Stopped"})).await?;
    plans(&web, &[]).await?;
    scenario.is_at_rest_on(&node).await?;
    assert!(node.calls()?.iter().all(|verb| verb == "list"));
    web.delete().await?;
    web.is_gone().await?;
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn a_container_that_is_observed_from_now_on_runs_on_until_it_is_managed_again() -> Result {
    let scenario = Scenario::named("observe-later").await?;
    let node = scenario.node().await?;
    let web = Container::named("web").on(&node).running_for_ever();
    let web = scenario.create(web).await?;
    let before = web.becomes(Phase::Running).await?.status.unwrap();
    web.patch_spec(json!({"managementPolicy": "Observe"}))
        .await?;
    plans(&web, &[]).await?;
    web.patch_spec(json!({"desiredState": "Deleted"})).await?;
    plans(&web, &["kill", "delete"]).await?;
    web.patch_spec(json!({"desiredState": "Running", "restartRequest": "1"}))
        .await?;
    plans(&web, &["kill", "delete", "create", "start"]).await?;
    scenario.is_at_rest_on(&node).await?;
    assert!(node.has_process(before.pid.unwrap()));
    web.patch_spec(json!({"managementPolicy": "Manage"}))
        .await?;
    let after = web.becomes(Phase::Running).await?.status.unwrap();
    assert_eq!(after.attempt, Some(2));
    assert!(after.planned_actions.is_empty());
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn what_runs_outlives_an_observed_object_and_the_agents_restart() -> Result {
    let scenario = Scenario::named("observe-deleted").await?;
    let node = scenario.node().await?;
    let web = Container::named("web").on(&node).running_for_ever();
    let web = scenario.create(web).await?;
    let before = web.becomes(Phase::Running).await?.status.unwrap();
    web.patch_spec(json!({"managementPolicy": "Observe"}))
        .await?;
    plans(&web, &[]).await?;
    web.delete().await?;
    web.is_gone().await?;
    node.relists(3).await?;
    node.agent().crash_and_restart().await?;
    node.relists(3).await?;
    assert_eq!(node.containers()?, [before.container_id.unwrap()]);
    assert!(node.has_process(before.pid.unwrap()));
    Ok(())
}
