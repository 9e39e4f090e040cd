//! Configurations that reach beyond their own container: inline they are refused at `kubectl apply`, in a bundle on the
//! node by its agent.

use std::fs;
use std::time::Duration;

use hcs_crds::{Phase, Reason, conditions};
use hcs_tests::live::condition_of;
use hcs_tests::{Container, Result, Scenario};
use serde_json::{Value, json};

/// A name, the section that is added, and what is said of it.
fn cases() -> [(&'static str, &'static str, Value, &'static str); 3] {
    [
        (
            "sandbox",
            "annotations",
            json!({"io.kubernetes.cri.sandbox-id": "other"}),
            "annotation",
        ),
        (
            "another",
            "annotations",
            json!({"hcs-operator.dev/uid": "0b8f6c1e-6d5e-4f7a-9c51-000000000001"}),
            "annotation",
        ),
        (
            "hooks",
            "hooks",
            json!({"prestart": [{"path": "/bin/sh"}]}),
            "hooks are not allowed",
        ),
    ]
}

#[tokio::test]
async fn a_bundle_that_reaches_beyond_its_container_is_refused_until_it_is_corrected() -> Result {
    let scenario = Scenario::named("configs").await?;
    let node = scenario.node().await?;
    let mut objects = Vec::new();
    for (name, section, value, says) in cases() {
        let bundle = node.dir().join("bundles").join(name);
        let container = Container::named(name).on(&node).running_for_ever();
        let container = container.in_bundle(&bundle)?;
        let file = bundle.join("config.json");
        let sound = fs::read(&file).unwrap();
        let mut config: Value = serde_json::from_slice(&sound).unwrap();
        config[section] = value;
        fs::write(&file, config.to_string()).unwrap();
        let object = scenario.create(container).await?;
        let said = object
            .says(conditions::READY, "False", Reason::BundleInvalid)
            .await?;
        let message = &condition_of(&said, conditions::READY).unwrap().message;
        assert!(message.contains(says), "{name}: {message}");
        object.has_event(Reason::BundleInvalid).await?;
        objects.push((object, file, sound));
    }
    scenario
        .is_calm_on(&node, objects.len(), Duration::from_secs(1))
        .await?;
    assert!(node.calls()?.iter().all(|verb| verb == "list"));
    for (object, file, sound) in objects {
        fs::write(&file, sound).unwrap();
        object.becomes(Phase::Running).await?;
    }
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn an_inline_config_that_reaches_beyond_its_container_is_refused_at_once() -> Result {
    let scenario = Scenario::named("inline-configs").await?;
    let node = scenario.node().await?;
    for (name, section, value, _) in cases() {
        let mut container = Container::named(name).on(&node).running_for_ever();
        let mut config = container.config();
        config.insert(section.to_owned(), value);
        let object = container.from_config(config).build(scenario.namespace())?;
        let refusal = scenario.create_object(&object).await;
        assert!(
            matches!(&refusal, Err(kube::Error::Api(status)) if status.code == 422),
            "{name} is not refused"
        );
    }
    Ok(())
}
