//! How people and programs find and read the objects: names, field selectors, columns, help, and
//! the samples.

use std::path::Path;

use hcs_tests::{ControlPlane, binaries};
use kube::api::ListParams;
use serde::Deserialize;
use serde_json::{Value, json};

use super::ask::Server;

/// The output of the control plane's kubectl.
async fn kubectl(args: &[&str]) -> String {
    let control_plane = ControlPlane::shared().await.unwrap();
    let output = control_plane.kubectl_command().args(args).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

#[tokio::test]
async fn objects_are_selected_by_their_node_and_by_no_other_field_of_the_spec() {
    let server = Server::shared().await;
    let here = server
        .stored("selected", json!({ "nodeName": "only-here" }))
        .await;
    let there = server
        .stored("not-selected", json!({ "nodeName": "only-there" }))
        .await;
    let by = |selector: &str| ListParams::default().fields(selector);
    let found = server
        .api()
        .list(&by("spec.nodeName=only-here"))
        .await
        .unwrap();
    let names: Vec<_> = found
        .items
        .into_iter()
        .filter_map(|item| item.metadata.name)
        .collect();
    assert_eq!(names, [here.name.as_str()]);
    let refusal = server
        .api()
        .list(&by("spec.desiredState=Running"))
        .await
        .unwrap_err();
    assert!(
        refusal.to_string().contains("field label not supported"),
        "{refusal}"
    );
    here.delete().await;
    there.delete().await;
}

#[tokio::test]
async fn kubectl_get_shows_the_columns_and_more_of_them_with_wide() {
    let server = Server::shared().await;
    let stored = server
        .stored("columns", json!({ "nodeName": "win-7" }))
        .await;
    stored
        .write_status(json!({
            "observedGeneration": 1,
            "phase": "Stopped",
            "restartCount": 3,
            "pid": 4242,
            "lastTermination": { "exitCode": 3_221_226_505_i64 },
            "conditions": [{
                "type": "Ready",
                "status": "False",
                "reason": "RestartLimitReached",
                "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }],
        }))
        .await
        .unwrap();
    let words = |text: &str| -> Vec<Vec<String>> {
        text.lines()
            .map(|line| line.split_whitespace().map(str::to_owned).collect())
            .collect()
    };
    let plain = words(&kubectl(&["get", "hcs", &stored.name]).await);
    assert_eq!(
        plain[0],
        [
            "NAME", "STATE", "DESIRED", "READY", "RESTARTS", "NODE", "AGE"
        ]
    );
    assert_eq!(
        plain[1][..6],
        [
            stored.name.as_str(),
            "Stopped",
            "Running",
            "False",
            "3",
            "win-7"
        ]
    );
    let wide = words(&kubectl(&["get", "hcs", &stored.name, "-o", "wide"]).await);
    assert_eq!(wide[0][7..], ["EXIT", "PID", "REASON"]);
    assert_eq!(wide[1][7..], ["3221226505", "4242", "RestartLimitReached"]);
    let by_category = kubectl(&["get", "hcs-operator", "--output=name"]).await;
    assert!(by_category.contains(&stored.name), "{by_category}");
    stored.delete().await;
}

#[tokio::test]
async fn kubectl_explain_gives_each_field_a_description() {
    for resource in [
        "hcs.spec",
        "hcs.status",
        "hcs.spec.bundle.config.process",
        "hcs.spec.restart",
    ] {
        let text = kubectl(&["explain", resource]).await;
        let fields = text.split("FIELDS:").nth(1).unwrap_or_default();
        assert!(fields.lines().count() > 3, "{resource}: {text}");
        assert!(!fields.contains("<no description>"), "{resource}: {text}");
    }
}

#[tokio::test]
async fn every_sample_is_accepted_with_no_field_unknown() {
    let samples = binaries::workspace().join("manifests/samples");
    let mut count = 0;
    for file in yaml_files(&samples) {
        let path = file.to_string_lossy().into_owned();
        let args = [
            "apply",
            "--dry-run=server",
            "--validate=strict",
            "--filename",
            &path,
        ];
        let answer = kubectl(&args).await;
        let text = std::fs::read_to_string(&file).unwrap();
        for document in serde_yaml_ng::Deserializer::from_str(&text) {
            let object = Value::deserialize(document).unwrap();
            assert_eq!(object["kind"], "HcsContainer", "{path}");
            count += 1;
        }
        assert!(
            answer.contains("created (server dry run)"),
            "{path}: {answer}"
        );
    }
    assert!(count >= 7, "only {count} samples");
}

fn yaml_files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(yaml_files(&path));
        } else if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            found.push(path);
        }
    }
    found.sort();
    found
}
