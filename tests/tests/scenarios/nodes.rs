//! What an administrator sees of the nodes: their HcsNode objects and their Leases.
#![cfg(test)]

use hcs_crds::conditions::{DISK_PRESSURE, READY};
use hcs_crds::{
    CAPABILITY_CREATE, CAPABILITY_HYPERV, CAPABILITY_LCOW, CAPABILITY_PAUSE_PROCESS, HcsNode,
    HcsNodeStatus, Leftover, LeftoverKind, Phase, Supported,
};
use hcs_tests::{Container, Error, Node, PATIENCE, Result, Scenario, eventually};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::DeleteParams;

/// Waits until the page of a node is as asked.
pub async fn page_comes_to(
    scenario: &Scenario,
    node: &str,
    what: &str,
    so: impl Fn(&HcsNodeStatus) -> bool,
) -> Result<HcsNodeStatus> {
    let pages: Api<HcsNode> = Api::all(scenario.client());
    eventually(PATIENCE, &format!("{node} {what}"), || async {
        let page = pages.get_opt(node).await;
        let page = page.map_err(Error::api("read the HcsNode"))?;
        let status = page.and_then(|page| page.status).unwrap_or_default();
        let yes = so(&status);
        Ok(if yes {
            Ok(status)
        } else {
            Err((status, scenario.evidence()))
        })
    })
    .await
}

/// Deletes all containers of the scenario and waits until nothing is left on the node, and until its page says so: no object,
/// no foreign container, and nothing left over but the layers that runhcs leaves mounted.
pub async fn leaves_nothing_and_says_so(scenario: &Scenario, node: &Node) -> Result {
    scenario.leaves_nothing_on(node).await?;
    page_comes_to(scenario, node.name(), "lists layers alone", |status| {
        let left = &status.inventory.leftovers;
        let is_layer = |item: &Leftover| item.kind == LeftoverKind::MountedLayer;
        status.containers.total == 0
            && status.inventory.foreign_containers.count == 0
            && left.items.iter().all(is_layer)
    })
    .await?;
    Ok(())
}

/// A condition's `status reason`; empty where it is not there.
pub fn condition(status: &HcsNodeStatus, type_: &str) -> String {
    let found = status.conditions.iter().find(|c| c.type_ == type_);
    found.map_or_else(String::new, |c| format!("{} {}", c.status, c.reason))
}

#[tokio::test]
async fn a_node_says_what_it_is_and_counts_its_containers() -> Result {
    let scenario = Scenario::named("page").await?;
    let node = scenario.node().await?;
    let web = Container::named("web").on(&node).running_for_ever();
    let web = scenario.create(web).await?;
    web.becomes(Phase::Running).await?;
    let status = page_comes_to(&scenario, node.name(), "counts web", |status| {
        status.containers.running == 1
    })
    .await?;
    assert_eq!(condition(&status, READY), "True AgentReady");
    assert_eq!(status.observed_generation, 1);
    assert_eq!(status.containers.total, 1);
    assert_eq!(
        status.agent_version.as_deref(),
        Some(env!("CARGO_PKG_VERSION"))
    );
    assert!(status.os_build.is_some_and(|build| !build.is_empty()));
    assert!(status.boot_id.is_some());
    let runhcs = status.runhcs.path.unwrap_or_default();
    assert!(runhcs.contains("runhcs"), "{runhcs:?}");
    // All that a plain build of v0.11.7 says of itself.
    assert_eq!(status.runhcs.version.as_deref(), Some("spec: 1.0.2-dev"));
    let able = |name: &str| {
        let mut all = status.capabilities.iter();
        all.find(|c| c.name == name).map(|c| c.supported)
    };
    assert_eq!(able(CAPABILITY_CREATE), Some(Supported::True));
    for unseen in [CAPABILITY_HYPERV, CAPABILITY_LCOW, CAPABILITY_PAUSE_PROCESS] {
        assert_eq!(able(unseen), Some(Supported::Unknown), "{unseen}");
    }
    let table = kubectl(&scenario, &["get", "hcsnodes", node.name(), "-o", "wide"]);
    let words: Vec<&str> = table.split_whitespace().collect();
    for word in [
        "READY",
        "REASON",
        "CREATE",
        "HYPERV",
        "LCOW",
        "PAUSE",
        "RUNNING",
        "TOTAL",
        "DISK-PRESSURE",
        "AGENT",
        "RUNHCS",
        "OS",
        "FOREIGN",
        "LEFTOVERS",
        "BOOT",
        "AgentReady",
        env!("CARGO_PKG_VERSION"),
    ] {
        assert!(words.contains(&word), "{word} is not in {table}");
    }
    node.reboot().await?;
    page_comes_to(&scenario, node.name(), "has another boot id", |now| {
        now.boot_id != status.boot_id
    })
    .await?;
    Ok(())
}

fn kubectl(scenario: &Scenario, args: &[&str]) -> String {
    let mut kubectl = scenario.control_plane().kubectl_command();
    let output = kubectl.args(args).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn a_page_that_somebody_deletes_is_made_again_and_a_steady_one_is_not_written() -> Result {
    let scenario = Scenario::named("page-deleted").await?;
    let node = scenario.node().await?;
    let known = |status: &HcsNodeStatus| condition(status, READY) == "True AgentReady";
    page_comes_to(&scenario, node.name(), "is known", known).await?;
    is_written_no_more(&scenario, &node).await?;
    let pages: Api<HcsNode> = Api::all(scenario.client());
    pages
        .delete(node.name(), &DeleteParams::default())
        .await
        .map_err(Error::api("delete the HcsNode"))?;
    page_comes_to(&scenario, node.name(), "is known again", known).await?;
    is_written_no_more(&scenario, &node).await
}

/// Fails unless the node's page comes to be written not at all over three relists.
async fn is_written_no_more(scenario: &Scenario, node: &Node) -> Result {
    eventually(PATIENCE, "the page is at rest", || async {
        let activity = scenario.activity(node, 3).await?;
        Ok(if activity.writes.is_empty() {
            Ok(())
        } else {
            Err(activity)
        })
    })
    .await
}

#[tokio::test]
async fn a_disk_with_less_room_than_asked_for_is_said_and_taken_back_and_containers_still_run()
-> Result {
    let scenario = Scenario::named("full-disk").await?;
    let limit =
        |unit: &str, least: &str| (format!("HCS_OPERATOR_MIN_FREE_{unit}"), least.to_owned());
    let options = hcs_tests::NodeOptions {
        // More than any disk has, whatever this one's room in percent is: 1 EiB.
        envs: vec![limit("GB", "1073741824"), limit("PERCENT", "0")],
        ..hcs_tests::NodeOptions::default()
    };
    let mut node = scenario.node_with(options).await?;
    page_comes_to(&scenario, node.name(), "has no room", |status| {
        condition(status, DISK_PRESSURE) == "True DiskSpaceLow"
    })
    .await?;
    let web = Container::named("web").on(&node).running_for_ever();
    let web = scenario.create(web).await?;
    web.becomes(Phase::Running).await?;
    let table = kubectl(&scenario, &["get", "hcsnodes", node.name()]);
    assert!(table.contains("DISK-PRESSURE"), "{table}");
    let free = node.agent().metric("hcs_operator_disk_free_bytes").await?;
    assert!(free.is_some_and(|free| free > 0.0), "{free:?}");
    node.agent_mut()
        .configure(|agent| agent.env("HCS_OPERATOR_MIN_FREE_GB", "0"));
    node.agent().crash_and_restart().await?;
    page_comes_to(&scenario, node.name(), "has room", |status| {
        condition(status, DISK_PRESSURE) == "False DiskSpaceEnough"
    })
    .await?;
    scenario.leaves_nothing_on(&node).await
}

async fn renewed(scenario: &Scenario, node: &Node) -> Result<Option<String>> {
    let leases: Api<Lease> =
        Api::namespaced(scenario.client(), hcs_tests::control_plane::NAMESPACE);
    let lease = leases.get_opt(&format!("hcs-node-{}", node.name())).await;
    let lease = lease.map_err(Error::api("read the lease"))?;
    let spec = lease.and_then(|lease| lease.spec);
    Ok(spec
        .and_then(|spec| spec.renew_time)
        .map(|time| time.0.to_string()))
}

/// Waits until a node's Lease was renewed so many times.
pub async fn lease_is_renewed(scenario: &Scenario, node: &Node, times: usize) -> Result {
    let mut before = None;
    for _ in 0..times {
        before = eventually(PATIENCE, "the lease is renewed", || async {
            let now = renewed(scenario, node).await?;
            let changed = now.is_some() && now != before;
            Ok(if changed { Ok(now) } else { Err(now) })
        })
        .await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_lease_is_renewed_while_the_agent_lives() -> Result {
    let scenario = Scenario::named("lease").await?;
    let options = hcs_tests::NodeOptions {
        args: ["--lease-duration", "4s"].map(str::to_owned).into(),
        ..hcs_tests::NodeOptions::default()
    };
    let node = scenario.node_with(options).await?;
    lease_is_renewed(&scenario, &node, 3).await
}
