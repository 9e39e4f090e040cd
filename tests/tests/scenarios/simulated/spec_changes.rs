//! A spec that changes in the middle of a step: what it says last is what comes true, with never more than one
//! container of the object alive.

use hcs_crds::{DesiredState, Phase};
use hcs_tests::{Container, Live, Node, NodeOptions, Result, Scenario};
use runhcs_sim::Point;
use serde_json::{Value, json};

use super::Gate;

/// What is changed in the middle of a step, and the phase that must follow.
type Change = (&'static str, Value, Phase);

fn changes() -> Vec<Change> {
    vec![
        (
            "to-stopped",
            json!({"desiredState": "Stopped"}),
            Phase::Stopped,
        ),
        (
            "to-deleted",
            json!({"desiredState": "Deleted"}),
            Phase::Deleted,
        ),
        (
            "to-created",
            json!({"desiredState": "Created"}),
            Phase::Created,
        ),
        (
            "to-running",
            json!({"desiredState": "Running"}),
            Phase::Running,
        ),
        (
            "to-anew",
            json!({"desiredState": "Running", "restartRequest": "1"}),
            Phase::Running,
        ),
        (
            "to-resized",
            json!({"desiredState": "Running", "tty": {"width": 132, "height": 43}}),
            Phase::Running,
        ),
    ]
}

/// Brings a container into the middle of a step.
struct Step {
    verb: &'static str,
    from: (DesiredState, Phase),
    to: DesiredState,
}

async fn change_amid(scenario: &Scenario, node: &Node, step: &Step) -> Result {
    let mut all = Vec::new();
    for (name, change, phase) in changes() {
        let container = Container::named(&format!("{}-{name}", step.verb))
            .on(node)
            .tty(80, 25)
            .running_for_ever()
            .desired(step.from.0);
        all.push((scenario.create(container).await?, change, phase));
    }
    let doomed = Container::named(&format!("{}-gone", step.verb))
        .on(node)
        .running_for_ever()
        .desired(step.from.0);
    let doomed = scenario.create(doomed).await?;
    let gate = Gate::on(node);
    let objects = all.iter().map(|(object, ..)| object).chain([&doomed]);
    for object in objects.clone() {
        object.becomes(step.from.1).await?;
        let held = gate.holds(node, step.verb, Point::BeforeEffect);
        node.sim()
            .inject(held.of_id(object.container_ids()).times(1))
            .unwrap();
    }
    for object in objects.clone() {
        object.set_desired(step.to).await?;
    }
    for object in objects {
        node.is_amid(step.verb, object).await?;
    }
    doomed.delete().await?;
    for (object, change, _) in &all {
        object.patch_spec(change.clone()).await?;
    }
    // The agent has heard of all changes before any step goes on.
    scenario.activity(node, 2).await?;
    gate.open();
    for (object, _, phase) in &all {
        object.becomes(*phase).await?;
        object.becomes_ready().await?;
        assert_at_most_one_lives(node, object);
    }
    doomed.is_gone().await?;
    scenario.leaves_nothing_on(node).await
}

fn assert_at_most_one_lives(node: &Node, object: &Live) {
    let prefix = format!("hc-{}-", object.uid());
    let all = node.sim().containers().unwrap();
    let ours = all.iter().filter(|c| c.id.starts_with(&prefix));
    assert!(ours.count() <= 1, "{}: {all:#?}", object.name());
}

async fn amid(step: Step) -> Result {
    let scenario = Scenario::named(&format!("amid-{}", step.verb)).await?;
    let options = NodeOptions {
        args: vec!["--runhcs-parallel".to_owned(), "16".to_owned()],
        ..NodeOptions::default()
    };
    let node = scenario.node_with(options).await?;
    change_amid(&scenario, &node, &step).await
}

#[tokio::test]
async fn a_spec_that_changes_amid_create_is_what_comes_true() -> Result {
    amid(Step {
        verb: "create",
        from: (DesiredState::Stopped, Phase::Stopped),
        to: DesiredState::Running,
    })
    .await
}

#[tokio::test]
async fn a_spec_that_changes_amid_start_is_what_comes_true() -> Result {
    amid(Step {
        verb: "start",
        from: (DesiredState::Created, Phase::Created),
        to: DesiredState::Running,
    })
    .await
}

#[tokio::test]
async fn a_spec_that_changes_amid_kill_is_what_comes_true() -> Result {
    amid(Step {
        verb: "kill",
        from: (DesiredState::Running, Phase::Running),
        to: DesiredState::Stopped,
    })
    .await
}

#[tokio::test]
async fn a_spec_that_changes_amid_delete_is_what_comes_true() -> Result {
    amid(Step {
        verb: "delete",
        from: (DesiredState::Created, Phase::Created),
        to: DesiredState::Deleted,
    })
    .await
}

#[tokio::test]
async fn an_object_deleted_amid_pause_and_amid_its_scratch_leaves_nothing() -> Result {
    let scenario = Scenario::named("amid-others").await?;
    let node = scenario.node().await?;
    let gate = Gate::on(&node);
    let web = Container::named("web")
        .on(&node)
        .hyperv()
        .running_for_ever();
    let web = scenario.create(web).await?;
    web.becomes(Phase::Running).await?;
    for verb in ["pause", "create-scratch"] {
        let held = gate.holds(&node, verb, Point::AfterEffect);
        node.sim().inject(held.times(1)).unwrap();
    }
    web.set_desired(DesiredState::Paused).await?;
    let linux = Container::named("linux")
        .on(&node)
        .linux_with(hcs_crds::Scratch::default())
        .running_for_ever();
    let linux = scenario.create(linux).await?;
    node.is_amid("pause", &web).await?;
    linux
        .says(
            hcs_crds::conditions::SCRATCH_READY,
            "False",
            hcs_crds::Reason::ScratchCreating,
        )
        .await?;
    web.delete().await?;
    linux.delete().await?;
    node.relists(2).await?;
    gate.open();
    web.is_gone().await?;
    linux.is_gone().await?;
    for (object, created) in [(&web, 1), (&linux, 0)] {
        let calls = node.calls_about(object)?;
        let creates = calls.iter().filter(|call| call.verb == "create").count();
        assert_eq!(creates, created, "{}", object.name());
    }
    scenario.leaves_nothing_on(&node).await
}
