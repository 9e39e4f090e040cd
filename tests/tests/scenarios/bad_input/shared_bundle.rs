//! Two objects that want what only one container may have.

use std::time::Duration;

use hcs_crds::{Phase, Reason, conditions};
use hcs_tests::live::condition_of;
use hcs_tests::{Container, Live, Node, Result, Scenario};

/// The second of two waits for the first, says so, and runs when the first has gone.
async fn second_waits_for_first(
    scenario: &Scenario,
    node: &Node,
    first: Container,
    second: Container,
) -> Result {
    let first = scenario.create(first).await?;
    first.becomes(Phase::Running).await?;
    let second = scenario.create(second).await?;
    let said = second
        .says(conditions::READY, "False", Reason::BundleInUse)
        .await?;
    let message = &condition_of(&said, conditions::READY).unwrap().message;
    let holder = format!("{}/{}", scenario.namespace(), first.name());
    assert!(message.contains(&holder), "{message}");
    second.has_event(Reason::BundleInUse).await?;
    scenario.is_calm_on(node, 1, Duration::from_secs(1)).await?;
    assert_eq!(node.containers()?.len(), 1);
    first.delete().await?;
    first.is_gone().await?;
    second.becomes(Phase::Running).await?;
    assert_eq!(container_of(&second).await?, node.containers()?);
    scenario.leaves_nothing_on(node).await
}

async fn container_of(object: &Live) -> Result<Vec<String>> {
    Ok(object.status().await?.container_id.into_iter().collect())
}

#[tokio::test]
async fn of_two_objects_with_one_bundle_the_second_waits_for_the_first_to_go() -> Result {
    let scenario = Scenario::named("one-bundle").await?;
    let node = scenario.node().await?;
    let bundle = node.dir().join("bundles/shared");
    let first = Container::named("first")
        .on(&node)
        .running_for_ever()
        .in_bundle(&bundle)?;
    let second = Container::named("second").on(&node).from_bundle(&bundle);
    second_waits_for_first(&scenario, &node, first, second).await
}

#[tokio::test]
async fn of_two_objects_with_one_writable_layer_the_second_waits_for_the_first_to_go() -> Result {
    let scenario = Scenario::named("one-layer").await?;
    let node = scenario.node().await?;
    let mut container = Container::named("first").on(&node).running_for_ever();
    let config = container.config();
    let first = container.from_config(config.clone());
    let second = Container::named("second").on(&node).from_config(config);
    second_waits_for_first(&scenario, &node, first, second).await
}

#[tokio::test]
async fn an_agents_restart_does_not_give_a_bundle_to_two() -> Result {
    let scenario = Scenario::named("bundle-restart").await?;
    let node = scenario.node().await?;
    let bundle = node.dir().join("bundles/shared");
    let first = Container::named("first")
        .on(&node)
        .running_for_ever()
        .in_bundle(&bundle)?;
    let first = scenario.create(first).await?;
    first.becomes(Phase::Running).await?;
    let second = Container::named("second").on(&node).from_bundle(&bundle);
    let second = scenario.create(second).await?;
    second
        .says(conditions::READY, "False", Reason::BundleInUse)
        .await?;
    node.agent().crash_and_restart().await?;
    node.relists(3).await?;
    second
        .says(conditions::READY, "False", Reason::BundleInUse)
        .await?;
    assert_eq!(container_of(&first).await?, node.containers()?);
    scenario.leaves_nothing_on(&node).await
}
