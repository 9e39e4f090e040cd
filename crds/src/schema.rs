//! What schemars cannot derive: shapes that Kubernetes' structural schemas need, the part of an
//! OCI runtime spec that the API server should judge, and the last changes to a derived schema.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use crate::annotations::{ALLOWED, RESERVED};
use crate::paths::{LONGEST, RULES};
use crate::signal::StopSignal;
use crate::{HcsContainer, hcs_node};

/// An error that can only come from a mistake in this crate's own types; a test excludes it.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// A derived definition does not fit `CustomResourceDefinition`.
    #[error("failed to convert a CustomResourceDefinition")]
    Convert(#[from] serde_json::Error),
    /// There is a definition that no file is for.
    #[error("{0} definitions are not the two that there is a file for")]
    Count(usize),
    /// A definition cannot be written as YAML.
    #[error("failed to write YAML")]
    Yaml(#[from] serde_yaml_ng::Error),
}

/// The definitions to install, one a kind.
///
/// They differ from [`CustomResourceExt::crd`] in what a reader and the API server make of them:
/// a null is pruned (so a default applies) and not kept, integer formats are those that Kubernetes
/// knows, and descriptions are not broken into lines.
///
/// # Errors
/// None for the types of this crate: a test converts them all.
pub fn crds() -> Result<Vec<CustomResourceDefinition>, SchemaError> {
    let mut node = refined(hcs_node::definition())?;
    if let Some(root) = node.pointer_mut(ROOT) {
        // The kind has none; it is derived with one.
        root["properties"]
            .as_object_mut()
            .map(|fields| fields.remove("spec"));
        root.as_object_mut().map(|root| root.remove("required"));
    }
    let container = refined(HcsContainer::crd())?;
    Ok(vec![
        serde_json::from_value(container)?,
        serde_json::from_value(node)?,
    ])
}

/// Where a definition has the schema of its one version.
const ROOT: &str = "/spec/versions/0/schema/openAPIV3Schema";

fn refined(derived: CustomResourceDefinition) -> Result<Value, SchemaError> {
    let mut derived = serde_json::to_value(derived)?;
    refine(&mut derived);
    if let Some(status) = derived.pointer_mut(&format!("{ROOT}/properties/status")) {
        // kstatus: a fresh object reads as in progress, not as a healthy one.
        status["default"] = json!({ "observedGeneration": -1 });
    }
    Ok(derived)
}

/// A stop signal's schema: an enum in the order of [`StopSignal::ALL`].
pub(crate) fn stop_signal(_: &mut SchemaGenerator) -> Schema {
    let names: Vec<_> = StopSignal::ALL
        .iter()
        .map(|signal| signal.as_str())
        .collect();
    json_schema!({ "type": "string", "enum": names })
}

/// An absolute path on the node that keeps every rule of [`crate::paths`].
pub(crate) fn node_path(_: &mut SchemaGenerator) -> Schema {
    path_schema()
}

fn path_schema() -> Schema {
    let rules: Vec<Value> = RULES
        .iter()
        .map(|(message, rule)| json!({ "rule": rule, "message": message }))
        .collect();
    json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": LONGEST,
        "x-kubernetes-validations": rules,
    })
}

/// An OCI runtime spec: open, with those fields declared that the API server can judge.
pub(crate) fn oci_config(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": true,
        "required": ["process"],
        "properties": {
            "process": process(),
            "windows": windows(),
            "linux": {
                "description": "Linux settings. Only with runtime.os Linux; runhcs takes the \
                    container for an LCOW one if this is present.",
                "type": "object",
                "x-kubernetes-preserve-unknown-fields": true,
            },
            "hooks": {
                "description": "Not allowed: hooks would run on the node.",
                "type": "object",
                "x-kubernetes-preserve-unknown-fields": true,
            },
            "annotations": annotations(),
        },
        "x-kubernetes-validations": [{
            "rule": "!has(self.hooks)",
            "message": "bundle.config.hooks are not allowed: they would run on the node",
        }],
    })
}

fn process() -> Value {
    json!({
        "description": "The container's first process.",
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": true,
        "properties": {
            "args": {
                "description": "Program and arguments.",
                "type": "array",
                "maxItems": 1024,
                "items": { "type": "string", "maxLength": 32767 },
            },
            "commandLine": {
                "description": "The whole command line instead of args (Windows only).",
                "type": "string",
                "maxLength": 32767,
            },
            "cwd": {
                "description": r"Working folder in the container. Default C:\ or, on Linux, /.",
                "type": "string",
                "maxLength": LONGEST,
            },
            "env": {
                "description": "Environment, each entry NAME=value.",
                "type": "array",
                "maxItems": 1024,
                "items": { "type": "string", "maxLength": 32767 },
            },
            "terminal": {
                "description": "Whether the process has a console, which spec.tty sizes. With a \
                    console, runhcs ends the process at once whatever the stop signal is.",
                "type": "boolean",
            },
        },
        "x-kubernetes-validations": [{
            "rule": "(has(self.args) && self.args.exists(arg, arg != '')) || \
                (has(self.commandLine) && self.commandLine.matches(r'\\S'))",
            "message": "bundle.config.process needs args or a commandLine: it says what to run",
        }],
    })
}

fn windows() -> Value {
    json!({
        "description": "Windows settings. An LCOW container has layerFolders as well.",
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": true,
        "properties": {
            "layerFolders": {
                "description": "Absolute paths on the node of the image's layer folders, the \
                    topmost first, and last the folder for the container's own writable layer. \
                    Each must lie below one of the agent's layer roots.",
                "type": "array",
                "maxItems": 128,
                "items": path_schema(),
            },
            "hyperv": {
                "description": "Settings of the utility VM. Only with runtime.isolation HyperV.",
                "type": "object",
                "x-kubernetes-preserve-unknown-fields": true,
            },
        },
    })
}

fn annotations() -> Value {
    json!({
        "description": "Annotations for runhcs and for readers of `runhcs list`. The agent adds \
            its own.",
        "type": "object",
        "maxProperties": 256,
        "additionalProperties": { "type": "string", "maxLength": 65536 },
        "x-kubernetes-validations": [{
            "rule": format!(
                "self.all(key, !{}.exists(start, key.lowerAscii().startsWith(start)) || \
                    key.lowerAscii() in {})",
                cel_list(&RESERVED),
                cel_list(&ALLOWED),
            ),
            "message": format!(
                "annotations must not reach beyond the container; of those that begin with {}, only \
                 some that size a container or keep it in are allowed (docs/security.md)",
                RESERVED.join(", "),
            ),
        }],
    })
}

/// A list of texts without quotes in them, in CEL.
fn cel_list(texts: &[&str]) -> String {
    json!(texts).to_string().replace('"', "'")
}

/// Changes a derived definition in place, at every depth.
fn refine(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.remove("nullable");
            if fields.get("default").is_some_and(Value::is_null) {
                fields.remove("default");
            }
            if let Some(Value::String(text)) = fields.get_mut("description") {
                *text = unwrap_lines(text);
            }
            if let Some(Value::String(format)) = fields.get_mut("format")
                && format.starts_with("uint")
            {
                // Kubernetes has signed formats only; `minimum` keeps the sign out.
                "int64".clone_into(format);
            }
            fields.values_mut().for_each(refine);
        }
        Value::Array(items) => items.iter_mut().for_each(refine),
        _ => {}
    }
}

/// Joins the lines of each paragraph, as `kubectl explain` wraps by itself.
fn unwrap_lines(text: &str) -> String {
    let paragraphs: Vec<String> = text
        .split("\n\n")
        .map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|paragraph| !paragraph.is_empty())
        .collect();
    paragraphs.join("\n\n")
}
