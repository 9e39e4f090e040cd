//! The inline `config.json` of an `HcsContainer`, kept as text: a watch of a node holds each of its objects for as long as
//! it is there, and as a tree of values a config takes five times the memory that it takes as text.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

/// An OCI runtime spec (a JSON object) as compact JSON text with sorted keys. Reads and writes as the object. Copies share
/// the text.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct OciConfig(Arc<str>);

impl OciConfig {
    /// The object. It is made anew with each call.
    ///
    /// Empty if it is nested deeper than [`serde_json`] reads (128 levels): no API server sends such a one.
    pub fn to_map(&self) -> Map<String, Value> {
        serde_json::from_str(&self.0).unwrap_or_default()
    }

    /// Changes the object.
    pub fn update(&mut self, change: impl FnOnce(&mut Map<String, Value>)) {
        let mut map = self.to_map();
        change(&mut map);
        *self = map.into();
    }
}

impl From<Map<String, Value>> for OciConfig {
    fn from(map: Map<String, Value>) -> Self {
        Self(Value::Object(map).to_string().into())
    }
}

/// An empty object.
impl Default for OciConfig {
    fn default() -> Self {
        Map::new().into()
    }
}

impl fmt::Debug for OciConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for OciConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_map().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for OciConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Map::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_config_reads_and_writes_as_the_object_that_it_is() {
        let given =
            json!({"process": {"args": ["a"]}, "b": {"n": [1, -2, 0.5, null]}, "a": "\"ü\""});
        let config: OciConfig = serde_json::from_value(given.clone()).unwrap();
        assert_eq!(serde_json::to_value(&config).unwrap(), given);
        assert_eq!(Value::Object(config.to_map()), given);
        assert_eq!(
            serde_json::to_string(&config).unwrap(),
            format!("{config:?}")
        );
    }

    #[test]
    fn only_an_object_is_a_config() {
        for wrong in [json!([]), json!("{}"), json!(1)] {
            assert!(
                serde_json::from_value::<OciConfig>(wrong.clone()).is_err(),
                "{wrong}"
            );
        }
    }

    #[test]
    fn configs_are_equal_whatever_the_order_of_their_keys() {
        let read = |text| serde_json::from_str::<OciConfig>(text).unwrap();
        let mut changed = read(r#"{"a":1,"b":2}"#);
        assert_eq!(changed, read(r#"{ "b": 2, "a": 1 }"#));
        changed.update(|map| map["a"] = json!(3));
        assert_eq!(changed, read(r#"{"a":3,"b":2}"#));
    }
}
