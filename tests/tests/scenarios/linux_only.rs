//! Scenarios with means that the emulation of Windows lacks: symbolic links and file modes. Skipped elsewhere, by this
//! module's name.
#![cfg(test)]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use hcs_crds::{Phase, Reason, conditions};
use hcs_tests::live::condition_of;
use hcs_tests::{Container, Result, Scenario};
use serde_json::Value;

#[tokio::test]
async fn a_link_on_the_way_to_a_bundle_or_a_layer_is_refused() -> Result {
    let scenario = Scenario::named("links").await?;
    let node = scenario.node().await?;
    let dir = node.dir();
    let outside = dir.join("outside");
    let named = |name: &str| Container::named(name).on(&node).running_for_ever();
    named("bundle").in_bundle(&outside.join("bundle"))?;
    symlink(outside.join("bundle"), dir.join("bundles/linked")).unwrap();
    symlink(&outside, dir.join("bundles/folder")).unwrap();
    named("config").in_bundle(&dir.join("bundles/config"))?;
    let config = dir.join("bundles/config/config.json");
    fs::rename(&config, outside.join("config.json")).unwrap();
    symlink(outside.join("config.json"), &config).unwrap();
    symlink(&outside, dir.join("layers/linked")).unwrap();
    let mut layer = named("layer");
    let mut linked = layer.config();
    linked["windows"]["layerFolders"][1] = Value::from(node.path(dir.join("layers/linked")));
    fs::create_dir_all(dir.join("layers/base")).unwrap();
    let cases = [
        named("bundle").from_bundle(dir.join("bundles/linked")),
        named("folder").from_bundle(dir.join("bundles/folder/bundle")),
        named("config").from_bundle(dir.join("bundles/config")),
        layer.from_config(linked),
    ];
    for container in cases {
        let object = scenario.create(container).await?;
        let said = object
            .says(conditions::READY, "False", Reason::PathNotAllowed)
            .await?;
        let message = &condition_of(&said, conditions::READY).unwrap().message;
        assert!(message.contains("link"), "{}: {message}", object.name());
        object.has_event(Reason::PathNotAllowed).await?;
    }
    assert!(node.calls()?.iter().all(|verb| verb == "list"));
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn a_data_folder_that_others_can_write_to_is_refused() -> Result {
    let scenario = Scenario::named("open-data").await?;
    let node = scenario.node().await?;
    let web = Container::named("web").on(&node).running_for_ever();
    let web = scenario.create(web).await?;
    web.becomes(Phase::Running).await?;
    let data = node.agent().data_dir();
    let mode = |mode| fs::set_permissions(data, fs::Permissions::from_mode(mode)).unwrap();
    node.agent().stop();
    for open in [0o777, 0o770, 0o702] {
        mode(open);
        node.agent().start_again()?;
        let refused = node.agent().ready().await.unwrap_err();
        let said = format!("{refused:?}");
        assert!(said.contains("others can write to"), "{open:o}: {said}");
        node.agent().stop();
    }
    mode(0o700);
    node.agent().start_again()?;
    node.agent().ready().await?;
    scenario.leaves_nothing_on(&node).await
}
