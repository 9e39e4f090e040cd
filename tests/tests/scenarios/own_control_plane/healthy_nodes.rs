//! What the cluster-wide controller says where there is nothing to say: nothing.

use hcs_crds::{Phase, Reason, conditions};
use hcs_tests::node::start_controller;
use hcs_tests::{Container, Result, Scenario, binaries};
use serde_json::json;

use crate::nodes::lease_is_renewed;

use super::silent_nodes::{QUICK, short_lease};

#[tokio::test]
async fn where_the_agents_speak_the_controller_writes_nothing_of_theirs() -> Result {
    let (control_plane, _turn) = super::alone().await?;
    let scenario = Scenario::on(control_plane.clone(), "healthy").await?;
    let executables = binaries::Workspace::get()?;
    let quick: Vec<String> = QUICK.map(str::to_owned).into();
    let controller = start_controller(&control_plane, &executables, &quick).await?;
    let told = control_plane.audit().from_now();
    let node = scenario.node_with(short_lease()).await?;
    let web = Container::named("web").on(&node).running_for_ever();
    let web = scenario.create(web).await?;
    web.becomes(Phase::Running).await?;
    let bad = Container::named("bad").on(&node);
    let bad = bad.with(|spec| spec.bundle.path = Some("/nowhere".to_owned()));
    let bad = scenario.create(bad).await?;
    bad.says(conditions::READY, "False", Reason::PathNotAllowed)
        .await?;
    // Each second: longer than a silence and an absence are until something is said of them, together.
    lease_is_renewed(&scenario, &node, 12).await?;
    web.patch(json!({"spec": {"desiredState": "Stopped"}}))
        .await?;
    web.becomes(Phase::Stopped).await?;
    web.delete().await?;
    web.is_gone().await?;
    controller.running()?;
    let by_controller = super::word_of_the_controller(&told, &scenario, &node)?;
    assert!(by_controller.is_empty(), "{by_controller:#?}");
    bad.delete().await?;
    bad.is_gone().await?;
    scenario.leaves_nothing_on(&node).await
}
