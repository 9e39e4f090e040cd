//! Without the API server the agent goes on from the last known specs, also one that was started meanwhile.

use std::collections::BTreeSet;

use hcs_crds::{Phase, RestartPolicy};
use hcs_tests::{Container, Live, Node, PATIENCE, Result, Scenario, eventually};
use serde_json::json;

/// Waits until the node has exactly these attempts of the objects.
async fn node_has(node: &Node, attempts: &[(&Live, u32)]) -> Result {
    let wanted: BTreeSet<String> = attempts
        .iter()
        .map(|(object, attempt)| format!("hc-{}-{attempt}", object.uid()))
        .collect();
    eventually(PATIENCE, &format!("the node has {wanted:?}"), || async {
        let live = node.sim().containers().unwrap().into_iter();
        let live = live.filter(|container| container.status == "running");
        let now: BTreeSet<String> = live.map(|container| container.id).collect();
        Ok(if now == wanted {
            Ok(())
        } else {
            Err((now, node.agent().log_tail(20)))
        })
    })
    .await
}

async fn runs_as(object: &Live, attempt: u32) -> Result {
    let status = object
        .comes_to(&format!("runs as attempt {attempt}"), |object| {
            object.status.as_ref().is_some_and(|status| {
                status.attempt == Some(attempt) && status.phase == Phase::Running
            })
        })
        .await?
        .status
        .unwrap();
    assert_eq!(status.restart_count, attempt - 1);
    assert!(
        status
            .last_termination
            .is_some_and(|end| end.finished_at.is_some())
    );
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
    let shim = ends.becomes(Phase::Running).await?.status.unwrap().pid;
    stays.becomes(Phase::Running).await?;

    control_plane.kill_api_server();
    node.machine().kill_process(shim.unwrap());
    node_has(&node, &[(&ends, 2), (&stays, 1)]).await?;

    // An agent that is started now knows what to do, too.
    node.agent().kill();
    let second = format!("hc-{}-2", ends.uid());
    node.sim().kill_shim(&second).unwrap();
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
