//! A container whose first process has ended while its system still shuts down, which takes minutes on Windows at
//! times: it runs until its shim ends, and nothing is made in its place before.

use std::fs;

use hcs_crds::{DesiredState, Phase, Reason, RestartPolicy};
use hcs_tests::{Container, Node, PATIENCE, Result, Scenario, eventually};
use runhcs_sim::Point;

use super::Gate;

/// A container that ends with exit code 4 once the file `end` is there.
fn job(node: &Node) -> Container {
    let end = node.path(node.dir().join("end"));
    Container::named("job")
        .on(node)
        .working(["--exit-code=4".to_owned(), format!("--until={end}")])
}

/// Waits until the first process of the node's only container has ended.
async fn first_process_has_ended(node: &Node) -> Result {
    eventually(PATIENCE, "the first process has ended", || async {
        let all = node.sim().containers().unwrap();
        let process = all
            .first()
            .and_then(|container| container.processes.first());
        let ended = process.is_some_and(|process| !node.has_process(process.pid));
        Ok(if ended { Ok(()) } else { Err(all) })
    })
    .await
}

#[tokio::test]
async fn the_next_attempt_waits_for_the_end_of_the_last_ones_shim() -> Result {
    let scenario = Scenario::named("slow-end").await?;
    let node = scenario.node().await?;
    let gate = Gate::on(&node);
    let object = job(&node).restart_policy(RestartPolicy::Always);
    let object = scenario.create(object).await?;
    object.becomes_ready().await?;
    let held = gate.holds(&node, "shim", Point::ProcessEnded);
    node.sim().inject(held.times(1)).unwrap();
    fs::write(node.dir().join("end"), "").unwrap();
    first_process_has_ended(&node).await?;
    node.relists(2).await?;
    assert_eq!(node.containers()?.len(), 1);
    assert_eq!(object.status().await?.attempt, Some(1));
    fs::remove_file(node.dir().join("end")).unwrap();
    gate.open();
    let status = object.runs_again().await?.status.unwrap();
    assert_eq!(status.last_termination.unwrap().exit_code, Some(4));
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn a_container_that_does_not_get_to_its_end_is_removed_by_force() -> Result {
    let scenario = Scenario::named("stuck-end").await?;
    let node = scenario.node().await?;
    let gate = Gate::on(&node);
    let object = job(&node).with(|spec| spec.termination_grace_period_seconds = 1);
    let object = scenario.create(object).await?;
    object.becomes_ready().await?;
    node.sim()
        .inject(gate.holds(&node, "shim", Point::ProcessEnded))
        .unwrap();
    fs::write(node.dir().join("end"), "").unwrap();
    first_process_has_ended(&node).await?;
    object.set_desired(DesiredState::Deleted).await?;
    object.has_event(Reason::ForceKilled).await?;
    object.becomes(Phase::Deleted).await?;
    assert!(node.containers()?.is_empty());
    scenario.leaves_nothing_on(&node).await
}
