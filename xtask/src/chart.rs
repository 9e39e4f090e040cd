//! The parts of the Helm chart that are made of something else, so that nothing is said twice: `values.yaml` and the
//! table in the README of the values' schema; the templates of kinds, rights, policies and alerts of `crds/yaml` and
//! `manifests`.

mod templates;
mod values;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use hcs_tests::binaries::workspace;

use templates::Template;

/// Where the chart is.
const CHART: &str = "charts/hcs-operator";

/// A generated file: its path below the repository's root, and its content.
pub type File = (String, String);

/// What a release needs to have rights.
const RIGHTS: &str = ".Values.rbac.create";
/// What a release needs to have admission policies.
const POLICIES: &str = ".Values.admission.enabled";
/// What a release needs to have alerts.
const ALERTS: &str = "and .Values.metrics.enabled .Values.metrics.prometheusRule.enabled";

/// Every generated file of the chart. `crds` are the files of `crds/yaml`.
pub fn generated_files(crds: &[File]) -> Result<Vec<File>> {
    let schema = read(&format!("{CHART}/values.schema.json"))?;
    let schema = serde_yaml_ng::from_str(&schema).context("the values' schema is no JSON")?;
    let readme = format!("{CHART}/README.md");
    let text = values::in_readme(&read(&readme)?, &schema)?;
    let mut files = vec![
        (format!("{CHART}/values.yaml"), values::file(&schema)?),
        (readme, text),
    ];
    for (source, text) in crds {
        files.push(
            Template {
                condition: ".Values.crds.enabled",
                annotations: "hcs-operator.crdAnnotations",
                ..Template::of(source, text)
            }
            .written(&format!("{CHART}/templates/crds")),
        );
    }
    for (folder, condition) in [("rbac", RIGHTS), ("policy", POLICIES)] {
        for source in yaml_files(&format!("manifests/{folder}"))? {
            let text = read(&source)?;
            let template = Template {
                condition,
                ..Template::of(&source, &text)
            };
            files.push(template.written(&format!("{CHART}/templates/{folder}")));
        }
    }
    let source = "manifests/overlays/metrics/alerts.yaml";
    let text = read(source)?;
    let alerts = Template {
        condition: ALERTS,
        labels: "hcs-operator.alertLabels",
        ..Template::of(source, &text)
    };
    files.push(alerts.written(&format!("{CHART}/templates/metrics")));
    Ok(files)
}

/// The files in a folder of manifests that the chart has too, in order.
fn yaml_files(folder: &str) -> Result<Vec<String>> {
    let entries = fs::read_dir(workspace().join(folder))
        .with_context(|| format!("failed to list {folder}"))?;
    let mut files: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        // Helm makes the namespace.
        .filter(|name| !matches!(name.as_str(), "kustomization.yaml" | "namespace.yaml"))
        .filter(|name| Path::new(name).extension().is_some_and(|it| it == "yaml"))
        .map(|name| format!("{folder}/{name}"))
        .collect();
    files.sort();
    Ok(files)
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(workspace().join(path)).with_context(|| format!("failed to read {path}"))
}
