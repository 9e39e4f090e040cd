//! Objects that went without their finalizer having done its work: what they had on the node goes all the same.

use hcs_crds::Phase;
use hcs_tests::{Container, Error, Live, Node, PATIENCE, Result, Scenario, eventually};
use serde_json::json;

/// Deletes the object at once, whatever its finalizer guards.
async fn force_remove(web: &Live) -> Result {
    web.delete().await?;
    let answer = web.patch(json!({"metadata": {"finalizers": null}})).await;
    // The agent may have been quicker.
    if let Err(error) = answer
        && !is_not_found(&error)
    {
        return Err(error);
    }
    web.is_gone().await
}

fn is_not_found(error: &Error) -> bool {
    matches!(error, Error::Api { source, .. }
        if matches!(&**source, kube::Error::Api(status) if status.code == 404))
}

async fn is_swept(node: &Node) -> Result {
    eventually(PATIENCE, "nothing is left on the node", || async {
        let mut all = node.containers()?;
        all.extend(node.leftovers()?);
        Ok(if all.is_empty() { Ok(()) } else { Err(all) })
    })
    .await
}

#[tokio::test]
async fn a_container_whose_object_was_removed_by_force_is_swept() -> Result {
    let scenario = Scenario::named("stripped").await?;
    let node = scenario.node().await?;
    // A stop that takes long leaves the time to take the finalizer away.
    let web = Container::named("web").on(&node).working(["--ignore-term"]);
    let web = scenario
        .create(web.with(|spec| spec.termination_grace_period_seconds = 3600))
        .await?;
    web.becomes(Phase::Running).await?;
    force_remove(&web).await?;
    is_swept(&node).await?;
    scenario.is_at_rest_on(&node).await
}

#[tokio::test]
async fn a_container_whose_object_was_removed_by_force_while_no_agent_ran_is_swept() -> Result {
    let scenario = Scenario::named("stripped-down").await?;
    let node = scenario.node().await?;
    let web = Container::named("web").on(&node).running_for_ever();
    let web = scenario.create(web).await?;
    web.becomes(Phase::Running).await?;
    node.agent().kill();
    force_remove(&web).await?;
    // Not even its own records tell the next agent of it.
    std::fs::remove_dir_all(node.agent().data_dir().join("records")).unwrap();
    node.agent().start_again()?;
    is_swept(&node).await?;
    scenario.is_at_rest_on(&node).await
}

#[tokio::test]
async fn an_object_of_the_same_name_gets_a_container_of_its_own() -> Result {
    let scenario = Scenario::named("same-name").await?;
    let node = scenario.node().await?;
    let web = Container::named("web").on(&node).running_for_ever();
    let first = scenario.create(web.clone()).await?;
    first.becomes(Phase::Running).await?;
    node.agent().kill();
    force_remove(&first).await?;
    let second = scenario.create(web).await?;
    node.agent().start_again()?;
    let status = second.becomes(Phase::Running).await?.status.unwrap();
    assert_eq!((status.attempt, status.restart_count), (Some(1), 0));
    eventually(PATIENCE, "only the second is left", || async {
        let now = node.containers()?;
        let only = now == [status.container_id.clone().unwrap_or_default()];
        Ok(if only { Ok(()) } else { Err((now, &status)) })
    })
    .await?;
    scenario.leaves_nothing_on(&node).await
}
