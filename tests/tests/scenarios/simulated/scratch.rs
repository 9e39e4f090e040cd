//! The scratch disk of an LCOW container: made whole or not at all, kept as long as its size is wanted.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use hcs_crds::{HcsContainer, Phase, Reason, ReclaimPolicy, RestartPolicy, Scratch, conditions};
use hcs_tests::live::{condition_of, has, observed};
use hcs_tests::{Container, Live, Node, PATIENCE, Result, Scenario, eventually};
use runhcs_sim::{CallRecord, Point};
use serde_json::json;

use super::{Gate, dies, fails};

const GB: u64 = 1 << 30;

fn of(size_gb: u32, reclaim_policy: ReclaimPolicy) -> Scratch {
    Scratch {
        size_gb,
        reclaim_policy,
        ..Scratch::default()
    }
}

fn linux(node: &Node, scratch: Scratch) -> Container {
    Container::named("linux")
        .on(node)
        .linux_with(scratch)
        .running_for_ever()
}

fn folder(node: &Node, object: &Live) -> PathBuf {
    node.dir().join("data/scratch").join(object.uid())
}

/// The calls of create-scratch; the last one may be under way.
fn made(node: &Node) -> Vec<CallRecord> {
    let mut calls = node.sim().calls().unwrap();
    calls.retain(|call| call.verb == "create-scratch");
    calls
}

async fn is_being_made(node: &Node) -> Result<CallRecord> {
    eventually(PATIENCE, "create-scratch is under way", || async {
        let mut calls = made(node);
        let last = calls.pop().filter(|call| call.exit_code.is_none());
        Ok(last.ok_or(calls))
    })
    .await
}

fn has_scratch_of(object: &HcsContainer, size_gb: u32) -> bool {
    let status = object.status.as_ref();
    let scratch = status.and_then(|status| status.scratch.as_ref());
    observed(object)
        && scratch.is_some_and(|scratch| scratch.size_gb == size_gb)
        && has(object, conditions::READY, "True")
}

#[tokio::test]
async fn a_scratch_is_made_under_a_temporary_name_with_all_that_is_asked_for() -> Result {
    let scenario = Scenario::named("scratch").await?;
    let node = scenario.node().await?;
    let gate = Gate::on(&node);
    node.sim()
        .inject(gate.holds(&node, "create-scratch", Point::AfterEffect))
        .unwrap();
    let cache = node.dir().join("cache/scratch.vhdx");
    let scratch = Scratch {
        cache_file: Some(node.path(&cache)),
        ..Scratch::default()
    };
    let object = scenario.create(linux(&node, scratch)).await?;
    let call = is_being_made(&node).await?;
    let file = folder(&node, &object).join("sandbox.vhdx");
    assert!(!file.exists());
    let temporary = folder(&node, &object).join("sandbox.tmp.vhdx");
    assert!(temporary.exists());
    let said = call.argv.join(" ");
    assert!(said.contains(&format!("--destpath {}", node.path(&temporary))));
    assert!(said.contains(&format!("--cache-path {}", node.path(&cache))));
    assert!(said.contains("--sizeGB 20"), "{said}");
    object
        .says(conditions::SCRATCH_READY, "False", Reason::ScratchCreating)
        .await?;
    gate.open();
    let ready = object
        .says(conditions::SCRATCH_READY, "True", Reason::ScratchCreated)
        .await?;
    let shown = ready.status.unwrap().scratch.unwrap();
    assert_eq!((shown.path, shown.size_gb), (node.path(&file), 20));
    object.has_event(Reason::ScratchCreated).await?;
    object.becomes(Phase::Running).await?;
    assert_eq!(fs::metadata(&file).unwrap().len(), 20 * GB);
    assert!(!temporary.exists() && cache.exists());
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn a_flag_that_this_runhcs_does_not_have_is_unsupported_and_the_remedy_is_said() -> Result {
    let scenario = Scenario::named("scratch-flag").await?;
    let node = scenario.node().await?;
    let scratch = Scratch {
        use_virtual_memory: true,
        ..Scratch::default()
    };
    let object = scenario.create(linux(&node, scratch)).await?;
    let said = object
        .says(conditions::SCRATCH_READY, "False", Reason::Unsupported)
        .await?;
    let condition = condition_of(&said, conditions::SCRATCH_READY).unwrap();
    let words = "flag provided but not defined: -use-virtual-memory";
    assert!(condition.message.contains(words), "{condition:?}");
    let remedy = "scratch.useVirtualMemory needs runhcs v0.13.0";
    assert!(condition.message.contains(remedy), "{condition:?}");
    let stalled = condition_of(&said, conditions::STALLED);
    assert!(stalled.is_some(), "{said:?}");
    object.has_event(Reason::Unsupported).await?;
    scenario
        .is_calm_on(&node, 1, Duration::from_secs(1))
        .await?;
    object
        .patch_spec(json!({"scratch": {"useVirtualMemory": false}}))
        .await?;
    object.becomes(Phase::Running).await?;
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn a_scratch_stays_through_restarts_of_its_container_of_the_agent_and_of_the_node() -> Result
{
    let scenario = Scenario::named("scratch-stays").await?;
    let node = scenario.node().await?;
    let linux = linux(&node, of(2, ReclaimPolicy::Delete));
    let object = scenario
        .create(linux.restart_policy(RestartPolicy::Always))
        .await?;
    object.becomes(Phase::Running).await?;
    let file = folder(&node, &object).join("sandbox.vhdx");
    let first = fs::metadata(&file).unwrap();
    object.patch_spec(json!({"restartRequest": "1"})).await?;
    object.becomes(Phase::Running).await?;
    node.agent().crash_and_restart().await?;
    object.patch_spec(json!({"restartRequest": "2"})).await?;
    object.becomes(Phase::Running).await?;
    node.reboot().await?;
    object
        .comes_to("runs again after the reboot", |object| {
            let status = object.status.as_ref();
            status.is_some_and(|s| s.attempt == Some(4) && s.phase == Phase::Running)
        })
        .await?;
    assert_eq!(made(&node).len(), 1);
    let now = fs::metadata(&file).unwrap();
    assert_eq!(now.modified().unwrap(), first.modified().unwrap());
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn another_size_makes_container_and_scratch_anew_and_the_old_file_goes() -> Result {
    let scenario = Scenario::named("scratch-size").await?;
    let node = scenario.node().await?;
    let object = scenario
        .create(linux(&node, of(2, ReclaimPolicy::Delete)))
        .await?;
    object.becomes(Phase::Running).await?;
    object.patch_spec(json!({"scratch": {"sizeGB": 3}})).await?;
    let now = object
        .comes_to("has a scratch of 3 GB", |object| has_scratch_of(object, 3))
        .await?;
    assert_eq!(now.status.unwrap().attempt, Some(2));
    object.has_event(Reason::SpecChanged).await?;
    let folder = folder(&node, &object);
    let length = fs::metadata(folder.join("sandbox.vhdx")).unwrap().len();
    assert_eq!(length, 3 * GB);
    assert!(!folder.join("sandbox.retained-1.vhdx").exists());
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn a_retained_scratch_outlives_a_new_size_and_its_object() -> Result {
    let scenario = Scenario::named("scratch-retain").await?;
    let node = scenario.node().await?;
    let object = scenario
        .create(linux(&node, of(2, ReclaimPolicy::Retain)))
        .await?;
    object.becomes(Phase::Running).await?;
    object.patch_spec(json!({"scratch": {"sizeGB": 3}})).await?;
    object
        .comes_to("has a scratch of 3 GB", |object| has_scratch_of(object, 3))
        .await?;
    let folder = folder(&node, &object);
    let length = |name: &str| fs::metadata(folder.join(name)).unwrap().len();
    assert_eq!(length("sandbox.retained-1.vhdx"), 2 * GB);
    object.delete().await?;
    object.is_gone().await?;
    assert_eq!(length("sandbox.retained-1.vhdx"), 2 * GB);
    assert_eq!(length("sandbox.vhdx"), 3 * GB);
    assert!(node.containers()?.is_empty());
    fs::remove_dir_all(&folder).unwrap();
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn a_manual_update_leaves_the_scratch_until_a_restart_is_requested() -> Result {
    let scenario = Scenario::named("scratch-manual").await?;
    let node = scenario.node().await?;
    let container = linux(&node, of(2, ReclaimPolicy::Delete)).updated_manually();
    let object = scenario.create(container).await?;
    object.becomes(Phase::Running).await?;
    object.patch_spec(json!({"scratch": {"sizeGB": 3}})).await?;
    let waits = object
        .says(
            conditions::RESTART_REQUIRED,
            "True",
            Reason::RestartRequired,
        )
        .await?;
    assert!(has(&waits, conditions::SCRATCH_READY, "False"));
    scenario.is_at_rest_on(&node).await?;
    assert_eq!(made(&node).len(), 1);
    object.patch_spec(json!({"restartRequest": "1"})).await?;
    object
        .comes_to("has a scratch of 3 GB", |object| has_scratch_of(object, 3))
        .await?;
    object
        .says(conditions::RESTART_REQUIRED, "False", Reason::NotRequired)
        .await?;
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn a_scratch_that_cannot_be_made_is_tried_again_calmly() -> Result {
    let scenario = Scenario::named("scratch-fails").await?;
    let node = scenario.node().await?;
    node.sim()
        .inject(fails("create-scratch", Point::AfterEffect))
        .unwrap();
    let object = scenario
        .create(linux(&node, of(2, ReclaimPolicy::Delete)))
        .await?;
    object
        .says(conditions::SCRATCH_READY, "False", Reason::ScratchFailed)
        .await?;
    object
        .says(conditions::READY, "False", Reason::ScratchFailed)
        .await?;
    object.has_event(Reason::ScratchFailed).await?;
    scenario
        .is_calm_on(&node, 1, Duration::from_secs(1))
        .await?;
    assert!(!folder(&node, &object).join("sandbox.vhdx").exists());
    node.sim().clear_faults().unwrap();
    object.becomes(Phase::Running).await?;
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn a_half_made_scratch_is_never_taken_for_a_whole_one() -> Result {
    let scenario = Scenario::named("scratch-half").await?;
    let node = scenario.node().await?;
    node.sim()
        .inject(dies("create-scratch", Point::AfterEffect).times(1))
        .unwrap();
    let gate = Gate::on(&node);
    let held = gate.holds(&node, "create-scratch", Point::AfterEffect);
    node.sim().inject(held).unwrap();
    let object = scenario
        .create(linux(&node, of(2, ReclaimPolicy::Delete)))
        .await?;
    eventually(PATIENCE, "create-scratch is called again", || async {
        let calls = made(&node);
        Ok(if calls.len() > 1 { Ok(()) } else { Err(calls) })
    })
    .await?;
    // The agent dies as well, with the second one under way.
    node.agent().kill();
    assert!(!folder(&node, &object).join("sandbox.vhdx").exists());
    gate.open();
    node.agent().start_again()?;
    object.becomes(Phase::Running).await?;
    let length = fs::metadata(folder(&node, &object).join("sandbox.vhdx")).unwrap();
    assert_eq!(length.len(), 2 * GB);
    assert!(!folder(&node, &object).join("sandbox.tmp.vhdx").exists());
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn a_cache_file_outside_the_allowed_roots_is_refused() -> Result {
    let scenario = Scenario::named("scratch-cache").await?;
    let node = scenario.node().await?;
    let scratch = Scratch {
        cache_file: Some(node.path(node.dir().join("elsewhere.vhdx"))),
        ..Scratch::default()
    };
    let object = scenario.create(linux(&node, scratch)).await?;
    object
        .says(conditions::SCRATCH_READY, "False", Reason::PathNotAllowed)
        .await?;
    object.has_event(Reason::PathNotAllowed).await?;
    scenario
        .is_calm_on(&node, 1, Duration::from_secs(1))
        .await?;
    assert!(made(&node).is_empty());
    scenario.leaves_nothing_on(&node).await
}
