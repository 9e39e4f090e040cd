//! The chart's values: what is accepted, what is refused and how that reads, and that they reach every setting of the
//! agent.

use std::fs;

use hcs_tests::binaries::{self, Workspace};
use serde_json::Value;

use crate::chart::{Values, folder, helm};
use crate::objects::only;

#[test]
fn the_chart_passes_a_strict_lint_with_each_set_of_values() {
    let (helm, _home) = helm();
    for values in Values::all() {
        let args = ["lint", "--strict", folder().to_str().unwrap(), "--values"]
            .map(str::to_owned)
            .into_iter()
            .chain([values.file.display().to_string()]);
        helm.run(args).unwrap();
    }
}

#[test]
fn the_values_of_the_gitops_examples_are_what_the_chart_takes() {
    let (helm, home) = helm();
    for (file, at) in [
        ("flux/2-operator.yaml", "/spec/values"),
        ("argocd/1-operator.yaml", "/spec/source/helm/valuesObject"),
    ] {
        let example = binaries::workspace().join("docs/gitops").join(file);
        let example: Value =
            serde_yaml_ng::from_str(&fs::read_to_string(example).unwrap()).unwrap();
        let values = example.pointer(at).unwrap();
        let given = home.path().join("values.json");
        fs::write(&given, values.to_string()).unwrap();
        let chart = folder();
        let template = ["template", "hcs-operator", chart.to_str().unwrap()];
        let with = ["--values", given.to_str().unwrap()];
        let made = helm.run(template.into_iter().chain(with)).unwrap();
        let root = values.pointer("/agent/settings/layerRoots/0").unwrap();
        assert!(made.contains(root.as_str().unwrap()), "{file}");
        assert!(
            made.contains("image: registry.example.com/hcs-operator-agent:"),
            "{file}"
        );
    }
}

/// What is set, and what the refusal must name.
const REFUSED: [(&str, &str); 17] = [
    ("agnet.enabled=true", "agnet"),
    ("agent.setings.runhcs=C:\\x.exe", "setings"),
    ("agent.settings.runhsc=C:\\x.exe", "runhsc"),
    ("agent.settings.runhcs=runhcs.exe", "/agent/settings/runhcs"),
    (
        "agent.settings.layerRoots={\\\\\\\\server\\\\share}",
        "/agent/settings/layerRoots/0",
    ),
    // The admission policy would take it for two roots.
    (
        "agent.settings.mountRoots={C:\\\\hcs;Windows}",
        "/agent/settings/mountRoots/0",
    ),
    (
        "agent.settings.relistInterval=30",
        "/agent/settings/relistInterval",
    ),
    (
        "agent.settings.runhcsParallel=0",
        "/agent/settings/runhcsParallel",
    ),
    ("agent.settings.logFormat=yaml", "/agent/settings/logFormat"),
    ("agent.image.digest=sha256:1234", "/agent/image/digest"),
    (
        "agent.updateStrategy.type=Recreate",
        "/agent/updateStrategy/type",
    ),
    (
        "agent.updateStrategy.maxUnavailable=10 percent",
        "/agent/updateStrategy/maxUnavailable",
    ),
    ("agent.tolerations[0].oprator=Exists", "oprator"),
    ("controller.replicas=two", "/controller/replicas"),
    (
        "controller.resources.limits.memory=lots",
        "/controller/resources/limits/memory",
    ),
    ("crds.keep=maybe", "/crds/keep"),
    (
        "metrics.serviceMonitor.interval=often",
        "/metrics/serviceMonitor/interval",
    ),
];

#[test]
fn bad_values_are_refused_by_name() {
    let (helm, _home) = helm();
    for (set, named) in REFUSED {
        let chart = folder();
        let said = helm
            .say(["template", "x", chart.to_str().unwrap(), "--set", set])
            .unwrap();
        assert!(!said.success, "{set} is accepted");
        assert!(said.stderr.contains(named), "{set}: {}", said.stderr);
    }
}

/// The keys of the settings file, from the table and the example of `docs/settings.md`.
fn settings() -> Vec<String> {
    let page = fs::read_to_string(binaries::workspace().join("docs/settings.md")).unwrap();
    let (_, rest) = page
        .split_once("All of it as a file:\n\n```yaml\n")
        .unwrap();
    let example: Value = serde_yaml_ng::from_str(rest.split("```").next().unwrap()).unwrap();
    let mut keys: Vec<String> = example.as_object().unwrap().keys().cloned().collect();
    // The pod says what its node is called, and the release where it is.
    keys.retain(|key| key != "nodeName" && key != "namespace");
    keys.sort();
    keys
}

fn keys(value: &Value) -> Vec<String> {
    let mut keys: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
    keys.sort();
    keys
}

fn settings_file(values: &str) -> String {
    let objects = Values::named(values).objects().unwrap();
    let map = only(&objects, "ConfigMap", "hcs-operator-agent");
    map["data"]["settings.yaml"].as_str().unwrap().to_owned()
}

#[test]
fn every_setting_of_the_agent_is_a_value_and_no_other() {
    let schema = fs::read_to_string(folder().join("values.schema.json")).unwrap();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let known = &schema["properties"]["agent"]["properties"]["settings"]["properties"];
    assert_eq!(keys(known), settings());
    let mut all: Value = serde_yaml_ng::from_str(&settings_file("all-settings")).unwrap();
    let namespace = all.as_object_mut().unwrap().remove("namespace");
    assert_eq!(namespace, Some("hcs-operator-system".into()));
    assert_eq!(keys(&all), settings(), "what values/all-settings.yaml sets");
}

#[test]
fn the_settings_file_is_one_that_the_agent_takes() {
    let operator = Workspace::get().unwrap().operator();
    let dir = tempfile::tempdir().unwrap();
    for values in ["default", "monitored", "all-settings"] {
        let file = dir.path().join(values);
        // The operator that runs here has no drives.
        let text = settings_file(values)
            .replace("C:\\", "/c/")
            .replace("D:\\", "/d/");
        fs::write(&file, text).unwrap();
        let output = std::process::Command::new(&operator)
            .args(["agent", "--check", "--node-name", "win-1", "--config"])
            .arg(&file)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{values}: {said}");
    }
}
