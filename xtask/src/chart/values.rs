//! The chart's values, as their schema says: `values.yaml` with every default, and a table of them.

use std::fmt::Write;

use anyhow::{Context, Result, bail};
use serde_yaml_ng::{Mapping, Value};

const HEADER: &str = "\
# Generated from values.schema.json by `cargo xtask generate`. Do not edit.
#
# A value with # before it has no default here.
";

/// Where the table is in the README.
const BEGIN: &str = "<!-- values: written by `cargo xtask generate` -->";
const END: &str = "<!-- end of values -->";

/// Comments are wrapped at this column.
const WIDTH: usize = 100;

/// `values.yaml`.
pub fn file(schema: &Value) -> Result<String> {
    let mut text = HEADER.to_owned();
    write_section(&mut text, properties(schema)?, 0)?;
    Ok(text)
}

/// The chart's README with the table in its place.
pub fn in_readme(readme: &str, schema: &Value) -> Result<String> {
    let before = readme.split_once(BEGIN).map(|(before, _)| before);
    let after = readme.split_once(END).map(|(_, after)| after);
    let (Some(before), Some(after)) = (before, after) else {
        bail!("the chart's README has no place for the values");
    };
    let mut table = "| value | type | default | what |\n| --- | --- | --- | --- |\n".to_owned();
    write_rows(&mut table, schema, properties(schema)?, "")?;
    Ok(format!("{before}{BEGIN}\n{table}{END}{after}"))
}

fn write_section(text: &mut String, section: &Mapping, indent: usize) -> Result<()> {
    for (name, value) in named(section) {
        if indent == 0 {
            text.push('\n');
        }
        write_value(text, name, value, indent).with_context(|| format!("in the value {name}"))?;
    }
    Ok(())
}

fn write_value(text: &mut String, name: &str, value: &Value, indent: usize) -> Result<()> {
    let space = " ".repeat(indent);
    for line in wrapped(description(value)?, WIDTH - indent - 2) {
        writeln!(text, "{space}# {line}")?;
    }
    if let Ok(section) = properties(value) {
        writeln!(text, "{space}{name}:")?;
        return write_section(text, section, indent + 2);
    }
    let (mark, shown) = match value.get("default") {
        Some(default) => ("", default),
        None => ("# ", example(value)?),
    };
    let shown = serde_yaml_ng::to_string(shown)?;
    let shown = shown.trim_end();
    let block = shown.contains('\n') || shown.starts_with("- ") || shown.contains(": ");
    if !block {
        writeln!(text, "{space}{mark}{name}: {shown}")?;
        return Ok(());
    }
    writeln!(text, "{space}{mark}{name}:")?;
    for line in shown.lines() {
        writeln!(text, "{space}{mark}  {line}")?;
    }
    Ok(())
}

fn write_rows(table: &mut String, schema: &Value, section: &Mapping, above: &str) -> Result<()> {
    for (name, value) in named(section) {
        let path = format!("{above}{name}");
        if let Ok(section) = properties(value) {
            write_rows(table, schema, section, &format!("{path}."))?;
            continue;
        }
        let default = match value.get("default") {
            Some(default) => format!("`{}`", serde_json::to_string(default)?),
            None => format!("– (such as `{}`)", serde_json::to_string(example(value)?)?),
        };
        writeln!(
            table,
            "| `{path}` | {} | {} | {} |",
            kind(schema, value)?,
            default.replace('|', "\\|"),
            description(value)?.replace('|', "\\|")
        )?;
    }
    Ok(())
}

/// What a value can be, for people.
fn kind(schema: &Value, value: &Value) -> Result<String> {
    if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
        let name = reference.rsplit('/').next().unwrap_or(reference);
        let title = schema["$defs"][name]["title"].as_str();
        return title
            .map(str::to_owned)
            .with_context(|| format!("{reference} has no title"));
    }
    if let Some(choices) = value.get("enum").and_then(Value::as_sequence) {
        let choices: Vec<&str> = choices.iter().filter_map(Value::as_str).collect();
        return Ok(choices.join(", "));
    }
    let kind = value["type"].as_str().context("a value has no type")?;
    Ok(match kind {
        "array" => match value["items"]["type"].as_str() {
            Some("string") => "list of strings".to_owned(),
            _ => "list of objects".to_owned(),
        },
        other => other.to_owned(),
    })
}

fn properties(schema: &Value) -> Result<&Mapping> {
    let properties = schema.get("properties").and_then(Value::as_mapping);
    properties.context("the schema has no properties")
}

fn named(section: &Mapping) -> impl Iterator<Item = (&str, &Value)> {
    section
        .iter()
        .filter_map(|(name, value)| Some((name.as_str()?, value)))
}

fn description(value: &Value) -> Result<&str> {
    value["description"]
        .as_str()
        .context("a value has no description")
}

fn example(value: &Value) -> Result<&Value> {
    value
        .get("examples")
        .and_then(|examples| examples.get(0))
        .context("a value has neither default nor example")
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let full = lines
            .last()
            .is_some_and(|line| !line.is_empty() && line.len() + 1 + word.len() > width);
        if full {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> Value {
        serde_yaml_ng::from_str(
            r##"{"properties": {
                "a": {"description": "One.", "properties": {
                    "b": {"description": "Two.", "type": "string", "default": ""},
                    "c": {"description": "Three.", "type": "array", "items": {"type": "string"}, "examples": [["x"]]}}},
                "d": {"description": "Four.", "$ref": "#/$defs/map", "default": {}}},
              "$defs": {"map": {"title": "map of strings"}}}"##,
        )
        .unwrap()
    }

    #[test]
    fn the_file_has_every_value_with_what_it_is() {
        let text = file(&schema()).unwrap();
        let expected = "
# One.
a:
  # Two.
  b: ''
  # Three.
  # c:
  #   - x

# Four.
d: {}
";
        assert_eq!(text, format!("{HEADER}{expected}"));
    }

    #[test]
    fn the_table_has_a_row_for_each() {
        let readme = format!("# Title\n{BEGIN}old{END}\nMore.\n");
        let text = in_readme(&readme, &schema()).unwrap();
        let rows = "| `a.b` | string | `\"\"` | Two. |
| `a.c` | list of strings | – (such as `[\"x\"]`) | Three. |
| `d` | map of strings | `{}` | Four. |
";
        assert!(text.contains(rows), "{text}");
        assert!(text.starts_with("# Title\n") && text.ends_with("\nMore.\n"));
    }

    #[test]
    fn a_value_without_a_description_is_refused() {
        let bare = serde_yaml_ng::from_str(r#"{"properties": {"a": {"type": "string"}}}"#);
        assert!(file(&bare.unwrap()).is_err());
    }
}
