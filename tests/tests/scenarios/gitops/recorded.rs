//! What an agent leaves behind, kept as files: objects as the API server had them, and the agent's record and bundle of
//! each. `tests/recorded/<version>/` has those of that version, for later ones to take over.

use std::fs;
use std::path::{Path, PathBuf};

use hcs_crds::{DesiredState, HcsNodeStatus, Phase, Reason, RestartPolicy, Scratch, conditions};
use hcs_tests::binaries::workspace;
use hcs_tests::{Container, Live, Node, NodeOptions, Result, Scenario};
use k8s_openapi::jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::situations::raw;
use crate::nodes::page_comes_to;

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

/// The page of a node, as the API server had it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PageCase {
    /// As of a [`Case`].
    pub recorded_at: Timestamp,
    /// Its status.
    pub status: Value,
}

/// The file of a version's page of a node.
pub fn page_file(version: &str) -> PathBuf {
    folder(version).join("node/page.json")
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
    let unwilling = |name| {
        let unwilling = container(node, name, &["--ignore-term"]);
        unwilling.with(|spec| spec.termination_grace_period_seconds = 3600)
    };
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
        (unwilling("stopping"), "False", Reason::Stopping),
        (unwilling("deleting"), "False", Reason::Stopping),
    ]
}

/// Of an object's metadata.
const KEPT: [&str; 5] = [
    "name",
    "namespace",
    "generation",
    "finalizers",
    "deletionTimestamp",
];

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
    metadata.retain(|key, _| KEPT.contains(&&**key));
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
        if ["stopped", "stopping"].contains(&object.name()) {
            object.becomes(Phase::Running).await?;
            object.set_desired(DesiredState::Stopped).await?;
        }
        if object.name() == "deleting" {
            object.becomes(Phase::Running).await?;
            object.delete().await?;
        }
        object.says(conditions::READY, ready, reason).await?;
        objects.push(object);
    }
    scenario.is_at_rest_on(&node).await?;
    let status = json!(page_of(&scenario, &node).await?).to_string();
    let status = status.replace(&node.dir().display().to_string(), PLACEHOLDERS[0]);
    let page = PageCase {
        recorded_at: Timestamp::now(),
        status: serde_json::from_str(&status).unwrap(),
    };
    node.agent().stop();
    let version = format!("v{}", env!("CARGO_PKG_VERSION"));
    keep(&page_file(&version), &page);
    for object in &objects {
        let case = case(&scenario, &node, object).await?;
        let file = format!("{}.json", object.name());
        keep(&folder(&version).join(file), &case);
        object
            .patch_spec(json!({"terminationGracePeriodSeconds": 0}))
            .await?;
    }
    node.agent().start_again()?;
    scenario.leaves_nothing_on(&node).await
}

/// The page as it is once all objects are counted.
async fn page_of(scenario: &Scenario, node: &Node) -> Result<HcsNodeStatus> {
    page_comes_to(scenario, node.name(), "counts all that runs", |status| {
        status.containers.running == 3
    })
    .await
}

/// Writes what is not kept yet. What is, was left by an earlier agent of the version, and stays as it was.
fn keep(file: &Path, what: &impl Serialize) {
    if !file.exists() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        let text = serde_json::to_string_pretty(what).unwrap();
        fs::write(file, text + "\n").unwrap();
    }
}
