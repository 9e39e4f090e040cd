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
    let rules = rules(schema);
    if !rules.is_empty() {
        line(out, "\nRules:\n");
        out.push_str(&rules);
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

/// The rules of an object, and of those of its fields that have no section of their own.
fn rules(schema: &JSONSchemaProps) -> String {
    let mut out = String::new();
    for message in messages(schema) {
        line(&mut out, &format!("- {}", plain(message)));
    }
    for (name, field) in schema.properties.iter().flatten() {
        if field.properties.is_some() {
            continue;
        }
        for message in messages(field) {
            line(&mut out, &format!("- `{name}`: {}", plain(message)));
        }
        if let Some(JSONSchemaPropsOrArray::Schema(items)) = &field.items {
            for message in messages(items) {
                line(&mut out, &format!("- each of `{name}`: {}", plain(message)));
            }
        }
    }
    out
}

fn messages(schema: &JSONSchemaProps) -> impl Iterator<Item = &str> {
    let rules = schema.x_kubernetes_validations.iter().flatten();
    rules.filter_map(|rule| rule.message.as_deref())
}

/// What the schema says of a field beyond its description.
fn facts(field: &JSONSchemaProps, required: bool) -> Vec<String> {
    let mut facts = Vec::new();
    let said = field.description.as_deref().unwrap_or_default();
    if required {
        facts.push("**Required.**".to_owned());
    }
    if let Some(values) = &field.enum_ {
        let values: Vec<_> = values
            .iter()
            .map(|value| value.0.as_str().unwrap_or("?"))
            .collect();
        if !values.iter().all(|value| said.contains(value)) {
            facts.push(format!("One of {}.", values.join(", ")));
        }
    }
    if let Some(length) = field
        .max_length
        .filter(|length| !said.contains(&length.to_string()))
    {
        facts.push(format!("At most {length} characters."));
    }
    if let Some(items) = field.max_items {
        facts.push(format!("At most {items} items."));
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

/// Text that stays in its table cell.
fn cell(text: &str) -> String {
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace('|', "\\|")
}

/// Text without markup, as text.
fn plain(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if matches!(c, '\\' | '<' | '>' | '*' | '|' | '`' | '_') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}
