//! What a node's page says of its runhcs, and of what is left over on it.

use hcs_crds::conditions::{READY, RUNTIME_RESPONSIVE};
use hcs_crds::{
    CAPABILITY_PAUSE_PROCESS, HcsNodeStatus, LeftoverKind, Phase, ReclaimPolicy, Scratch, Supported,
};
use hcs_tests::{Container, NodeOptions, Result, Scenario};

use super::hangs;
use crate::nodes::{condition, page_comes_to};

fn leftovers(status: &HcsNodeStatus) -> Vec<(LeftoverKind, u64)> {
    let items = &status.inventory.leftovers.items;
    items.iter().map(|item| (item.kind, item.bytes)).collect()
}

#[tokio::test]
async fn retained_scratch_and_mounted_layers_are_listed_and_gone_after_a_reboot() -> Result {
    let scenario = Scenario::named("inventory").await?;
    let node = scenario.node().await?;
    let scratch = Scratch {
        size_gb: 20,
        reclaim_policy: ReclaimPolicy::Retain,
        ..Scratch::default()
    };
    let linux = Container::named("linux").on(&node).running_for_ever();
    let linux = scenario.create(linux.linux_with(scratch)).await?;
    let web = Container::named("web").on(&node).running_for_ever();
    let web = scenario.create(web).await?;
    web.becomes(Phase::Running).await?;
    linux.becomes(Phase::Running).await?;
    page_comes_to(&scenario, node.name(), "has nothing left over", |status| {
        status.containers.running == 2 && status.inventory.leftovers.count == 0
    })
    .await?;
    linux.delete().await?;
    web.delete().await?;
    web.is_gone().await?;
    linux.is_gone().await?;
    let kinds = [LeftoverKind::Scratch, LeftoverKind::MountedLayer];
    let status = page_comes_to(&scenario, node.name(), "lists both", |status| {
        let now: Vec<_> = leftovers(status)
            .into_iter()
            .map(|(kind, _)| kind)
            .collect();
        now == kinds
    })
    .await?;
    let left = &status.inventory.leftovers;
    assert!(
        left.bytes > 0 && left.bytes == left.items[0].bytes,
        "{left:?}"
    );
    let mounted = node.sim().mounted_layers().unwrap();
    let layer = &left.items[1].name;
    // A Windows path is the same in any case.
    let is_it = |path: &std::path::PathBuf| path.to_string_lossy().eq_ignore_ascii_case(layer);
    assert!(mounted.iter().any(is_it), "{mounted:?} {layer:?}");
    node.reboot().await?;
    page_comes_to(
        &scenario,
        node.name(),
        "lists the scratch alone",
        |status| leftovers(status).len() == 1,
    )
    .await?;
    Ok(())
}

#[tokio::test]
async fn a_hung_runhcs_is_said_of_the_node_and_taken_back() -> Result {
    let scenario = Scenario::named("page-hung").await?;
    let options = NodeOptions {
        args: ["--runhcs-timeout", "1s"].map(str::to_owned).into(),
        ..NodeOptions::default()
    };
    let node = scenario.node_with(options).await?;
    node.sim().inject(hangs("list")).unwrap();
    let status = page_comes_to(&scenario, node.name(), "says it hangs", |status| {
        condition(status, READY) == "False RuntimeHung"
    })
    .await?;
    assert_eq!(condition(&status, RUNTIME_RESPONSIVE), "False RuntimeHung");
    node.sim().clear_faults().unwrap();
    page_comes_to(&scenario, node.name(), "is well again", |status| {
        condition(status, READY) == "True AgentReady"
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn whether_process_isolation_pauses_is_learned_where_force_is_due_and_kept_for_the_boot()
-> Result {
    let scenario = Scenario::named("page-pause").await?;
    let node = scenario.node().await?;
    let says = async |what: &str, supported: Supported| {
        page_comes_to(&scenario, node.name(), what, |status| {
            let mut all = status.capabilities.iter();
            all.any(|c| c.name == CAPABILITY_PAUSE_PROCESS && c.supported == supported)
        })
        .await
    };
    says("does not know yet", Supported::Unknown).await?;
    let force_one = async || -> Result {
        let web = Container::named("web").on(&node).working(["--ignore-term"]);
        let web = web.with(|spec| spec.termination_grace_period_seconds = 0);
        let web = scenario.create(web).await?;
        web.becomes(Phase::Running).await?;
        web.delete().await?;
        web.is_gone().await
    };
    force_one().await?;
    says("was told no", Supported::False).await?;
    let pauses = || -> Result<usize> {
        let calls = node.calls()?;
        Ok(calls.iter().filter(|verb| *verb == "pause").count())
    };
    assert_eq!(pauses()?, 1);
    node.agent().stop();
    node.agent().start_again()?;
    node.agent().ready().await?;
    force_one().await?;
    says("still knows", Supported::False).await?;
    assert_eq!(pauses()?, 1, "the next agent knows it");
    node.reboot().await?;
    says("has to learn anew", Supported::Unknown).await?;
    assert_eq!(pauses()?, 1);
    Ok(())
}
