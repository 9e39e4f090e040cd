//! What the cluster-wide controller says of objects that no agent looks after.

use hcs_crds::{Phase, Reason, conditions};
use hcs_tests::node::start_controller;
use hcs_tests::{Container, Node, NodeOptions, Result, Scenario, binaries};

use crate::gitops::verdicts::is_on_its_way;

#[tokio::test]
async fn an_object_that_no_agent_takes_up_says_so_until_the_agent_comes() -> Result {
    let (control_plane, _turn) = super::alone().await?;
    let scenario = Scenario::on(control_plane.clone(), "nobody").await?;
    let executables = binaries::Workspace::get()?;
    let patience = ["--patience".to_owned(), "1s".to_owned()];
    let controller = start_controller(&control_plane, &executables, &patience).await?;
    let named = |name: &str, node: &str| {
        let container = Container::named(name).on_node_named(node);
        container.with(|spec| spec.bundle.path = Some("/nowhere".to_owned()))
    };

    let nowhere = scenario.create(named("nowhere", "no-such-node")).await?;
    nowhere
        .says(conditions::READY, "False", Reason::NodeUnknown)
        .await?;
    nowhere.has_event(Reason::NodeUnknown).await?;
    is_on_its_way(&scenario, &nowhere).await?;

    let name = format!("{}-late", scenario.namespace());
    control_plane.create_node(&name).await?;
    let lost = scenario.create(named("lost", &name)).await?;
    lost.says(conditions::READY, "False", Reason::NodeLost)
        .await?;
    lost.has_event(Reason::NodeLost).await?;
    is_on_its_way(&scenario, &lost).await?;
    let told = control_plane.audit().from_now();

    let node = Node::start(&control_plane, &name, NodeOptions::default()).await?;
    let sound = Container::named("sound").on(&node).running_for_ever();
    let sound = scenario.create(sound).await?;
    sound.becomes(Phase::Running).await?;
    lost.says(conditions::READY, "False", Reason::PathNotAllowed)
        .await?;
    node.relists(3).await?;
    lost.says(conditions::READY, "False", Reason::PathNotAllowed)
        .await?;
    let by_controller = told.count(|write| {
        write.name == lost.name() && write.user.ends_with(":hcs-operator-controller")
    })?;
    assert_eq!(by_controller, 0, "the controller still speaks");
    controller.running()?;
    nowhere.delete().await?;
    nowhere.is_gone().await?;
    scenario.leaves_nothing_on(&node).await
}
