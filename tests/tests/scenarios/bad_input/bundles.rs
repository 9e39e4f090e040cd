//! A bundle folder that is not what it should be.

use std::fs;
use std::path::Path;
use std::time::Duration;

use hcs_crds::{Phase, Reason, conditions};
use hcs_tests::{Container, Live, Node, Result, Scenario};

/// What is wrong with the bundle, and how it is told.
struct Case {
    name: &'static str,
    spoil: fn(&Path),
    reason: Reason,
    says: &'static str,
}

const CASES: [Case; 8] = [
    Case {
        name: "no-json",
        spoil: |bundle| fs::write(bundle.join("config.json"), "{\"process\": {").unwrap(),
        reason: Reason::BundleInvalid,
        says: "is not JSON",
    },
    Case {
        name: "binary",
        spoil: |bundle| fs::write(bundle.join("config.json"), [0xff, 0xfe, 0]).unwrap(),
        reason: Reason::BundleInvalid,
        says: "is not JSON",
    },
    Case {
        name: "no-object",
        spoil: |bundle| fs::write(bundle.join("config.json"), "null").unwrap(),
        reason: Reason::BundleInvalid,
        says: "not an OCI runtime spec",
    },
    Case {
        name: "no-process",
        spoil: |bundle| {
            fs::write(bundle.join("config.json"), "{\"ociVersion\":\"1.0.2\"}").unwrap();
        },
        reason: Reason::BundleInvalid,
        says: "process is missing",
    },
    Case {
        name: "no-config",
        spoil: |bundle| fs::remove_file(bundle.join("config.json")).unwrap(),
        reason: Reason::BundleMissing,
        says: "has no config.json",
    },
    Case {
        name: "config-is-a-folder",
        spoil: |bundle| {
            fs::remove_file(bundle.join("config.json")).unwrap();
            fs::create_dir(bundle.join("config.json")).unwrap();
        },
        reason: Reason::BundleMissing,
        says: "has no config.json",
    },
    Case {
        name: "no-folder",
        spoil: |bundle| fs::remove_dir_all(bundle).unwrap(),
        reason: Reason::BundleMissing,
        says: "does not exist",
    },
    Case {
        name: "folder-is-a-file",
        spoil: |bundle| {
            fs::remove_dir_all(bundle).unwrap();
            fs::write(bundle, "no folder").unwrap();
        },
        reason: Reason::BundleMissing,
        says: "has no config.json",
    },
];

async fn create_spoilt(scenario: &Scenario, node: &Node, case: &Case) -> Result<Live> {
    let bundle = node.dir().join("bundles").join(case.name);
    let container = Container::named(case.name)
        .on(node)
        .running_for_ever()
        .with(|spec| spec.restart.max_backoff_seconds = 1)
        .in_bundle(&bundle)?;
    fs::copy(bundle.join("config.json"), node.dir().join(case.name)).unwrap();
    (case.spoil)(&bundle);
    scenario.create(container).await
}

fn put_right(node: &Node, case: &Case) {
    let bundle = node.dir().join("bundles").join(case.name);
    if bundle.is_file() {
        fs::remove_file(&bundle).unwrap();
    }
    fs::create_dir_all(&bundle).unwrap();
    let config = bundle.join("config.json");
    if config.is_dir() {
        fs::remove_dir(&config).unwrap();
    }
    fs::copy(node.dir().join(case.name), config).unwrap();
}

#[tokio::test]
async fn a_bundle_that_cannot_be_used_says_why_and_runs_once_it_is_put_right() -> Result {
    let scenario = Scenario::named("bundles").await?;
    let node = scenario.node().await?;
    let mut objects = Vec::new();
    for case in &CASES {
        objects.push(create_spoilt(&scenario, &node, case).await?);
    }
    for (case, object) in CASES.iter().zip(&objects) {
        let said = object.says(conditions::READY, "False", case.reason).await?;
        let status = said.status.unwrap();
        let ready = status
            .conditions
            .iter()
            .find(|c| c.type_ == conditions::READY);
        let message = &ready.unwrap().message;
        assert!(message.contains(case.says), "{}: {message}", case.name);
        assert!(status.backoff.is_some(), "{}", case.name);
        assert_eq!(status.phase, Phase::Pending, "{}", case.name);
        object.has_event(case.reason).await?;
    }
    scenario
        .is_calm_on(&node, CASES.len(), Duration::from_secs(1))
        .await?;
    assert!(node.calls()?.iter().all(|verb| verb == "list"));
    for (case, object) in CASES.iter().zip(&objects) {
        put_right(&node, case);
        object.becomes(Phase::Running).await?;
        object.becomes_ready().await?;
    }
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn an_object_whose_bundle_stays_bad_can_be_deleted() -> Result {
    let scenario = Scenario::named("bundle-deleted").await?;
    let node = scenario.node().await?;
    let object = create_spoilt(&scenario, &node, &CASES[0]).await?;
    object
        .says(conditions::READY, "False", Reason::BundleInvalid)
        .await?;
    object.delete().await?;
    object.is_gone().await?;
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn a_container_runs_on_when_its_bundle_is_spoilt_and_says_so_when_it_is_made_anew() -> Result
{
    let scenario = Scenario::named("bundle-spoilt").await?;
    let node = scenario.node().await?;
    let bundle = node.dir().join("bundles/web");
    let container = Container::named("web")
        .on(&node)
        .running_for_ever()
        .in_bundle(&bundle)?;
    let web = scenario.create(container).await?;
    web.becomes(Phase::Running).await?;
    let config = bundle.join("config.json");
    let sound = fs::read(&config).unwrap();
    fs::write(&config, "{").unwrap();
    scenario.is_at_rest_on(&node).await?;
    web.patch_spec(serde_json::json!({"restartRequest": "1"}))
        .await?;
    web.says(conditions::READY, "False", Reason::BundleInvalid)
        .await?;
    fs::write(&config, sound).unwrap();
    let again = web.becomes(Phase::Running).await?;
    assert_eq!(again.status.unwrap().attempt, Some(2));
    scenario.leaves_nothing_on(&node).await
}
