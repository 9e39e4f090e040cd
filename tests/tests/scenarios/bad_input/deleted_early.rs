//! Objects that are deleted before their container is there.

use hcs_tests::{Container, Node, NodeOptions, Result, Scenario};

#[tokio::test]
async fn an_object_of_a_node_without_an_agent_goes_at_once_when_it_is_deleted() -> Result {
    let scenario = Scenario::named("no-agent-deleted").await?;
    let web = scenario
        .create(
            Container::named("web")
                .on_node_named("nowhere")
                .with(|spec| {
                    spec.bundle.path = Some("/nowhere".to_owned());
                }),
        )
        .await?;
    web.delete().await?;
    web.is_gone().await
}

#[tokio::test]
async fn an_object_that_came_and_went_while_no_agent_ran_is_never_made() -> Result {
    let scenario = Scenario::named("came-and-went").await?;
    let node = scenario.node().await?;
    node.agent().stop();
    let web = scenario
        .create(Container::named("web").on(&node).running_for_ever())
        .await?;
    web.delete().await?;
    web.is_gone().await?;
    node.agent().start_again()?;
    node.agent().ready().await?;
    scenario.is_at_rest_on(&node).await?;
    assert!(!node.calls()?.iter().any(|verb| verb == "create"));
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn an_object_deleted_while_no_agent_runs_goes_when_the_agent_comes_back() -> Result {
    let scenario = Scenario::named("deleted-while-down").await?;
    let node = scenario.node().await?;
    let web = scenario
        .create(Container::named("web").on(&node).running_for_ever())
        .await?;
    web.becomes(hcs_crds::Phase::Running).await?;
    node.agent().stop();
    web.delete().await?;
    assert_eq!(node.containers()?.len(), 1);
    node.agent().start_again()?;
    web.is_gone().await?;
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn an_object_that_waited_for_its_nodes_first_agent_runs() -> Result {
    let scenario = Scenario::named("agent-later").await?;
    let name = format!("{}-late", scenario.namespace());
    let early = Container::named("early").on_node_named(&name).with(|spec| {
        spec.bundle.path = Some("/nowhere".to_owned());
    });
    let early = scenario.create(early).await?;
    let node = Node::start(scenario.control_plane(), &name, NodeOptions::default()).await?;
    let mut sound = Container::named("early").on(&node).running_for_ever();
    let config = sound.config();
    // Its layers are made where the object is built.
    sound
        .from_config(config.clone())
        .build(scenario.namespace())?;
    early
        .patch_spec(serde_json::json!({"bundle": {"path": null, "config": config}}))
        .await?;
    early.becomes(hcs_crds::Phase::Running).await?;
    scenario.leaves_nothing_on(&node).await
}
