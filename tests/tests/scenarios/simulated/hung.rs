//! A runhcs that hangs on one verb for one container.

use std::time::Duration;

use hcs_crds::{DesiredState, Phase, Reason, conditions};
use hcs_tests::live::has;
use hcs_tests::process::alive;
use hcs_tests::{Container, NodeOptions, PATIENCE, Result, Scenario, eventually};
use runhcs_sim::Point;

use super::{Gate, hangs};

/// Long enough for a busy machine's sound calls, short enough for a scenario.
const DEADLINE: [&str; 2] = ["--runhcs-timeout", "4s"];

fn with_deadline(deadline: [&str; 2]) -> NodeOptions {
    NodeOptions {
        args: deadline.map(str::to_owned).to_vec(),
        ..NodeOptions::default()
    }
}

#[tokio::test]
async fn a_hung_call_is_killed_at_its_deadline_and_said_of_its_object_alone() -> Result {
    let scenario = Scenario::named("hung").await?;
    let node = scenario.node_with(with_deadline(DEADLINE)).await?;
    let hung = Container::named("hung").on(&node).running_for_ever();
    let hung = scenario.create(hung.desired(DesiredState::Created)).await?;
    hung.becomes(Phase::Created).await?;
    node.sim()
        .inject(hangs("start").of_id(hung.container_ids()).times(1))
        .unwrap();
    hung.set_desired(DesiredState::Running).await?;
    let call = node.is_amid("start", &hung).await?;
    let other = Container::named("other").on(&node).running_for_ever();
    let other = scenario.create(other).await?;
    // It is said until the next try, which may be over before the other runs.
    tokio::try_join!(
        hung.says(conditions::RUNTIME_RESPONSIVE, "False", Reason::RuntimeHung),
        other.becomes(Phase::Running),
    )?;
    hung.has_event(Reason::RuntimeHung).await?;
    eventually(PATIENCE, "the hung call has ended", || async {
        let pid = call.pid;
        Ok(if alive(pid) { Err(pid) } else { Ok(()) })
    })
    .await?;
    assert!(has(
        &other.object().await?,
        conditions::RUNTIME_RESPONSIVE,
        "True"
    ));
    // The next try is not hindered.
    let object = hung.becomes_ready().await?;
    assert!(has(&object, conditions::RUNTIME_RESPONSIVE, "True"));
    assert_eq!(object.status.unwrap().attempt, Some(1));
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn hung_calls_hold_up_no_other_container() -> Result {
    let scenario = Scenario::named("hung-many").await?;
    let node = scenario
        .node_with(with_deadline(["--runhcs-timeout", "10m"]))
        .await?;
    // More of them than there are places for calls at once.
    let mut hung = Vec::new();
    for number in 0..=2 * std::thread::available_parallelism().map_or(2, usize::from) {
        let container = Container::named(&format!("hung{number}"))
            .on(&node)
            .running_for_ever()
            .desired(DesiredState::Stopped);
        let object = scenario.create(container).await?;
        object.becomes(Phase::Stopped).await?;
        node.sim()
            .inject(hangs("create").of_id(object.container_ids()).times(1))
            .unwrap();
        object.set_desired(DesiredState::Running).await?;
        hung.push(object);
    }
    let mut calls = Vec::new();
    for object in &hung {
        calls.push(node.is_amid("create", object).await?);
    }
    let other = Container::named("other").on(&node).running_for_ever();
    let other = scenario.create(other).await?;
    other.becomes(Phase::Running).await?;
    for (object, call) in hung.iter().zip(&calls) {
        assert!(alive(call.pid), "the call does not hang");
        object.becomes(Phase::Creating).await?;
        runhcs_sim::platform::kill_process(call.pid);
    }
    for object in &hung {
        object.has_event(Reason::RuntimeFailed).await?;
        object.becomes(Phase::Running).await?;
    }
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn what_a_hung_deletion_left_goes_with_the_next_try() -> Result {
    let scenario = Scenario::named("hung-delete").await?;
    let node = scenario.node_with(with_deadline(DEADLINE)).await?;
    let web = Container::named("web").on(&node).running_for_ever();
    let web = web.with(|spec| spec.termination_grace_period_seconds = 1);
    let web = scenario.create(web).await?;
    web.becomes(Phase::Running).await?;
    for verb in ["kill", "delete"] {
        node.sim().inject(hangs(verb).times(1)).unwrap();
    }
    web.delete().await?;
    web.has_event(Reason::RuntimeHung).await?;
    web.is_gone().await?;
    eventually(PATIENCE, "all calls have ended", || async {
        let left = node.leftovers()?;
        Ok(if left.is_empty() { Ok(()) } else { Err(left) })
    })
    .await?;
    assert!(node.containers()?.is_empty());
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn a_step_that_hangs_each_time_is_tried_again_calmly() -> Result {
    let scenario = Scenario::named("hung-always").await?;
    let node = scenario
        .node_with(with_deadline(["--runhcs-timeout", "1s"]))
        .await?;
    node.sim().inject(hangs("create")).unwrap();
    let web = Container::named("web").on(&node).running_for_ever();
    let web = scenario.create(web).await?;
    web.says(conditions::READY, "False", Reason::RuntimeHung)
        .await?;
    scenario
        .is_calm_on(&node, 1, Duration::from_secs(1))
        .await?;
    web.delete().await?;
    web.is_gone().await?;
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn a_call_that_a_killed_agent_left_under_way_ends_with_it() -> Result {
    let scenario = Scenario::named("hung-amid").await?;
    let node = scenario.node().await?;
    let stays = Container::named("stays").on(&node).running_for_ever();
    let stays = scenario.create(stays).await?;
    let before = stays.becomes(Phase::Running).await?.status.unwrap();
    let shim = before.pid.unwrap();
    let gate = Gate::on(&node);
    node.sim()
        .inject(gate.holds(&node, "create", Point::Begin).times(1))
        .unwrap();
    let web = Container::named("web").on(&node).running_for_ever();
    let web = scenario.create(web).await?;
    let call = node.is_amid("create", &web).await?;
    node.agent().kill();
    eventually(PATIENCE, "the call has ended", || async {
        let there = node.has_process(call.pid);
        Ok(if there { Err(call.pid) } else { Ok(()) })
    })
    .await?;
    assert!(
        node.has_process(shim),
        "a shim ended with the agent: {shim}"
    );
    gate.open();
    node.agent().start_again()?;
    let object = web.becomes(Phase::Running).await?;
    let id = object.status.unwrap().container_id.unwrap();
    let stayed = before.container_id.unwrap();
    let (mut there, mut expected) = (node.containers()?, vec![id, stayed]);
    there.sort();
    expected.sort();
    assert_eq!(there, expected);
    assert!(node.has_process(shim), "{shim} was not left alone");
    assert_eq!(node.sim().overlaps().unwrap(), None);
    scenario.leaves_nothing_on(&node).await
}
