//! The cluster's store is restored from a backup, or lost: what the API server says then is not all that there was. An
//! agent that lives through it must notice, say again what was lost, and end no container on doubt.

use std::collections::BTreeSet;
use std::sync::Arc;

use hcs_crds::{LeftoverKind, Phase, RestartPolicy};
use hcs_tests::{
    Container, ControlPlane, Live, Node, NodeOptions, PATIENCE, Result, Scenario, eventually,
};

use crate::nodes::{leaves_nothing_and_says_so, page_comes_to};

/// A Lease that is renewed each second.
fn quick_lease() -> NodeOptions {
    NodeOptions {
        args: ["--lease-duration", "4s"].map(str::to_owned).into(),
        proxied: true,
        ..NodeOptions::default()
    }
}

fn always(name: &str, node: &Node) -> Container {
    let container = Container::named(name).on(node).running_for_ever();
    container.restart_policy(RestartPolicy::Always)
}

async fn runs(scenario: &Scenario, node: &Node, name: &str) -> Result<Live> {
    let object = scenario.create(always(name, node)).await?;
    object.becomes(Phase::Running).await?;
    Ok(object)
}

/// Waits until exactly these containers are there.
async fn has(node: &Node, wanted: &[String]) -> Result {
    let wanted: BTreeSet<&String> = wanted.iter().collect();
    eventually(PATIENCE, &format!("the node has {wanted:?}"), || async {
        let now = node.containers()?;
        let same = now.iter().collect::<BTreeSet<_>>() == wanted;
        Ok(if same {
            Ok(())
        } else {
            Err((now, node.agent().log_tail(30)))
        })
    })
    .await
}

fn id(object: &Live, attempt: u32) -> String {
    format!("hc-{}-{attempt}", object.uid())
}

/// Waits until the node's page lists just these containers as left over.
async fn lists(scenario: &Scenario, node: &Node, wanted: &[String]) -> Result {
    page_comes_to(scenario, node.name(), "lists what it doubts", |status| {
        let items = status.inventory.leftovers.items.iter();
        let items = items.filter(|item| item.kind == LeftoverKind::Container);
        let names: BTreeSet<&String> = items.map(|item| &item.name).collect();
        names == wanted.iter().collect()
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn a_store_from_a_backup_is_told_again_what_it_has_lost_and_no_container_ends_for_it()
-> Result {
    let (control_plane, _turn) = super::alone().await?;
    let scenario = Scenario::on(control_plane.clone(), "restored").await?;
    let node = scenario.node_with(quick_lease()).await?;
    let ends = runs(&scenario, &node, "ends").await?;
    let goes = runs(&scenario, &node, "goes").await?;
    let backup = control_plane.back_up_store().await?;
    node.kill_shim(&id(&ends, 1))?;
    ends.runs_as(2).await?;
    goes.delete().await?;
    goes.is_gone().await?;
    let late = runs(&scenario, &node, "late").await?;
    has(&node, &[id(&ends, 2), id(&late, 1)]).await?;

    control_plane.restore_store(&backup).await?;
    ends.runs_as(2).await?;
    // It was deleted after the backup, so nobody has deleted it now.
    goes.runs_as(1).await?;
    // That nobody knows `late` says nothing: it was made after the backup.
    lists(&scenario, &node, &[id(&late, 1)]).await?;
    node.relists(3).await?;
    has(&node, &[id(&ends, 2), id(&goes, 1), id(&late, 1)]).await?;
    node.agent().crash_and_restart().await?;
    node.relists(3).await?;
    has(&node, &[id(&ends, 2), id(&goes, 1), id(&late, 1)]).await?;

    // Applied again it is another object, for which the container of the first makes room.
    let again = runs(&scenario, &node, "late").await?;
    has(&node, &[id(&ends, 2), id(&goes, 1), id(&again, 1)]).await?;
    lists(&scenario, &node, &[]).await?;
    leaves_nothing_and_says_so(&scenario, &node).await
}

/// The project is installed again, and the node's agent gets a token of the new cluster.
async fn install_again(control_plane: &Arc<ControlPlane>, node: &Node) -> Result {
    control_plane.install().await?;
    control_plane.create_node(node.name()).await?;
    let access = control_plane.agent_access(node.name()).await?;
    node.proxy().renews_token(&access);
    Ok(())
}

#[tokio::test]
async fn a_store_that_is_lost_ends_no_container_until_its_object_is_applied_again() -> Result {
    let (control_plane, _turn) = super::alone().await?;
    let scenario = Scenario::on(control_plane.clone(), "lost").await?;
    let node = scenario.node_with(quick_lease()).await?;
    let (web, never) = (
        runs(&scenario, &node, "web").await?,
        runs(&scenario, &node, "never").await?,
    );
    let all = [id(&web, 1), id(&never, 1)];

    control_plane.lose_store().await?;
    // Not even the definitions are there.
    node.relists(3).await?;
    has(&node, &all).await?;
    install_again(&control_plane, &node).await?;
    node.agent().ready().await?;
    lists(&scenario, &node, &all).await?;
    node.relists(3).await?;
    has(&node, &all).await?;

    scenario.make_namespace().await?;
    let again = runs(&scenario, &node, "web").await?;
    has(&node, &[id(&again, 1), id(&never, 1)]).await?;
    assert_eq!(node.machine().overlaps()?, None);
    lists(&scenario, &node, &[id(&never, 1)]).await?;
    // Who wants to be rid of one that is never applied again, applies and deletes it.
    let never = scenario.create(always("never", &node)).await?;
    never.becomes(Phase::Running).await?;
    leaves_nothing_and_says_so(&scenario, &node).await
}
