//! Paths outside the folders that the agent allows.

use std::fs;
use std::path::Path;
use std::time::Duration;

use hcs_crds::{Phase, Reason, conditions};
use hcs_tests::live::condition_of;
use hcs_tests::{Container, Node, Result, Scenario};
use serde_json::{Value, json};

/// A container with the harness' configuration after this change of it.
fn changed(name: &str, node: &Node, change: impl FnOnce(&mut Value)) -> Container {
    let mut container = Container::named(name).on(node).running_for_ever();
    let mut config = Value::Object(container.config());
    change(&mut config);
    container.from_config(config.as_object().unwrap().clone())
}

/// A bundle at a place that the agent must not use.
fn bundle_at(name: &str, node: &Node, path: &Path) -> Result<Container> {
    Container::named(name)
        .on(node)
        .running_for_ever()
        .in_bundle(path)
}

#[tokio::test]
async fn a_path_outside_the_allowed_roots_is_refused_with_the_setting_to_change() -> Result {
    let scenario = Scenario::named("roots").await?;
    let node = scenario.node().await?;
    let dir = node.dir().to_owned();
    let outside = node.path(dir.join("elsewhere"));
    fs::create_dir(dir.join("elsewhere")).unwrap();
    let base = node.path(dir.join("layers/base"));
    let cases = [
        (
            bundle_at("bundle", &node, &dir.join("elsewhere/bundle"))?,
            Reason::PathNotAllowed,
            "--bundle-roots",
        ),
        // The name of a root is the beginning of its own.
        (
            bundle_at("bundle-beside", &node, &dir.join("bundles2/bundle"))?,
            Reason::PathNotAllowed,
            "--bundle-roots",
        ),
        (
            changed("layer", &node, |config| {
                config["windows"]["layerFolders"] = json!([base, outside]);
            }),
            Reason::PathNotAllowed,
            "--layer-roots",
        ),
        (
            changed("mount", &node, |config| {
                config["mounts"] = json!([{"source": outside, "destination": "/mnt"}]);
            }),
            Reason::PathNotAllowed,
            "--mount-roots",
        ),
        (
            changed("missing-layer", &node, |config| {
                let missing = node.path(dir.join("layers/none"));
                config["windows"]["layerFolders"] = json!([base, missing]);
            }),
            Reason::LayerMissing,
            "does not exist",
        ),
    ];
    let count = cases.len();
    for (container, reason, says) in cases {
        let object = scenario.create(container).await?;
        let said = object.says(conditions::READY, "False", reason).await?;
        let message = &condition_of(&said, conditions::READY).unwrap().message;
        assert!(message.contains(says), "{}: {message}", object.name());
        object.has_event(reason).await?;
    }
    scenario
        .is_calm_on(&node, count, Duration::from_secs(1))
        .await?;
    assert!(node.calls()?.iter().all(|verb| verb == "list"));
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn a_layer_that_comes_later_lets_the_container_run() -> Result {
    let scenario = Scenario::named("late-layer").await?;
    let node = scenario.node().await?;
    let layer = node.dir().join("layers/late");
    let container = changed("web", &node, |config| {
        let base = node.path(node.dir().join("layers/base"));
        config["windows"]["layerFolders"] = json!([base, node.path(&layer)]);
    });
    fs::create_dir_all(node.dir().join("layers/base")).unwrap();
    let web = scenario.create(container).await?;
    web.says(conditions::READY, "False", Reason::LayerMissing)
        .await?;
    fs::create_dir(&layer).unwrap();
    web.becomes(Phase::Running).await?;
    scenario.leaves_nothing_on(&node).await
}
