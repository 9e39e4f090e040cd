//! What the node's settings deny, wherever it is said: in the spec, in an inline configuration, in a bundle on the node.

use std::fs;

use hcs_crds::{Phase, Reason, conditions};
use hcs_tests::live::condition_of;
use hcs_tests::{Container, Node, NodeOptions, Result, Scenario};
use serde_json::{Value, json};

/// The harness' configuration after this change of it, inline.
fn inline(name: &str, node: &Node, change: impl FnOnce(&mut Value)) -> Container {
    let mut container = Container::named(name).on(node).running_for_ever();
    let mut config = Value::Object(container.config());
    change(&mut config);
    container.from_config(config.as_object().unwrap().clone())
}

/// The same in a bundle on the node, of which the API server sees the path alone.
fn bundled(name: &str, node: &Node, change: impl FnOnce(&mut Value)) -> Container {
    let mut container = Container::named(name).on(node).running_for_ever();
    let mut config = Value::Object(container.config());
    change(&mut config);
    let folder = node.dir().join("bundles").join(name);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    container.from_bundle(folder)
}

fn limited_to(megabytes: u64) -> impl Fn(&mut Value) {
    move |config| {
        config["windows"]["resources"] = json!({"memory": {"limit": megabytes * 1024 * 1024}});
    }
}

#[tokio::test]
async fn what_the_nodes_settings_deny_is_not_run_and_says_the_field_the_rule_and_the_remedy()
-> Result {
    let scenario = Scenario::named("host-policy").await?;
    let settings = ["--allowed-runtimes", "Process", "--max-memory-mb", "512"];
    let options = NodeOptions {
        args: settings.map(str::to_owned).to_vec(),
        ..NodeOptions::default()
    };
    let node = scenario.node_with(options).await?;
    let outside = node.path(node.dir().join("elsewhere"));
    let cases = [
        (
            Container::named("vm").on(&node).running_for_ever().hyperv(),
            Reason::HostPolicyDenied,
            ["spec.runtime: HyperV", "--allowed-runtimes"],
        ),
        (
            inline("unlimited", &node, |_| ()),
            Reason::HostPolicyDenied,
            [
                "windows.resources.memory.limit is not set",
                "at most 512 MB (--max-memory-mb)",
            ],
        ),
        (
            bundled("large", &node, limited_to(513)),
            Reason::HostPolicyDenied,
            ["windows.resources.memory.limit: 513 MB", "ask for less"],
        ),
        (
            bundled("device", &node, |config| {
                limited_to(256)(config);
                config["windows"]["devices"] = json!([{"id": "x", "idType": "class"}]);
            }),
            Reason::HostPolicyDenied,
            ["windows.devices", "--host-access"],
        ),
        (
            bundled("spelling", &node, |config| {
                limited_to(256)(config);
                config["Mounts"] = json!([{"source": outside, "destination": "/host"}]);
            }),
            Reason::BundleInvalid,
            ["\"Mounts\"", "write that"],
        ),
        (
            bundled("root", &node, |config| {
                limited_to(256)(config);
                config["root"] = json!({"path": outside});
            }),
            Reason::PathNotAllowed,
            ["root.path", "lies below no allowed root"],
        ),
    ];
    for (container, reason, words) in cases {
        let object = scenario.create(container).await?;
        let said = object.says(conditions::READY, "False", reason).await?;
        let message = &condition_of(&said, conditions::READY).unwrap().message;
        for word in words {
            assert!(message.contains(word), "{word:?} is not in {message}");
        }
        let stalled = condition_of(&said, conditions::STALLED);
        assert!(stalled.is_some(), "{} waits for a person", object.name());
    }
    assert!(node.calls()?.iter().all(|verb| verb == "list"));
    let sound = scenario
        .create(inline("sound", &node, limited_to(256)))
        .await?;
    sound.becomes(Phase::Running).await?;
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn stricter_settings_leave_what_runs_alone_and_hold_when_it_is_made_anew() -> Result {
    let scenario = Scenario::named("stricter").await?;
    let mut node = scenario.node().await?;
    let web = scenario.create(inline("web", &node, |_| ())).await?;
    let before = web.becomes(Phase::Running).await?.status.unwrap();
    node.agent_mut()
        .configure(|spawn| spawn.env("HCS_OPERATOR_MAX_MEMORY_MB", "512"));
    node.agent().crash_and_restart().await?;
    node.relists(2).await?;
    let after = web.becomes_ready().await?.status.unwrap();
    assert_eq!(
        (after.container_id, after.attempt),
        (before.container_id, before.attempt)
    );
    web.patch(json!({"spec": {"restartRequest": "now"}}))
        .await?;
    let said = web
        .says(conditions::READY, "False", Reason::HostPolicyDenied)
        .await?;
    assert!(condition_of(&said, conditions::STALLED).is_some());
    scenario.leaves_nothing_on(&node).await
}
