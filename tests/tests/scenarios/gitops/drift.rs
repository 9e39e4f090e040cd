//! What somebody changes by hand is put back: on the node and in the status by the agent, in the spec by whatever
//! applies what is in Git.

use hcs_crds::{FINALIZER, Phase, Reason};
use hcs_tests::{Container, Error, Live, Node, Result, Scenario};
use kube::ResourceExt as _;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::managers::{GIT, apply, apply_by_force, manifest};

async fn running(scenario: &Scenario, node: &Node) -> Result<(Live, Value)> {
    let spec = manifest(node, Container::named("web").on(node).running_for_ever());
    apply(scenario, GIT, "web", &spec).await?;
    let web = scenario.existing("web").await?;
    web.becomes(Phase::Running).await?;
    Ok((web, spec))
}

#[tokio::test]
async fn a_container_that_somebody_ends_with_runhcs_is_made_again() -> Result {
    let scenario = Scenario::named("drift-node").await?;
    let node = scenario.node().await?;
    let (web, _) = running(&scenario, &node).await?;
    let by_hand = |args: &[&str]| {
        let done = node.machine().call(args).unwrap();
        assert!(done.status.success(), "{args:?}");
    };
    let id = web.status().await?.container_id.unwrap();
    by_hand(&["kill", &id, "KILL"]);
    let second = web.runs_as(2).await?.status.unwrap();
    by_hand(&["delete", "--force", &second.container_id.unwrap()]);
    let third = web.runs_as(3).await?.status.unwrap();
    assert_eq!(node.containers()?, [third.container_id.unwrap()]);
    assert_eq!(web.object().await?.metadata.generation, Some(1));
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn a_spec_that_somebody_edits_is_applied_again_and_comes_true_again() -> Result {
    let scenario = Scenario::named("drift-spec").await?;
    let node = scenario.node().await?;
    let (web, spec) = running(&scenario, &node).await?;
    web.patch_spec(json!({"desiredState": "Stopped"})).await?;
    web.becomes(Phase::Stopped).await?;
    let conflict = apply(&scenario, GIT, "web", &spec).await;
    assert!(conflict.is_err(), "without force, the edit is respected");
    apply_by_force(&scenario, GIT, "web", &spec).await?;
    web.becomes(Phase::Running).await?;
    // Events follow the status.
    node.relists(1).await?;
    scenario.is_at_rest_on(&node).await?;
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn a_finalizer_that_somebody_removes_is_put_back_before_the_object_can_go() -> Result {
    let scenario = Scenario::named("drift-finalizer").await?;
    let node = scenario.node().await?;
    let (web, _) = running(&scenario, &node).await?;
    let before = web.status().await?;
    web.patch(json!({"metadata": {"finalizers": []}})).await?;
    let object = web
        .comes_to("is held again", |object| object.finalizers() == [FINALIZER])
        .await?;
    assert_eq!(object.status.as_ref(), Some(&before));
    scenario.is_at_rest_on(&node).await?;
    web.delete().await?;
    web.is_gone().await?;
    assert!(node.containers()?.is_empty());
    scenario.leaves_nothing_on(&node).await
}

/// Changes the status as `kubectl edit --subresource=status` does.
async fn edit_status(scenario: &Scenario, web: &Live, status: Value) -> Result {
    let patch = Patch::Merge(json!({"status": status}));
    let api = scenario.containers();
    api.patch_status(web.name(), &PatchParams::default(), &patch)
        .await
        .map_err(Error::api("edit the status"))?;
    Ok(())
}

#[tokio::test]
async fn a_status_that_somebody_edits_is_put_back_whole() -> Result {
    let scenario = Scenario::named("drift-status").await?;
    let node = scenario.node().await?;
    let (web, _) = running(&scenario, &node).await?;
    scenario.is_at_rest_on(&node).await?;
    let before = web.status().await?;
    let mut conditions = json!(before.conditions);
    let mut stalled = conditions[0].clone();
    stalled["type"] = json!("Stalled");
    stalled["reason"] = json!(Reason::InvalidSpec.as_str());
    conditions.as_array_mut().unwrap().push(stalled);
    let edits = [
        // What the agent says otherwise, and what it does not say at all.
        json!({"phase": "Failed", "pid": 1, "containerID": "hc-other-1"}),
        json!({"backoff": {"consecutiveFailures": 3}, "plannedActions": ["delete"]}),
        json!({"conditions": conditions}),
        json!({"observedGeneration": 7, "conditions": []}),
    ];
    for edit in edits {
        edit_status(&scenario, &web, edit).await?;
        web.comes_to("says what it said before", |object| {
            let mut now = object.status.clone().unwrap_or_default();
            // A condition that was away is as old as its return.
            for (now, before) in now.conditions.iter_mut().zip(&before.conditions) {
                now.last_transition_time = before.last_transition_time.clone();
            }
            now == before
        })
        .await?;
    }
    scenario.is_at_rest_on(&node).await?;
    assert_eq!(web.object().await?.metadata.generation, Some(1));
    scenario.leaves_nothing_on(&node).await
}
