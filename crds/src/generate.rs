//! The files that are generated from the types: the definitions as YAML, and the API reference.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::Value;

use crate::reference;
use crate::schema::{SchemaError, crds};

const YAML_HEADER: &str = "\
# Generated from the Rust types in crds/src by `cargo xtask generate`. Do not edit.
";

/// Lets kustomize, which reads no single file above its own folder, take the definitions from here.
const KUSTOMIZATION: &str = "\
---
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
- hcs-operator.dev_hcscontainers.yaml
- hcs-operator.dev_hcsnodes.yaml
";

/// A generated file: its path relative to the repository's root, with `/`, and its content.
pub type GeneratedFile = (&'static str, String);

/// Every file that is generated from this crate.
///
/// # Errors
/// None for the types of this crate: a test generates them all.
pub fn generated_files() -> Result<Vec<GeneratedFile>, SchemaError> {
    let definitions = crds()?;
    let [container, node] = definitions.as_slice() else {
        return Err(SchemaError::Count(definitions.len()));
    };
    Ok(vec![
        (
            "crds/yaml/hcs-operator.dev_hcscontainers.yaml",
            yaml([container])?,
        ),
        ("crds/yaml/hcs-operator.dev_hcsnodes.yaml", yaml([node])?),
        (
            "crds/yaml/kustomization.yaml",
            format!("{YAML_HEADER}{KUSTOMIZATION}"),
        ),
        ("docs/api.md", reference::markdown(&definitions)),
    ])
}

/// The definitions as YAML documents, ready for `kubectl apply --server-side -f -`.
///
/// # Errors
/// None for the types of this crate: a test writes them all.
pub fn crds_yaml() -> Result<String, SchemaError> {
    yaml(&crds()?)
}

fn yaml<'a>(
    definitions: impl IntoIterator<Item = &'a CustomResourceDefinition>,
) -> Result<String, SchemaError> {
    let mut yaml = YAML_HEADER.to_owned();
    for crd in definitions {
        let sorted = in_order(serde_json::to_value(crd)?);
        yaml.push_str("---\n");
        yaml.push_str(&serde_yaml_ng::to_string(&sorted)?);
    }
    Ok(yaml)
}

/// Keys in alphabetical order whatever serde_json's features are in a build, and whole numbers
/// without a fraction, so that the text does not depend on who generates it.
fn in_order(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.into_iter().collect();
            fields.sort_by(|(a, _), (b, _)| a.cmp(b));
            fields
                .into_iter()
                .map(|(key, value)| (key, in_order(value)))
                .collect()
        }
        Value::Array(items) => items.into_iter().map(in_order).collect(),
        Value::Number(number) => whole(&number).map_or(Value::Number(number), Value::from),
        other => other,
    }
}

/// A bound as the whole number that it is: schemas carry bounds as floating point.
pub(crate) fn whole(number: &serde_json::Number) -> Option<i64> {
    // Exact: every bound of a 32-bit field is far below 2^53.
    #[allow(clippy::cast_possible_truncation)]
    number.as_i64().or_else(|| {
        number
            .as_f64()
            .filter(|n| n.fract() == 0.0 && n.abs() < 1e15)
            .map(|n| n as i64)
    })
}
