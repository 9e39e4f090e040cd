//! Disks that are full or read-only: what cannot be written down is not done, it is said why, and all goes on by itself
//! when there is room again. Each on a small disk of its own, which only root may mount.
#![cfg(test)]

use hcs_crds::conditions::{DISK_PRESSURE, READY};
use hcs_crds::{Phase, Reason, RestartPolicy};
use hcs_tests::small_disk::SmallDisk;
use hcs_tests::{Container, Live, Node, NodeOptions, PATIENCE, Result, Scenario, eventually};

use crate::nodes::{condition, leaves_nothing_and_says_so, page_comes_to};

const KIB: u32 = 256;

async fn always(scenario: &Scenario, node: &Node, name: &str) -> Result<Live> {
    let container = Container::named(name).on(node).running_for_ever();
    let container = container.restart_policy(RestartPolicy::Always);
    scenario.create(container).await
}

fn id(object: &Live, attempt: u32) -> String {
    format!("hc-{}-{attempt}", object.uid())
}

/// While the disk of a folder is full, nothing is made that has no place there, and it is said; afterwards all is well.
async fn nothing_is_made_without_a_place_for(name: &str, folder: &str) -> Result {
    let scenario = Scenario::named(name).await?;
    let node = scenario.node().await?;
    let web = always(&scenario, &node, "web").await?;
    web.becomes(Phase::Running).await?;
    let disk = SmallDisk::over(&node.agent().data_dir().join(folder), KIB)?;
    disk.fills_up()?;
    let late = always(&scenario, &node, "late").await?;
    late.says(READY, "False", Reason::NodeStorageFailed).await?;
    let why = node.machine().says_no_room();
    late.has_event_saying(Reason::NodeStorageFailed, why)
        .await?;
    assert_eq!(node.containers()?, [id(&web, 1)]);
    node.relists(3).await?;
    // One that ends meanwhile is not forgotten. Its own bundle may make room for its next one.
    node.kill_shim(&id(&web, 1))?;
    if folder == "records" {
        web.says(READY, "False", Reason::NodeStorageFailed).await?;
        assert_eq!(node.machine().running()?, [""; 0]);
    }
    node.agent().running()?;
    disk.has_room()?;
    late.becomes_ready().await?;
    web.becomes_ready().await?;
    assert_eq!(node.machine().overlaps()?, None);
    one_bundle_each(&node, 2).await?;
    leaves_nothing_and_says_so(&scenario, &node).await
}

/// What was begun and came to nothing has left no folder.
async fn one_bundle_each(node: &Node, containers: usize) -> Result {
    eventually(PATIENCE, "there is one bundle a container", || async {
        let left = node.leftovers()?;
        let bundles = left.iter().filter(|path| path.contains("/bundles/"));
        let same = bundles.count() == containers && node.containers()?.len() == containers;
        Ok(if same { Ok(()) } else { Err(left) })
    })
    .await
}

#[tokio::test]
async fn without_room_for_a_record_nothing_is_made_and_all_goes_on_when_there_is() -> Result {
    nothing_is_made_without_a_place_for("full-records", "records").await
}

#[tokio::test]
async fn without_room_for_a_bundle_nothing_is_made_and_all_goes_on_when_there_is() -> Result {
    nothing_is_made_without_a_place_for("full-bundles", "bundles").await
}

#[tokio::test]
async fn an_object_that_is_deleted_while_there_is_no_room_goes_with_all_it_had() -> Result {
    let scenario = Scenario::named("full-delete").await?;
    let node = scenario.node().await?;
    let disk = SmallDisk::over(&node.agent().data_dir().join("bundles"), KIB)?;
    disk.fills_up()?;
    let late = always(&scenario, &node, "late").await?;
    late.says(READY, "False", Reason::NodeStorageFailed).await?;
    late.delete().await?;
    late.is_gone().await?;
    disk.has_room()?;
    leaves_nothing_and_says_so(&scenario, &node).await
}

/// The agent lists so many times more, by its own count: its log may be what is full.
async fn lists_again(node: &Node, times: u32) -> Result {
    let lists = || async {
        let series = r#"hcs_operator_runhcs_calls_total{verb="list",result="ok"}"#;
        let count = node.agent().metric(series).await?;
        Ok::<_, hcs_tests::Error>(count.unwrap_or_default())
    };
    let enough = lists().await? + f64::from(times);
    eventually(PATIENCE, "the agent lists on", || async {
        let now = lists().await?;
        Ok(if now >= enough { Ok(()) } else { Err(now) })
    })
    .await
}

#[tokio::test]
async fn a_full_log_does_not_stop_the_agent() -> Result {
    let scenario = Scenario::named("full-log").await?;
    // Each list is a line.
    let level = ("HCS_OPERATOR_LOG_LEVEL", "info,hcs_operator=debug");
    let options = NodeOptions {
        envs: vec![(level.0.to_owned(), level.1.to_owned())],
        ..NodeOptions::default()
    };
    let mut node = scenario.node_with(options).await?;
    let web = always(&scenario, &node, "web").await?;
    web.becomes(Phase::Running).await?;
    let disk = SmallDisk::over(&node.dir().join("log"), KIB)?;
    let log = disk.folder().join("agent.log");
    node.agent_mut().configure(|mut spawn| {
        spawn.log.clone_from(&log);
        spawn
    });
    node.agent().crash_and_restart().await?;
    disk.fills_up_to_the_end_of(&log)?;
    let before = node.agent().log();
    let bad = Container::named("bad").on(&node).running_for_ever();
    let bad = bad.from_bundle(node.dir().join("bundles/none"));
    let bad = scenario.create(bad).await?;
    bad.says(READY, "False", Reason::BundleMissing).await?;
    node.kill_shim(&id(&web, 1))?;
    web.runs_again().await?;
    lists_again(&node, 5).await?;
    node.agent().running()?;
    assert!(before.contains("called runhcs"), "lists are lines");
    assert_eq!(node.agent().log(), before);
    disk.has_room()?;
    node.agent().crash_and_restart().await?;
    assert!(node.agent().log().len() > before.len());
    leaves_nothing_and_says_so(&scenario, &node).await
}

/// A node whose data folder has a disk of its own.
async fn with_own_disk(scenario: &Scenario) -> Result<(Node, SmallDisk)> {
    let args = ["--min-free-percent", "10", "--min-free-gb", "0"];
    let options = NodeOptions {
        args: args.map(str::to_owned).into(),
        ..NodeOptions::default()
    };
    let node = scenario.node_with(options).await?;
    node.agent().stop();
    let disk = SmallDisk::over(node.agent().data_dir(), 4 * KIB)?;
    node.agent().start_again()?;
    node.agent().ready().await?;
    Ok((node, disk))
}

#[tokio::test]
async fn a_full_disk_is_said_of_the_node_and_taken_back() -> Result {
    let scenario = Scenario::named("full-data").await?;
    let (node, disk) = with_own_disk(&scenario).await?;
    let web = always(&scenario, &node, "web").await?;
    web.becomes(Phase::Running).await?;
    disk.fills_up()?;
    page_comes_to(&scenario, node.name(), "is out of room", |status| {
        condition(status, DISK_PRESSURE) == "True DiskSpaceLow"
    })
    .await?;
    let late = always(&scenario, &node, "late").await?;
    late.says(READY, "False", Reason::NodeStorageFailed).await?;
    assert_eq!(node.containers()?, [id(&web, 1)]);
    // An agent that starts now has all it needs.
    node.agent().crash_and_restart().await?;
    assert_eq!(node.containers()?, [id(&web, 1)]);
    disk.has_room()?;
    page_comes_to(&scenario, node.name(), "has room", |status| {
        condition(status, DISK_PRESSURE) == "False DiskSpaceEnough"
    })
    .await?;
    late.becomes_ready().await?;
    leaves_nothing_and_says_so(&scenario, &node).await
}

#[tokio::test]
async fn a_data_folder_that_becomes_read_only_ends_no_container() -> Result {
    let scenario = Scenario::named("read-only").await?;
    let node = scenario.node().await?;
    let web = always(&scenario, &node, "web").await?;
    web.becomes(Phase::Running).await?;
    let disk = SmallDisk::over(&node.agent().data_dir().join("records"), KIB)?;
    disk.turns_read_only().await?;
    let late = always(&scenario, &node, "late").await?;
    late.says(READY, "False", Reason::NodeStorageFailed).await?;
    let why = node.machine().says_read_only();
    late.has_event_saying(Reason::NodeStorageFailed, why)
        .await?;
    web.delete().await?;
    node.relists(3).await?;
    assert_eq!(
        node.containers()?,
        [id(&web, 1)],
        "that it goes cannot be written down"
    );
    disk.turns_writable()?;
    late.becomes_ready().await?;
    web.is_gone().await?;
    leaves_nothing_and_says_so(&scenario, &node).await
}

#[tokio::test]
async fn an_agent_does_not_start_on_a_data_folder_that_is_read_only_and_says_why() -> Result {
    let scenario = Scenario::named("read-only-start").await?;
    let (node, disk) = with_own_disk(&scenario).await?;
    let web = always(&scenario, &node, "web").await?;
    web.becomes(Phase::Running).await?;
    node.agent().stop();
    // What the harness itself removes before a start.
    std::fs::remove_file(node.agent().data_dir().join("http-address")).unwrap();
    disk.turns_read_only().await?;
    node.agent().start_again()?;
    eventually(PATIENCE, "the agent has given up", || async {
        Ok(if node.agent().running().is_err() {
            Ok(())
        } else {
            Err(())
        })
    })
    .await?;
    let log = node.agent().log_tail(5);
    assert!(
        log.contains("agent.lock") && log.contains(node.machine().says_read_only()),
        "{log}"
    );
    assert_eq!(node.containers()?, [id(&web, 1)]);
    disk.turns_writable()?;
    node.agent().start_again()?;
    node.agent().ready().await?;
    web.becomes_ready().await?;
    assert_eq!(node.containers()?, [id(&web, 1)]);
    leaves_nothing_and_says_so(&scenario, &node).await
}
