//! JSON as Go reads and writes it: its errors, its leniency, its escapes.

mod scan;
mod write;

pub use scan::first_value;
pub use write::{to_line, to_pretty};

use serde_json::{Map, Value};

/// What Go's decoder has against a document.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// Nothing but white space.
    #[error("EOF")]
    Empty,
    /// It ends in the middle of a value.
    #[error("unexpected EOF")]
    Truncated,
    /// A character that cannot be where it is.
    #[error("invalid character {character} {place}")]
    Invalid {
        /// The character in quotes, as Go prints it.
        character: String,
        /// What it is at odds with.
        place: String,
    },
    /// Nested more than 10,000 deep.
    #[error("exceeded max depth")]
    TooDeep,
    /// A value of another type than its field's.
    #[error("json: cannot unmarshal {found} into Go {target} of type {expected}")]
    Type {
        /// What was found.
        found: String,
        /// Which field (or none) it was for.
        target: String,
        /// Go's type of the field.
        expected: &'static str,
    },
    /// A document that is fine for Go and not for us.
    #[error("runhcs-sim: {0}")]
    Beyond(#[from] serde_json::Error),
}

/// Parses the first value of `text`; what follows it does not matter to Go's decoder.
pub fn parse(text: &[u8]) -> Result<Value, JsonError> {
    let value = first_value(text)?;
    Ok(serde_json::from_str(&String::from_utf8_lossy(value))?)
}

/// Reads the fields of one Go struct out of an object, as Go does: names in any case, `null` as
/// absent, a value of another type an error.
pub struct Fields<'a> {
    object: &'a Map<String, Value>,
    /// Go's name of the struct.
    structure: &'static str,
    /// Path of the object from the document's root, with a dot behind it.
    path: String,
}

impl<'a> Fields<'a> {
    /// The fields of the document itself.
    pub fn of_document(
        value: &'a Value,
        structure: &'static str,
        go_type: &'static str,
    ) -> Result<Self, JsonError> {
        match value {
            Value::Object(object) => Ok(Self {
                object,
                structure,
                path: String::new(),
            }),
            other => Err(JsonError::Type {
                found: describe(other),
                target: "value".to_owned(),
                expected: go_type,
            }),
        }
    }

    /// The fields of the object in field `name`, if there is one.
    pub fn object(
        &self,
        name: &str,
        structure: &'static str,
        go_type: &'static str,
    ) -> Result<Option<Self>, JsonError> {
        match self.find(name) {
            None => Ok(None),
            Some(Value::Object(object)) => Ok(Some(Self {
                object,
                structure,
                path: format!("{}{name}.", self.path),
            })),
            Some(other) => Err(self.mismatch(name, other, go_type)),
        }
    }

    /// A string, empty if absent.
    pub fn string(&self, name: &str) -> Result<String, JsonError> {
        match self.find(name) {
            None => Ok(String::new()),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(other) => Err(self.mismatch(name, other, "string")),
        }
    }

    /// A boolean, false if absent.
    pub fn boolean(&self, name: &str) -> Result<bool, JsonError> {
        match self.find(name) {
            None => Ok(false),
            Some(Value::Bool(value)) => Ok(*value),
            Some(other) => Err(self.mismatch(name, other, "bool")),
        }
    }

    /// An unsigned number of Go's type `uint`, 0 if absent.
    pub fn unsigned(&self, name: &str) -> Result<u64, JsonError> {
        match self.find(name) {
            None => Ok(0),
            Some(value) => value.as_u64().ok_or_else(|| {
                let found = match value {
                    Value::Number(number) => format!("number {number}"),
                    other => describe(other),
                };
                self.error(name, found, "uint")
            }),
        }
    }

    /// A list of strings; `None` if absent.
    pub fn strings(&self, name: &str) -> Result<Option<Vec<String>>, JsonError> {
        let items = match self.find(name) {
            None => return Ok(None),
            Some(Value::Array(items)) => items,
            Some(other) => return Err(self.mismatch(name, other, "[]string")),
        };
        let text = |item: &Value| match item {
            Value::String(text) => Ok(text.clone()),
            Value::Null => Ok(String::new()),
            other => Err(self.mismatch(name, other, "string")),
        };
        items.iter().map(text).collect::<Result<_, _>>().map(Some)
    }

    /// A map of strings; `None` if absent.
    pub fn string_map(
        &self,
        name: &str,
    ) -> Result<Option<std::collections::BTreeMap<String, String>>, JsonError> {
        let entries = match self.find(name) {
            None => return Ok(None),
            Some(Value::Object(entries)) => entries,
            Some(other) => return Err(self.mismatch(name, other, "map[string]string")),
        };
        let entry = |(key, value): (&String, &Value)| match value {
            Value::String(text) => Ok((key.clone(), text.clone())),
            Value::Null => Ok((key.clone(), String::new())),
            other => Err(self.mismatch(name, other, "string")),
        };
        entries
            .iter()
            .map(entry)
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// The value of a field that is neither absent nor `null`.
    fn find(&self, name: &str) -> Option<&'a Value> {
        let exact = self.object.get(name);
        let value = exact.or_else(|| {
            self.object
                .iter()
                .find(|(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, v)| v)
        });
        value.filter(|value| !value.is_null())
    }

    fn mismatch(&self, name: &str, value: &Value, expected: &'static str) -> JsonError {
        self.error(name, describe(value), expected)
    }

    fn error(&self, name: &str, found: String, expected: &'static str) -> JsonError {
        let target = format!("struct field {}.{}{name}", self.structure, self.path);
        JsonError::Type {
            found,
            target,
            expected,
        }
    }
}

fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_names_match_in_any_case_and_null_is_absent() {
        let value = parse(br#"{"CWD":"C:\\","terminal":null} trailing"#).unwrap();
        let fields = Fields::of_document(&value, "Process", "specs.Process").unwrap();
        assert_eq!(fields.string("cwd").unwrap(), "C:\\");
        assert!(!fields.boolean("terminal").unwrap());
        assert_eq!(fields.strings("args").unwrap(), None);
    }

    #[test]
    fn a_wrong_type_is_named_with_its_path() {
        let value = parse(br#"{"process":{"args":"cmd"}}"#).unwrap();
        let spec = Fields::of_document(&value, "Spec", "specs.Spec").unwrap();
        let process = spec
            .object("process", "Process", "specs.Process")
            .unwrap()
            .unwrap();
        assert_eq!(
            process.strings("args").unwrap_err().to_string(),
            "json: cannot unmarshal string into Go struct field Process.process.args of type \
             []string"
        );
        let array = parse(b"[]").unwrap();
        let error = Fields::of_document(&array, "Spec", "specs.Spec")
            .err()
            .unwrap();
        assert_eq!(
            error.to_string(),
            "json: cannot unmarshal array into Go value of type specs.Spec"
        );
    }
}
