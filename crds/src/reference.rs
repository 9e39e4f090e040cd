//! The API reference in Markdown, written from the definitions: what the API server enforces is
//! what the documentation says.

use std::fmt::Write as _;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};

use crate::conditions;

const INTRODUCTION: &str = "\
<!-- Generated from the Rust types in crds/src by `cargo xtask generate`. Do not edit. -->

# API reference

The same texts come from the cluster: `kubectl explain hcs --recursive`, `kubectl explain
hcs.spec.scratch`. Times are RFC 3339 in UTC, in whole seconds. A field set to null counts as not
set. Enum values are case-sensitive.
";

/// The reference for these definitions, one chapter a kind.
pub(crate) fn markdown(crds: &[CustomResourceDefinition]) -> String {
    let mut out = INTRODUCTION.to_owned();
    for crd in crds {
        kind(&mut out, crd);
    }
    condition_types(&mut out);
    reasons(&mut out);
    out
}

fn kind(out: &mut String, crd: &CustomResourceDefinition) {
    let names = &crd.spec.names;
    let short = names.short_names.clone().unwrap_or_default().join(", ");
    let categories = names.categories.clone().unwrap_or_default().join(", ");
    for version in &crd.spec.versions {
        line(out, &format!("\n## {}\n", names.kind));
        line(
            out,
            &format!(
                "`{}/{}`, {}; resource `{}`, short name `{short}`, category `{categories}`.",
                crd.spec.group,
                version.name,
                crd.spec.scope.to_lowercase(),
                names.plural,
            ),
        );
        let selectable = version.selectable_fields.iter().flatten();
        for field in selectable {
            line(
                out,
                &format!(
                    "\nField selector: `{}`.",
                    field.json_path.trim_start_matches('.')
                ),
            );
        }
        let Some(root) = version
            .schema
            .as_ref()
            .and_then(|s| s.open_api_v3_schema.as_ref())
        else {
            continue;
        };
        for part in ["spec", "status"] {
            if let Some(schema) = root
                .properties
                .iter()
                .flatten()
                .find(|(name, _)| *name == part)
            {
                object(out, part, schema.1);
            }
        }
    }
}

/// A section for one object, then those for the objects in it.
fn object(out: &mut String, path: &str, schema: &JSONSchemaProps) {
    line(out, &format!("\n### {path}\n"));
    if let Some(description) = &schema.description {
        line(out, description);
    }
    let required = schema.required.clone().unwrap_or_default();
    let properties: Vec<_> = schema.properties.iter().flatten().collect();
    if !properties.is_empty() {
        line(out, "\n| field | type | what it is |\n| --- | --- | --- |");
    }
    for (name, field) in &properties {
        row(out, name, field, required.contains(name));
    }
    let rules: Vec<_> = schema
        .x_kubernetes_validations
        .iter()
        .flatten()
        .filter_map(|rule| rule.message.as_deref())
        .collect();
    if !rules.is_empty() {
        line(out, "\nRules:\n");
        for message in rules {
            line(out, &format!("- {}", cell(message)));
        }
    }
    for (name, field) in properties {
        let (inner, suffix) = match &field.items {
            Some(JSONSchemaPropsOrArray::Schema(items)) => (items.as_ref(), "[]"),
            _ => (field, ""),
        };
        if inner
            .properties
            .as_ref()
            .is_some_and(|inner| !inner.is_empty())
        {
            object(out, &format!("{path}.{name}{suffix}"), inner);
        }
    }
}

fn row(out: &mut String, name: &str, field: &JSONSchemaProps, required: bool) {
    let mut about = field.description.clone().unwrap_or_default();
    for fact in facts(field, required) {
        let _ = write!(about, " {fact}");
    }
    line(
        out,
        &format!("| `{name}` | {} | {} |", type_of(field), cell(about.trim())),
    );
}

/// What the schema says of a field beyond its description.
fn facts(field: &JSONSchemaProps, required: bool) -> Vec<String> {
    let mut facts = Vec::new();
    if required {
        facts.push("**Required.**".to_owned());
    }
    if let Some(values) = &field.enum_ {
        let values: Vec<_> = values.iter().map(|value| code(&value.0)).collect();
        facts.push(format!("One of {}.", values.join(", ")));
    }
    match (field.minimum, field.maximum) {
        (Some(low), Some(high)) => facts.push(format!("From {low} to {high}.")),
        (Some(low), None) => facts.push(format!("At least {low}.")),
        (None, Some(high)) => facts.push(format!("At most {high}.")),
        (None, None) => {}
    }
    if let Some(length) = field.max_length {
        facts.push(format!("At most {length} characters."));
    }
    match (field.min_items, field.max_items) {
        (Some(low), Some(high)) => facts.push(format!("{low} to {high} items.")),
        (None, Some(high)) => facts.push(format!("At most {high} items.")),
        _ => {}
    }
    if let Some(default) = &field.default
        && !(default.0.is_object() || default.0.is_array())
    {
        facts.push(format!("Default {}.", code(&default.0)));
    }
    let single_field_rules = match &field.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => &items.x_kubernetes_validations,
        _ => &field.x_kubernetes_validations,
    };
    if field.properties.is_none() {
        let messages: Vec<_> = single_field_rules
            .iter()
            .flatten()
            .filter_map(|rule| rule.message.as_deref())
            .collect();
        if !messages.is_empty() {
            facts.push(format!("Rules: {}.", messages.join("; ")));
        }
    }
    facts
}

fn type_of(field: &JSONSchemaProps) -> String {
    let own = field.type_.as_deref().unwrap_or("any");
    match (&field.items, &field.additional_properties) {
        (Some(JSONSchemaPropsOrArray::Schema(items)), _) => format!("[]{}", type_of(items)),
        (_, Some(JSONSchemaPropsOrBool::Schema(values))) => format!("map of {}", type_of(values)),
        _ if field.format.as_deref() == Some("date-time") => "time".to_owned(),
        _ => own.to_owned(),
    }
}

fn condition_types(out: &mut String) {
    line(
        out,
        "\n## Conditions\n\n| type | what True means |\n| --- | --- |",
    );
    for (name, meaning) in conditions::TYPES {
        line(out, &format!("| `{name}` | {} |", cell(meaning)));
    }
}

fn reasons(out: &mut String) {
    line(
        out,
        "\n## Reasons\n\n| reason | what it means, and what to do |\n| --- | --- |",
    );
    for reason in conditions::Reason::ALL {
        let anchor = reason.anchor();
        line(
            out,
            &format!(
                "| [{reason}](runbook.md#{anchor}) | {} |",
                cell(reason.help())
            ),
        );
    }
}

fn code(value: &serde_json::Value) -> String {
    value
        .as_str()
        .map_or_else(|| format!("`{value}`"), |text| format!("`{text}`"))
}

/// Text that stays in its table cell.
fn cell(text: &str) -> String {
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace('|', "\\|")
}

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}
