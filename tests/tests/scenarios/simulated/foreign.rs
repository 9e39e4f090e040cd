//! What the agent made and what it did not: containers that others made with the same runhcs are never touched, and of
//! its own only the newest attempt of an object stays.

use std::path::Path;

use hcs_crds::{Phase, Reason};
use hcs_tests::{Container, Node, PATIENCE, Result, Scenario, eventually};
use serde_json::Value;

/// Makes and starts a container with the node's runhcs, as a person does.
fn run_by_hand(node: &Node, id: &str, bundle: &Path) {
    let mut container = Container::named("by-hand").on(node).running_for_ever();
    let mut config = container.config();
    let layer = bundle.join("layer");
    std::fs::create_dir_all(&layer).unwrap();
    config["windows"]["layerFolders"] = Value::from(vec![node.path(&layer), node.path(&layer)]);
    std::fs::write(
        bundle.join("config.json"),
        Value::Object(config).to_string(),
    )
    .unwrap();
    let bundle = node.path(bundle);
    for args in [vec!["create", "--bundle", &bundle, id], vec!["start", id]] {
        let done = node.machine().call(&args).unwrap();
        assert!(done.status.success(), "{args:?}");
    }
}

#[tokio::test]
async fn a_container_that_somebody_else_made_is_never_touched() -> Result {
    let scenario = Scenario::named("foreign").await?;
    let node = scenario.node().await?;
    let web = Container::named("web").on(&node).running_for_ever();
    let web = scenario.create(web).await?;
    web.becomes(Phase::Running).await?;
    let elsewhere = node.dir().join("by-hand");
    let stranger = "hc-0b8f6c1e-6d5e-4f7a-9c51-000000000001-1";
    let lookalike = format!("hc-{}-9", web.uid());
    let foreign = ["web", "hc-web-1", stranger, &lookalike];
    for id in foreign {
        run_by_hand(&node, id, &elsewhere.join(id));
    }
    node.relists(3).await?;
    node.agent().crash_and_restart().await?;
    node.relists(3).await?;
    web.delete().await?;
    web.is_gone().await?;
    scenario.is_at_rest_on(&node).await?;
    let left = node.sim().containers().unwrap();
    assert_eq!(left.len(), foreign.len());
    assert!(left.iter().all(|container| container.status == "running"));
    let counted = node
        .agent()
        .metric("hcs_operator_foreign_containers")
        .await?;
    assert_eq!(counted, Some(4.0));
    let mut ids = foreign.map(str::to_owned);
    ids.sort_unstable();
    crate::nodes::page_comes_to(&scenario, node.name(), "lists them", |status| {
        status.inventory.foreign_containers.ids == ids
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn a_container_of_another_attempt_is_removed_and_the_current_one_runs_on() -> Result {
    let scenario = Scenario::named("stray").await?;
    let node = scenario.node().await?;
    let web = Container::named("web").on(&node).running_for_ever();
    let web = scenario.create(web).await?;
    let before = web.becomes(Phase::Running).await?.status.unwrap();
    let stray = format!("hc-{}-7", web.uid());
    // An agent at work might remove it half made.
    node.agent().kill();
    run_by_hand(
        &node,
        &stray,
        &node.agent().data_dir().join("bundles").join(&stray),
    );
    node.agent().start_again()?;
    web.has_event(Reason::OrphanRemoved).await?;
    eventually(PATIENCE, "the stray is gone", || async {
        let now = node.containers()?;
        let gone = now == before.container_id.clone().into_iter().collect::<Vec<_>>();
        Ok(if gone { Ok(()) } else { Err(now) })
    })
    .await?;
    let after = web.becomes_ready().await?.status.unwrap();
    assert_eq!((after.pid, after.attempt), (before.pid, before.attempt));
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn a_container_of_ours_that_no_object_knows_is_removed() -> Result {
    let scenario = Scenario::named("orphan").await?;
    let node = scenario.node().await?;
    let orphan = "hc-0b8f6c1e-6d5e-4f7a-9c51-000000000002-3";
    // An agent at work might remove it half made.
    node.agent().kill();
    run_by_hand(
        &node,
        orphan,
        &node.agent().data_dir().join("bundles").join(orphan),
    );
    node.agent().start_again()?;
    eventually(PATIENCE, "the orphan is gone", || async {
        let now = node.containers()?;
        Ok(if now.is_empty() { Ok(()) } else { Err(now) })
    })
    .await?;
    scenario.leaves_nothing_on(&node).await
}
