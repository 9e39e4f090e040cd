//! Paths of more than 260 characters, which is where Windows programs of old end.

use std::path::{Path, PathBuf};

use hcs_crds::{DesiredState, Phase};
use hcs_tests::{Container, Ground, Node, NodeOptions, Result, Scenario};

/// What the calls of old take.
const OF_OLD: usize = 260;

/// What a data folder may have on Windows, so that runhcs can go into the bundles in it.
const DATA_FOLDER: usize = 202;
/// `\bundles\hc-<uid>-1\config.json`.
const OF_FILE: usize = 62;

/// A folder whose path alone is longer than that.
fn long() -> PathBuf {
    let names = ["a", "b", "c", "d"].map(|name| name.repeat(80));
    names.iter().collect()
}

/// A container of this node runs and ends, and leaves nothing.
async fn works(scenario: &Scenario, node: &Node, container: Container) -> Result {
    let web = scenario.create(container).await?;
    web.becomes(Phase::Running).await?;
    web.set_desired(DesiredState::Stopped).await?;
    web.becomes(Phase::Stopped).await?;
    scenario.leaves_nothing_on(node).await
}

#[tokio::test]
async fn a_bundle_with_a_long_path_runs() -> Result {
    let scenario = Scenario::named("long-bundle").await?;
    let node = scenario.node().await?;
    let web = Container::named("web").on(&node).running_for_ever();
    let web = web.in_bundle(&node.dir().join("bundles").join(long()))?;
    works(&scenario, &node, web).await
}

#[tokio::test]
async fn a_runhcs_with_a_long_path_is_called() -> Result {
    let scenario = Scenario::named("long-runhcs").await?;
    let options = NodeOptions {
        runhcs_folder: long(),
        ..NodeOptions::default()
    };
    let node = scenario.node_with(options).await?;
    let web = Container::named("web").on(&node).running_for_ever();
    works(&scenario, &node, web).await
}

#[tokio::test]
async fn a_data_folder_whose_files_have_long_paths_is_used() -> Result {
    let scenario = Scenario::named("long-data").await?;
    let nodes = scenario.control_plane().dir().join("nodes");
    // The node is called like its namespace, with this process and a number of up to three digits.
    let node = format!("{}-{}-999", scenario.namespace(), std::process::id());
    let before = node.len() + Ground::of_this_run()?.path(&nodes).len() + "//data/".len();
    let room = DATA_FOLDER.saturating_sub(before);
    let options = NodeOptions {
        data_folder: Path::new("data").join("d".repeat(room)),
        ..NodeOptions::default()
    };
    let node = scenario.node_with(options).await?;
    let web = Container::named("web").on(&node).running_for_ever();
    works(&scenario, &node, web).await?;
    let data = node.path(node.agent().data_dir());
    assert!(data.len() <= DATA_FOLDER, "{data}");
    assert!(data.len() + OF_FILE >= OF_OLD, "{data}");
    Ok(())
}
