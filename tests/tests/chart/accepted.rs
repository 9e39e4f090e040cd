//! Every object that the chart makes is one that the API server takes, checked by server-side dry runs.

use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use hcs_tests::{ControlPlane, Result, eventually};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, ResourceExt};

use crate::chart::{Values, beside, folder, helm};
use crate::objects::read;

/// Applies a text with kubectl, strictly, and gives what it said; with its errors if it failed.
fn apply(control_plane: &ControlPlane, text: &str, more: &[&str]) -> Result<String, String> {
    let mut kubectl = control_plane.kubectl_command();
    kubectl.args([
        "apply",
        "--server-side",
        "--force-conflicts",
        "--validate=strict",
    ]);
    kubectl.args(more).args(["-f", "-"]);
    kubectl
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut kubectl = kubectl.spawn().unwrap();
    kubectl
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = kubectl.wait_with_output().unwrap();
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// Makes the Prometheus operator's kinds known to the API server.
async fn with_monitoring(control_plane: &ControlPlane) -> Result {
    let text = std::fs::read_to_string(beside("data/monitoring.yaml")).unwrap();
    apply(control_plane, &text, &[]).unwrap();
    let crds: Api<CustomResourceDefinition> = Api::all(control_plane.client().await?);
    eventually(
        Duration::from_mins(1),
        "the monitoring kinds are served",
        || async {
            let all = crds.list(&kube::api::ListParams::default()).await.unwrap();
            let ours = all
                .iter()
                .filter(|it| it.name_any().ends_with("monitoring.coreos.com"));
            let served = ours.filter(|it| {
                let status = it
                    .status
                    .as_ref()
                    .and_then(|status| status.conditions.as_ref());
                let mut conditions = status.into_iter().flatten();
                conditions.any(|it| it.type_ == "Established" && it.status == "True")
            });
            let served = served.count();
            Ok(if served == 2 { Ok(()) } else { Err(served) })
        },
    )
    .await
}

#[tokio::test]
async fn each_object_of_each_set_of_values_passes_a_server_side_dry_run() -> Result {
    let control_plane = ControlPlane::shared().await?;
    with_monitoring(&control_plane).await?;
    for values in Values::all() {
        let rendered = values.rendered()?;
        let said = apply(&control_plane, &rendered, &["--dry-run=server"]);
        let said = said.unwrap_or_else(|error| panic!("{}: {error}", values.name));
        let accepted = said.lines().count();
        assert_eq!(accepted, read(&rendered).len(), "{}: {said}", values.name);
    }
    Ok(())
}

#[tokio::test]
async fn a_dry_run_sees_a_misspelled_field() -> Result {
    let control_plane = ControlPlane::shared().await?;
    with_monitoring(&control_plane).await?;
    let rendered = Values::named("monitored").rendered()?;
    for (field, wrong) in [
        ("hostNetwork:", "hostNetwrok:"),
        ("targetLabel:", "targetLable:"),
    ] {
        let text = rendered.replace(field, wrong);
        assert_ne!(text, rendered);
        let said = apply(&control_plane, &text, &["--dry-run=server"]).unwrap_err();
        assert!(said.contains(wrong.trim_end_matches(':')), "{said}");
    }
    Ok(())
}

#[test]
fn a_release_names_no_namespace_but_its_own() {
    let (helm, _home) = helm();
    let values = Values::named("private-registry").file;
    let chart = folder();
    let (chart, values) = (chart.to_str().unwrap(), values.to_str().unwrap());
    let args = [
        "template",
        "x",
        chart,
        "--namespace",
        "elsewhere",
        "--values",
        values,
    ];
    let rendered = helm.run(args).unwrap();
    assert!(rendered.contains("namespace: elsewhere"));
    assert!(!rendered.contains("hcs-operator-system"));
}
