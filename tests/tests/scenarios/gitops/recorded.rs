//! What an agent leaves behind, kept as files: objects as the API server had them, and the agent's record and bundle of
//! each. `tests/recorded/<version>/` has those of that version, for later ones to take over.

use std::fs;
use std::path::{Path, PathBuf};

use hcs_crds::{DesiredState, Phase, Reason, RestartPolicy, Scratch, conditions};
use hcs_tests::binaries::workspace;
use hcs_tests::{Container, Live, Node, NodeOptions, Result, Scenario};
use k8s_openapi::jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::situations::raw;

/// Where containers are made to lie while they are recorded: their specs must not change when they are played, or they
/// would be others.
pub const PLACE: &str = "/tmp/hcs-recorded";

/// Stand for what is another one each time.
pub const PLACEHOLDERS: [&str; 4] = ["@NODE_DIR@", "@NODE@", "@NAMESPACE@", "@UID@"];

/// One object and what was left of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Case {
    /// When it was recorded: what is kept of times is as far from now when it is played.
    pub recorded_at: Timestamp,
    /// The object.
    pub object: Value,
    /// The agent's record.
    pub record: Value,
    /// `config.json` of the bundle, null without a container.
    pub config: Value,
    /// `created`, `running`, `paused`, `stopped`, or null without a container.
    pub container: Option<String>,
}

/// The folder of a version's.
pub fn folder(version: &str) -> PathBuf {
    workspace().join("tests/recorded").join(version)
}

fn container(node: &Node, name: &str, flags: &[&str]) -> Container {
    let container = Container::named(name).on(node);
    let mut container = container.working(flags.iter().copied());
    let config = Value::Object(container.config()).to_string();
    let config = config
        .replace(&node.path(node.workload()), &format!("{PLACE}/workload"))
        .replace(&node.dir().display().to_string(), PLACE);
    let config: Value = serde_json::from_str(&config).unwrap();
    for layer in config["windows"]["layerFolders"].as_array().unwrap() {
        fs::create_dir_all(layer.as_str().unwrap()).unwrap();
    }
    container.from_config(config.as_object().unwrap().clone())
}

/// Objects in each phase of a container's life, with the condition that shows it.
fn cases(node: &Node) -> Vec<(Container, &'static str, Reason)> {
    let forever = |name| container(node, name, &[]);
    let ending = |name, code| container(node, name, &[code, "--after=0"]);
    let again = |container: Container, most| {
        container.with(|spec| {
            spec.restart_policy = RestartPolicy::Always;
            spec.restart.max_restarts = most;
            spec.restart.initial_backoff_seconds = 600;
            spec.restart.max_backoff_seconds = 600;
        })
    };
    let scratch = Scratch {
        size_gb: 20,
        ..Scratch::default()
    };
    let linux = || {
        let linux = forever("running-linux").linux_with(scratch.clone());
        // A spec that was made before its isolation was asked for lacks the section.
        linux.with(|spec| {
            if let Some(config) = &mut spec.bundle.config {
                config.update(|config| config["windows"]["hyperv"] = json!({}));
            }
        })
    };
    let missing = Container::named("bundle-missing").on(node);
    let missing = missing.from_bundle(Path::new(PLACE).join("bundles/none"));
    vec![
        (
            forever("created").desired(DesiredState::Created),
            "True",
            Reason::Created,
        ),
        (forever("running"), "True", Reason::Running),
        (forever("running-on").tty(80, 25), "True", Reason::Running),
        (linux(), "True", Reason::Running),
        (
            forever("paused").hyperv().desired(DesiredState::Paused),
            "True",
            Reason::Paused,
        ),
        (forever("stopped"), "True", Reason::Stopped),
        (
            forever("never-started").desired(DesiredState::Stopped),
            "True",
            Reason::Stopped,
        ),
        (
            ending("completed", "--exit-code=0"),
            "True",
            Reason::Completed,
        ),
        (
            ending("failed", "--exit-code=3"),
            "False",
            Reason::ContainerFailed,
        ),
        (
            again(ending("crash-looping", "--exit-code=3"), None),
            "False",
            Reason::WaitingForBackoff,
        ),
        (
            again(ending("given-up", "--exit-code=3"), Some(0)),
            "False",
            Reason::RestartLimitReached,
        ),
        (again(missing, None), "False", Reason::BundleMissing),
        (forever("observed").observed(), "False", Reason::Observing),
    ]
}

async fn case(scenario: &Scenario, node: &Node, object: &Live) -> Result<Case> {
    let plain = |text: &str| {
        let mut text = text.to_owned();
        let with = [
            node.dir().display().to_string(),
            node.name().to_owned(),
            scenario.namespace().to_owned(),
            object.uid().to_owned(),
        ];
        for (what, placeholder) in with.iter().zip(PLACEHOLDERS) {
            text = text.replace(what, placeholder);
        }
        serde_json::from_str(&text).unwrap()
    };
    let data = node.agent().data_dir();
    let record = data.join("records").join(format!("{}.json", object.uid()));
    let containers = node.sim().containers().unwrap();
    let prefix = format!("hc-{}-", object.uid());
    let found = containers.iter().find(|c| c.id.starts_with(&prefix));
    let config = found.map(|found| {
        let bundle = data.join("bundles").join(&found.id);
        fs::read_to_string(bundle.join("config.json")).unwrap()
    });
    let mut whole = raw(scenario, object).await?;
    let metadata = whole["metadata"].as_object_mut().unwrap();
    metadata.retain(|key, _| ["name", "namespace", "generation", "finalizers"].contains(&&**key));
    Ok(Case {
        recorded_at: Timestamp::now(),
        object: plain(&whole.to_string()),
        record: plain(&fs::read_to_string(record).unwrap()),
        config: config.map_or(Value::Null, |config| plain(&config)),
        container: found.map(|found| found.status.clone()),
    })
}

#[tokio::test]
#[ignore = "records what this version leaves behind: once for each version, before it is released"]
async fn what_this_version_leaves_behind_is_recorded() -> Result {
    let scenario = Scenario::named("recorded").await?;
    let options = NodeOptions {
        args: vec![
            "--layer-roots".into(),
            PLACE.into(),
            "--bundle-roots".into(),
            PLACE.into(),
        ],
        ..NodeOptions::default()
    };
    let node = scenario.node_with(options).await?;
    fs::create_dir_all(Path::new(PLACE).join("bundles")).unwrap();
    fs::copy(node.workload(), Path::new(PLACE).join("workload")).unwrap();
    let mut objects = Vec::new();
    for (container, ready, reason) in cases(&node) {
        let object = scenario.create(container).await?;
        if object.name() == "stopped" {
            object.becomes(Phase::Running).await?;
            object.set_desired(DesiredState::Stopped).await?;
        }
        object.says(conditions::READY, ready, reason).await?;
        objects.push(object);
    }
    scenario.is_at_rest_on(&node).await?;
    node.agent().stop();
    let folder = folder(&format!("v{}", env!("CARGO_PKG_VERSION")));
    fs::create_dir_all(&folder).unwrap();
    for object in &objects {
        let case = case(&scenario, &node, object).await?;
        let text = serde_json::to_string_pretty(&case).unwrap();
        fs::write(folder.join(format!("{}.json", object.name())), text + "\n").unwrap();
    }
    Ok(())
}
