//! Specs and configs that are refused, each with its words, and those that are not.

use hcs_crds::{Bundle, HcsContainerSpec, Runtime, Scratch, Tty};
use serde_json::{Value, json};

use super::config::host_paths;
use super::*;

type Change<T> = Box<dyn FnOnce(&mut T)>;

fn config() -> Value {
    json!({
        "ociVersion": "1.0.2",
        "process": {"user": {}, "args": ["cmd"], "cwd": "C:\\"},
        "windows": {"layerFolders": ["C:\\l\\base", "C:\\l\\scratch"]},
    })
}

fn with_config(config: &Value) -> HcsContainer {
    let spec = HcsContainerSpec {
        node_name: "n".into(),
        bundle: Bundle {
            config: config.as_object().cloned().map(Into::into),
            path: None,
        },
        ..HcsContainerSpec::default()
    };
    let mut object = HcsContainer::new("web", spec);
    object.metadata.uid = Some("u".into());
    object.metadata.namespace = Some("default".into());
    object
}

fn refusal(change: impl FnOnce(&mut HcsContainer)) -> String {
    let mut object = with_config(&config());
    change(&mut object);
    check(&object).map_or_else(|error| error.to_string(), |()| "accepted".into())
}

#[test]
fn a_sound_spec_is_accepted() {
    assert_eq!(refusal(|_| ()), "accepted");
    let linux = Runtime {
        os: Os::Linux,
        isolation: Isolation::HyperV,
    };
    assert_eq!(
        refusal(|o| {
            o.spec.runtime = linux;
            o.spec.scratch = Some(Scratch::default());
            o.spec.desired_state = DesiredState::Paused;
        }),
        "accepted"
    );
    assert_eq!(
        refusal(|o| o.spec.bundle = Bundle {
            config: None,
            path: Some("C:\\b".into())
        }),
        "accepted"
    );
}

#[test]
fn unsound_specs_are_refused_with_the_field_and_the_remedy() {
    let cases: Vec<(Change<HcsContainer>, &str)> = vec![
        (
            Box::new(|o| o.spec.bundle.path = Some("C:\\b".into())),
            "spec.bundle: set exactly one",
        ),
        (
            Box::new(|o| o.spec.bundle = Bundle::default()),
            "spec.bundle: set exactly one",
        ),
        (
            Box::new(|o| o.spec.runtime.os = Os::Linux),
            "spec.runtime: os Linux needs",
        ),
        (
            Box::new(|o| o.spec.desired_state = DesiredState::Paused),
            "spec.desiredState: Paused",
        ),
        (
            Box::new(|o| o.spec.scratch = Some(Scratch::default())),
            "spec.scratch: only",
        ),
        (
            Box::new(|o| {
                o.spec.tty = Some(Tty {
                    width: 0,
                    height: 1,
                });
            }),
            "spec.tty: width",
        ),
        (
            Box::new(|o| o.spec.stop_signal = Some(StopSignal::Hup)),
            "spec.stopSignal: HUP",
        ),
        (
            Box::new(|o| o.spec.restart.initial_backoff_seconds = 301),
            "spec.restart: initial",
        ),
        (Box::new(|o| o.metadata.uid = None), "metadata: uid"),
    ];
    for (change, words) in cases {
        let refusal = refusal(change);
        assert!(refusal.starts_with(words), "{refusal}");
    }
}

fn config_refusal(change: impl FnOnce(&mut Value)) -> String {
    let mut config = config();
    change(&mut config);
    config::check(&config, Runtime::default())
        .map_or_else(|error| error.to_string(), |()| "accepted".into())
}

#[test]
fn unsound_configs_are_refused() {
    let cases: Vec<(Change<Value>, &str)> = vec![
        (
            Box::new(|c| c["process"] = json!("x")),
            "not an OCI runtime spec",
        ),
        (
            Box::new(|c| c["process"] = Value::Null),
            "process is missing",
        ),
        (
            Box::new(|c| c["process"]["args"] = json!([])),
            "process.args is empty",
        ),
        (
            Box::new(|c| c["process"]["args"] = json!([""])),
            "process.args is empty",
        ),
        (
            Box::new(|c| c["windows"] = Value::Null),
            "windows.layerFolders needs",
        ),
        (
            Box::new(|c| c["windows"]["layerFolders"] = json!(["a"])),
            "windows.layerFolders needs",
        ),
        (
            Box::new(|c| c["windows"]["hyperv"] = json!({})),
            "windows.hyperv does not fit",
        ),
        (Box::new(|c| c["linux"] = json!({})), "linux does not fit"),
        (
            Box::new(|c| c["hooks"] = json!({"prestart": []})),
            "hooks are not allowed",
        ),
        (
            Box::new(|c| c["annotations"] = json!({"IO.kubernetes.cri.sandbox-id": "x"})),
            "annotation \"IO.kubernetes.cri.sandbox-id\"",
        ),
        (
            Box::new(|c| c["annotations"] = json!({"hcs-operator.dev/uid": "x"})),
            "annotation",
        ),
    ];
    for (change, words) in cases {
        let refusal = config_refusal(change);
        assert!(refusal.starts_with(words), "{refusal}");
    }
    assert_eq!(
        config_refusal(|c| c["annotations"] = json!({"app": "x"})),
        "accepted"
    );
    assert_eq!(
        config_refusal(|c| c["process"]["commandLine"] = json!("cmd /c x")),
        "accepted"
    );
}

#[test]
fn what_runhcs_would_read_otherwise_or_take_beyond_the_container_is_refused() {
    for (config, words) in [
        (
            json!({"annotations": {"io.microsoft.virtualmachine.kerneldrivers": "C:\\x"}}),
            "annotation",
        ),
        (
            json!({"annotations": {"microsoft.com/hostprocess-container": "true"}}),
            "annotation",
        ),
        (
            json!({"Mounts": [{"Source": "C:\\"}]}),
            "the key \"Mounts\" is not allowed: runhcs would read it as \"mounts\"",
        ),
        (json!({"Hooks": {}}), "the key \"Hooks\""),
    ] {
        let refusal = config_refusal(|whole| {
            for (key, value) in config.as_object().unwrap() {
                whole[key] = value.clone();
            }
        });
        assert!(refusal.starts_with(words), "{refusal}");
    }
    let sized = json!({"io.microsoft.container.memory.sizeinmb": "512"});
    let sized = config_refusal(|config| config["annotations"] = sized.clone());
    assert_eq!(sized, "accepted");
}

#[test]
fn every_host_path_of_a_config_is_found() {
    let mut config = config();
    config["mounts"] = json!([{"source": "C:\\m", "destination": "C:\\x"}, {"destination": "p"}]);
    config["windows"]["hyperv"] = json!({"utilityVMPath": "C:\\vm"});
    let paths = host_paths(&config);
    assert_eq!(paths.layers, ["C:\\l\\base", "C:\\l\\scratch"]);
    assert_eq!(paths.mounts, ["C:\\m", "C:\\vm"]);
}

#[test]
fn the_hash_changes_with_what_is_baked_in_and_with_nothing_else() {
    let base = with_config(&config());
    let hash_after = |change: &dyn Fn(&mut HcsContainer)| {
        let mut object = base.clone();
        change(&mut object);
        desired(&object).hash
    };
    let same = desired(&base).hash;
    assert_eq!(
        hash_after(&|o| o.spec.desired_state = DesiredState::Stopped),
        same
    );
    assert_eq!(
        hash_after(&|o| o.spec.tty = Some(Tty {
            width: 1,
            height: 1
        })),
        same
    );
    assert_eq!(
        hash_after(&|o| o.spec.restart_request = Some("x".into())),
        same
    );
    assert_ne!(hash_after(&|o| o.spec.bundle.config = None), same);
    assert_ne!(
        hash_after(&|o| o.spec.scratch = Some(Scratch::default())),
        same
    );
}

#[test]
fn an_object_being_deleted_has_the_goal_gone_whatever_its_spec_says() {
    let mut object = with_config(&config());
    object.metadata.deletion_timestamp = Some(hcs_crds::Time(jiff::Timestamp::UNIX_EPOCH));
    assert_eq!(desired(&object).goal, Goal::Gone);
}
