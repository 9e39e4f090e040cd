//! Without the API server the agent goes on from the last known specs, also one that was started meanwhile.

use std::collections::BTreeSet;

use hcs_crds::{Phase, RestartPolicy};
use hcs_tests::{Container, Live, Node, PATIENCE, Result, Scenario, eventually};
use serde_json::json;

/// How many objects are on a node whose API server goes away; more by this variable.
const MANY: usize = 24;
const MANY_OBJECTS: &str = "HCS_AWAY_OBJECTS";
/// Writes that an object is worth whose container was made again meanwhile: its status, and an Event of each reason.
const WRITES: usize = 3;

/// Waits until exactly these attempts of the objects run on the node.
async fn node_has(node: &Node, attempts: &[(&Live, u32)]) -> Result {
    let wanted: BTreeSet<String> = attempts
        .iter()
        .map(|(object, attempt)| format!("hc-{}-{attempt}", object.uid()))
        .collect();
    eventually(PATIENCE, &format!("the node has {wanted:?}"), || async {
        let now: BTreeSet<String> = node.machine().running()?.into_iter().collect();
        Ok(if now == wanted {
            Ok(())
        } else {
            Err((now, node.agent().log_tail(20)))
        })
    })
    .await
}

async fn runs_as(object: &Live, attempt: u32) -> Result {
    let status = object.runs_as(attempt).await?.status.unwrap();
    assert_eq!(status.restart_count, attempt - 1);
    let end = status.last_termination;
    assert!(end.is_some_and(|end| end.finished_at.is_some()));
    Ok(())
}

#[tokio::test]
async fn a_container_that_ends_while_the_api_server_is_away_is_restarted_and_the_status_follows()
-> Result {
    let (control_plane, _turn) = super::alone().await?;
    let scenario = Scenario::on(control_plane.clone(), "away").await?;
    let node = scenario.node().await?;
    let always = |name: &str| {
        Container::named(name)
            .on(&node)
            .running_for_ever()
            .restart_policy(RestartPolicy::Always)
    };
    let (ends, stays) = (
        scenario.create(always("ends")).await?,
        scenario.create(always("stays")).await?,
    );
    ends.becomes_ready().await?;
    stays.becomes(Phase::Running).await?;

    control_plane.kill_api_server();
    node.kill_shim(&format!("hc-{}-1", ends.uid()))?;
    node_has(&node, &[(&ends, 2), (&stays, 1)]).await?;

    // An agent that is started now knows what to do, too.
    node.agent().kill();
    node.kill_shim(&format!("hc-{}-2", ends.uid()))?;
    node.agent().start_again()?;
    node_has(&node, &[(&ends, 3), (&stays, 1)]).await?;
    node.relists(3).await?;
    node.agent().running()?;
    node_has(&node, &[(&ends, 3), (&stays, 1)]).await?;

    control_plane.restart_api_server().await?;
    runs_as(&ends, 3).await?;
    node.agent().ready().await?;
    stays.patch_spec(json!({"restartRequest": "1"})).await?;
    node_has(&node, &[(&ends, 3), (&stays, 2)]).await?;
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn an_api_server_that_is_back_is_told_only_what_has_changed() -> Result {
    let (control_plane, _turn) = super::alone().await?;
    let scenario = Scenario::on(control_plane.clone(), "away-many").await?;
    let node = scenario.node().await?;
    let many = std::env::var(MANY_OBJECTS).map_or(MANY, |text| text.parse().unwrap());
    let mut objects = Vec::new();
    for number in 0..many {
        let container = Container::named(&format!("c{number}")).on(&node);
        let container = container.running_for_ever();
        let container = container.restart_policy(RestartPolicy::Always);
        objects.push(scenario.create(container).await?);
    }
    for object in &objects {
        object.becomes(Phase::Running).await?;
    }
    scenario.is_at_rest_on(&node).await?;

    control_plane.kill_api_server();
    node.agent().kill();
    let (ended, kept) = objects.split_at(many / 4);
    for object in ended {
        node.kill_shim(&format!("hc-{}-1", object.uid()))?;
    }
    node.agent().start_again()?;
    let second = ended.iter().map(|object| (object, 2));
    let attempts: Vec<_> = second
        .chain(kept.iter().map(|object| (object, 1)))
        .collect();
    node_has(&node, &attempts).await?;
    let audit = control_plane.audit().from_now();
    control_plane.restart_api_server().await?;
    for object in ended {
        runs_as(object, 2).await?;
    }
    node.agent().ready().await?;
    node.relists(5).await?;
    node_has(&node, &attempts).await?;
    let mut writes = audit.writes()?;
    writes.retain(|write| write.node == node.name());
    for (object, attempt) in attempts {
        let statuses = writes.iter().filter(|write| write.name == object.name());
        // An Event's name begins with its object's.
        let prefix = format!("{}.", object.name());
        let events = writes
            .iter()
            .filter(|write| write.name.starts_with(&prefix));
        let about = statuses.count() + events.count();
        let most = if attempt == 1 { 0 } else { WRITES };
        assert!(
            about <= most,
            "{about} writes about {}: {writes:#?}",
            object.name()
        );
    }
    let events = writes.iter().filter(|write| write.resource == "events");
    let events = events.count();
    assert!(
        events <= ended.len() * (WRITES - 1),
        "{events} Events: {writes:#?}"
    );
    println!(
        "{} writes for {many} objects, {} of which changed",
        writes.len(),
        ended.len()
    );
    scenario.leaves_nothing_on(&node).await
}
