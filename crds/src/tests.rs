//! The types against their own schema: defaults, names, tolerance, and the generated files.

use std::collections::BTreeSet;
use std::path::Path;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use serde_json::{Value, json};

use crate::{
    Bundle, GROUP, HcsContainer, HcsContainerSpec, HcsContainerStatus, Initiator, Os, Phase,
    Reason, StopSignal, Termination, VERSION, conditions, crds, exit_code_name, generated_files,
    whole_seconds,
};

mod node;

fn crd() -> CustomResourceDefinition {
    crds().unwrap().remove(0)
}

fn schema_of(part: &str) -> JSONSchemaProps {
    let version = crd().spec.versions.remove(0);
    let root = version.schema.unwrap().open_api_v3_schema.unwrap();
    root.properties.unwrap().remove(part).unwrap()
}

/// Calls `visit` with the path of each field below a schema.
fn walk(path: &str, schema: &JSONSchemaProps, visit: &mut impl FnMut(&str, &JSONSchemaProps)) {
    for (name, field) in schema.properties.iter().flatten() {
        let path = format!("{path}.{name}");
        visit(&path, field);
        walk(&path, field, visit);
        if let Some(JSONSchemaPropsOrArray::Schema(items)) = &field.items {
            walk(&format!("{path}[]"), items, visit);
        }
    }
}

fn minimal() -> Value {
    json!({ "nodeName": "win-1", "bundle": { "path": "C:\\bundles\\web" } })
}

#[test]
fn a_minimal_spec_gets_every_default_of_the_schema() {
    let read: HcsContainerSpec = serde_json::from_value(minimal()).unwrap();
    let built = HcsContainerSpec {
        node_name: "win-1".to_owned(),
        bundle: Bundle {
            path: Some("C:\\bundles\\web".to_owned()),
            config: None,
        },
        ..HcsContainerSpec::default()
    };
    assert_eq!(read, built);
    assert_eq!(
        serde_json::to_value(&built).unwrap(),
        json!({
            "nodeName": "win-1",
            "desiredState": "Running",
            "runtime": { "os": "Windows", "isolation": "Process" },
            "bundle": { "path": "C:\\bundles\\web" },
            "restartPolicy": "Always",
            "restart": {
                "initialBackoffSeconds": 10,
                "maxBackoffSeconds": 300,
                "resetAfterSeconds": 600,
            },
            "updatePolicy": "Recreate",
            "terminationGracePeriodSeconds": 30,
            "managementPolicy": "Manage",
        })
    );
}

#[test]
fn each_default_of_the_schema_is_the_one_that_rust_writes() {
    let spec = json!({
        "nodeName": "n",
        "bundle": {},
        "scratch": {},
    });
    let spec: HcsContainerSpec = serde_json::from_value(spec).unwrap();
    let spec = serde_json::to_value(spec).unwrap();
    let mut defaults = 0;
    walk("", &schema_of("spec"), &mut |path, field| {
        if let Some(default) = &field.default {
            defaults += 1;
            let written = spec.pointer(&path.replace('.', "/"));
            assert_eq!(written, Some(&default.0), "default of {path}");
        }
    });
    // Seven of the spec, two of the runtime, three each of restart and scratch.
    assert_eq!(defaults, 15);
}

#[test]
fn a_full_object_survives_a_round_trip() {
    let object = json!({
        "apiVersion": format!("{GROUP}/{VERSION}"),
        "kind": "HcsContainer",
        "metadata": { "name": "web", "namespace": "default" },
        "spec": {
            "nodeName": "win-1",
            "desiredState": "Paused",
            "runtime": { "os": "Linux", "isolation": "HyperV" },
            "bundle": { "config": { "process": { "args": ["sh"] }, "x": [1, { "y": null }] } },
            "scratch": {
                "sizeGB": 40,
                "cacheFile": "C:\\cache\\scratch.vhdx",
                "useVirtualMemory": true,
                "reclaimPolicy": "Retain",
            },
            "tty": { "width": 120, "height": 30 },
            "restartPolicy": "OnFailure",
            "restart": {
                "maxRestarts": 3,
                "initialBackoffSeconds": 1,
                "maxBackoffSeconds": 2,
                "resetAfterSeconds": 3,
            },
            "restartRequest": "2026-01-01",
            "updatePolicy": "Manual",
            "stopSignal": "QUIT",
            "terminationGracePeriodSeconds": 0,
            "managementPolicy": "Observe",
            "ttlSecondsAfterFinished": 0,
        },
        "status": {
            "observedGeneration": 4,
            "phase": "Paused",
            "containerID": "hc-1-3",
            "attempt": 3,
            "pid": 4242,
            "pidStartTime": "2026-01-01T00:00:00Z",
            "bootID": "b",
            "processes": { "count": 2, "pids": [8, 9], "truncated": true },
            "restartCount": 2,
            "lastTermination": {
                "exitCode": 3_221_226_505_i64,
                "exitCodeHex": "0xC0000409",
                "reason": "STATUS_STACK_BUFFER_OVERRUN",
                "initiator": "Guest",
                "startedAt": "2026-01-01T00:00:00Z",
                "finishedAt": "2026-01-01T00:00:01Z",
            },
            "backoff": { "consecutiveFailures": 2, "retryAfter": "2026-01-01T00:01:00Z" },
            "scratch": { "path": "C:\\s\\sandbox.vhdx", "sizeGB": 40 },
            "tty": { "width": 120, "height": 30 },
            "plannedActions": ["resume hc-1-3"],
            "recentCommands": [
                { "command": "pause hc-1-3", "exitCode": 1, "durationMs": 12, "stderr": "no" },
            ],
            "startedAt": "2026-01-01T00:00:00Z",
            "conditions": [{
                "type": "Ready",
                "status": "True",
                "reason": "Paused",
                "message": "",
                "observedGeneration": 4,
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }],
        },
    });
    let read: HcsContainer = serde_json::from_value(object.clone()).unwrap();
    assert_eq!(serde_json::to_value(read).unwrap(), object);
}

#[test]
fn a_status_of_a_newer_version_is_still_read() {
    let status = json!({
        "phase": "Migrating",
        "lastTermination": { "exitCode": 1, "initiator": "Scheduler" },
        "mood": { "good": true },
    });
    let status: HcsContainerStatus = serde_json::from_value(status).unwrap();
    assert_eq!(status.phase, Phase::Unknown);
    assert_eq!(
        status.last_termination.unwrap().initiator,
        Initiator::Unknown
    );
    assert_eq!(status.observed_generation, -1);
}

#[test]
fn a_spec_with_an_unknown_value_is_not_read() {
    let mut spec = minimal();
    spec["desiredState"] = json!("Hibernated");
    assert!(serde_json::from_value::<HcsContainerSpec>(spec).is_err());
}

#[test]
fn the_definition_is_found_by_its_names_and_its_node() {
    let crd = crd();
    let names = &crd.spec.names;
    assert_eq!(
        crd.metadata.name.as_deref(),
        Some("hcscontainers.hcs-operator.dev")
    );
    assert_eq!(crd.spec.group, GROUP);
    assert_eq!(crd.spec.versions[0].name, VERSION);
    assert_eq!(names.short_names.as_deref(), Some(&["hcs".to_owned()][..]));
    assert_eq!(
        names.categories.as_deref(),
        Some(&["hcs-operator".to_owned()][..])
    );
    let fields = crd.spec.versions[0]
        .selectable_fields
        .as_deref()
        .unwrap_or_default();
    assert_eq!(fields.len(), 1);
    assert_eq!(fields[0].json_path, ".spec.nodeName");
}

#[test]
fn every_field_has_a_description_and_no_shape_that_kubernetes_does_not_know() {
    let parts = [
        ("spec", schema_of("spec")),
        ("status", schema_of("status")),
        ("HcsNode.status", node::status_schema()),
    ];
    for (part, schema) in parts {
        assert!(schema.description.is_some(), "{part} has no description");
        walk(part, &schema, &mut |path, field| {
            let description = field.description.as_deref().unwrap_or_default();
            assert!(description.len() > 5, "{path} has no description");
            assert!(
                !description.contains('\n'),
                "{path}'s description is broken into lines"
            );
            assert!(field.type_.is_some(), "{path} has no type");
            assert!(field.nullable.is_none(), "{path} keeps a null");
            let format = field.format.as_deref();
            let known = matches!(format, None | Some("int64" | "date-time"));
            assert!(known, "{path} has the format {format:?}");
        });
    }
}

#[test]
fn every_default_and_bound_of_the_spec_is_in_its_field_s_description() {
    walk("spec", &schema_of("spec"), &mut |path, field| {
        let description = field.description.as_deref().unwrap_or_default();
        if field.default.is_some() && field.properties.is_none() {
            assert!(
                description.to_lowercase().contains("default"),
                "{path}: {description}"
            );
        }
        if let Some(maximum) = field.maximum {
            let named = description.contains(&format!("{maximum}"));
            assert!(
                named,
                "{path} does not name its maximum {maximum}: {description}"
            );
        }
    });
}

#[test]
fn generated_files_are_up_to_date() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for (path, content) in generated_files().unwrap() {
        let found = std::fs::read_to_string(root.join(path)).unwrap_or_default();
        assert!(
            found == content,
            "{path} is out of date: run `cargo xtask generate`"
        );
    }
}

#[test]
fn the_generated_yaml_is_the_definition() {
    let files = generated_files().unwrap();
    for (definition, (path, yaml)) in crds().unwrap().iter().zip(files) {
        assert!(yaml.starts_with("# Generated"));
        assert!(yaml.contains("cargo xtask generate"));
        let read: CustomResourceDefinition = serde_yaml_ng::from_str(&yaml).unwrap();
        assert_eq!(&read, definition);
        assert!(path.contains(&definition.spec.names.plural), "{path}");
    }
}

#[test]
fn each_stop_signal_has_one_name_and_at_least_one_system() {
    let mut names = BTreeSet::new();
    for signal in StopSignal::ALL.iter().copied() {
        assert!(names.insert(signal.as_str()), "{signal} twice");
        assert_eq!(signal.as_str().parse(), Ok(signal));
        assert_eq!(
            serde_json::to_value(signal).unwrap(),
            json!(signal.as_str())
        );
        assert!(
            signal.is_for(Os::Windows) || signal.is_for(Os::Linux),
            "{signal}"
        );
    }
    assert!(StopSignal::CtrlC.is_for(Os::Windows) && !StopSignal::CtrlC.is_for(Os::Linux));
    assert!(StopSignal::Hup.is_for(Os::Linux) && !StopSignal::Hup.is_for(Os::Windows));
    assert!(StopSignal::Term.is_for(Os::Windows) && StopSignal::Term.is_for(Os::Linux));
    let error = "SIGHUP".parse::<StopSignal>().unwrap_err();
    assert_eq!(error.to_string(), "'SIGHUP' is no stop signal");
}

#[test]
fn each_reason_is_a_valid_condition_reason_with_help_and_an_anchor_of_its_own() {
    let mut anchors = BTreeSet::new();
    for reason in Reason::ALL.iter().copied() {
        let name = reason.as_str();
        assert_eq!(reason.to_string(), name);
        assert!(
            name.len() <= 128 && name.chars().all(|c| c.is_ascii_alphanumeric()),
            "{name}"
        );
        assert!(name.starts_with(|c: char| c.is_ascii_uppercase()), "{name}");
        assert!(reason.help().ends_with('.'), "{name}: {}", reason.help());
        assert!(anchors.insert(reason.anchor()), "{name} shares its anchor");
    }
    assert_eq!(conditions::TYPES.len(), 7);
    assert_eq!(conditions::TYPES[0].0, conditions::READY);
}

#[test]
fn well_known_exit_codes_have_names_and_small_ones_have_none() {
    assert_eq!(
        exit_code_name(3_221_226_505),
        Some("STATUS_STACK_BUFFER_OVERRUN")
    );
    assert_eq!(exit_code_name(0xC000_013A), Some("STATUS_CONTROL_C_EXIT"));
    for nameless in [0, 1, 5, 137, -1, i64::MAX] {
        assert_eq!(exit_code_name(nameless), None, "{nameless}");
    }
    let ended = Termination::of_exit_code(0xC000_0005);
    assert_eq!(ended.exit_code_hex.as_deref(), Some("0xC0000005"));
    assert_eq!(ended.reason.as_deref(), Some("STATUS_ACCESS_VIOLATION"));
    assert_eq!(
        Termination::of_exit_code(3).exit_code_hex.as_deref(),
        Some("0x00000003")
    );
}

#[test]
fn a_time_equals_itself_after_a_round_trip_once_it_is_in_whole_seconds() {
    let at = k8s_openapi::jiff::Timestamp::from_millisecond(1_767_225_600_123).unwrap();
    let time = whole_seconds(at);
    let text = serde_json::to_value(&time).unwrap();
    assert_eq!(text, json!("2026-01-01T00:00:00Z"));
    assert_eq!(serde_json::from_value::<crate::Time>(text).unwrap(), time);
}
