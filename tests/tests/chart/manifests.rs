//! The manifests for kustomize give the same objects as the chart.

use std::collections::BTreeMap;

use hcs_tests::{ControlPlane, binaries};
use serde_json::Value;

use crate::chart::Values;
use crate::objects::{differences, name, read};

/// What Helm says of itself on every object, and kustomize does not.
const HELM_LABELS: [&str; 4] = [
    "app.kubernetes.io/instance",
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/version",
    "helm.sh/chart",
];

/// Helm's ways to keep a kind, and to roll pods when the settings change. kustomize rolls them by another name for the
/// ConfigMap.
const HELM_ANNOTATIONS: [&str; 2] = ["helm.sh/resource-policy", "checksum/settings"];

const SETTINGS: &str = "hcs-operator-agent";

fn kustomized(folder: &str) -> String {
    let kubectl = binaries::control_plane("kubectl").unwrap();
    let mut kubectl = std::process::Command::new(kubectl);
    kubectl
        .arg("kustomize")
        .arg(binaries::workspace().join("manifests").join(folder));
    let output = kubectl.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{folder}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// The objects by name, without what only one of the two tools adds.
fn plain(objects: Vec<Value>) -> BTreeMap<String, Value> {
    let objects = objects.into_iter().filter(|it| it["kind"] != "Namespace");
    let plain = objects.map(|mut object| {
        without_marks(&mut object["metadata"]);
        if let Some(metadata) = object.pointer_mut("/spec/template/metadata") {
            without_marks(metadata);
        }
        for path in [
            "/metadata/name",
            "/spec/template/spec/volumes/0/configMap/name",
        ] {
            without_hash(&mut object, path);
        }
        (name(&object), object)
    });
    plain.collect()
}

fn without_marks(metadata: &mut Value) {
    for (map, keys) in [
        ("labels", &HELM_LABELS[..]),
        ("annotations", &HELM_ANNOTATIONS),
    ] {
        let Some(found) = metadata.get_mut(map).and_then(Value::as_object_mut) else {
            continue;
        };
        found.retain(|key, _| !keys.contains(&key.as_str()));
        if found.is_empty() {
            metadata.as_object_mut().unwrap().remove(map);
        }
    }
}

fn without_hash(object: &mut Value, path: &str) {
    let map = object["kind"] == "ConfigMap" || path != "/metadata/name";
    let name = object.pointer_mut(path).filter(|name| {
        let name = name.as_str().unwrap_or_default();
        map && name.starts_with(&format!("{SETTINGS}-"))
    });
    if let Some(name) = name {
        *name = SETTINGS.into();
    }
}

fn are_the_same(folder: &str, values: &str) {
    let kustomize = plain(read(&kustomized(folder)));
    let helm = plain(Values::named(values).objects().unwrap());
    let (a, b): (Vec<_>, Vec<_>) = (kustomize.keys().collect(), helm.keys().collect());
    assert_eq!(
        a, b,
        "the objects of manifests/{folder}, and of the chart with {values}"
    );
    for (name, object) in &kustomize {
        let differ = differences(object, &helm[name]);
        assert!(
            differ.is_empty(),
            "{name} in manifests/{folder} and in the chart: {differ:#?}"
        );
    }
}

#[test]
fn kustomize_and_the_chart_give_the_same_objects() {
    are_the_same("", "default");
    are_the_same("cluster", "cluster-only");
    are_the_same("overlays/metrics", "monitored");
}

#[test]
fn the_manifests_name_the_images_of_this_version() {
    let version = env!("CARGO_PKG_VERSION");
    let objects = read(&kustomized(""));
    let mut images = Vec::new();
    for object in &objects {
        let image = object.pointer("/spec/template/spec/containers/0/image");
        images.extend(image.and_then(Value::as_str));
    }
    assert_eq!(images.len(), 2);
    for image in images {
        assert!(image.ends_with(&format!(":{version}")), "{image}");
    }
}

#[test]
fn the_chart_and_the_images_are_of_this_version() {
    let version = env!("CARGO_PKG_VERSION");
    let read = |file| std::fs::read_to_string(binaries::workspace().join(file)).unwrap();
    let chart: Value = serde_yaml_ng::from_str(&read("charts/hcs-operator/Chart.yaml")).unwrap();
    assert_eq!(chart["version"], version);
    assert_eq!(chart["appVersion"], version);
    let images = chart["annotations"]["artifacthub.io/images"]
        .as_str()
        .unwrap();
    assert_eq!(
        images.matches(&format!(":{version}\n")).count(),
        2,
        "{images}"
    );
    assert!(read("docker-bake.hcl").contains(&format!("\"{version}\"")));
}

#[tokio::test]
async fn every_feature_has_a_sample_that_the_api_server_takes() {
    let control_plane = ControlPlane::shared().await.unwrap();
    let mut kubectl = control_plane.kubectl_command();
    let samples = binaries::workspace().join("manifests/samples");
    kubectl.args([
        "apply",
        "--server-side",
        "--dry-run=server",
        "--validate=strict",
    ]);
    let output = kubectl
        .args(["--recursive", "-f"])
        .arg(samples)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}
