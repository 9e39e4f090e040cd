//! How the keys of a config are spelled.
//!
//! runhcs reads JSON as Go does, which takes `Mounts` for `mounts`, and `mountſ` as well. A check that
//! looks at `mounts` alone would let the others by.

use serde_json::Value;

/// Names of an OCI runtime spec that the agent judges, or that decide what runhcs does.
const NAMES: [&str; 59] = [
    "affinity",
    "allowUnqualifiedDNSQuery",
    "annotations",
    "args",
    "bps",
    "commandLine",
    "consoleSize",
    "count",
    "cpu",
    "credentialSpec",
    "cwd",
    "destination",
    "devices",
    "DNSSearchList",
    "domainname",
    "endpointList",
    "env",
    "freebsd",
    "gidMappings",
    "height",
    "hooks",
    "hostname",
    "hyperv",
    "id",
    "idType",
    "ignoreFlushesDuringBoot",
    "iops",
    "layerFolders",
    "limit",
    "linux",
    "maximum",
    "memory",
    "mounts",
    "network",
    "networkNamespace",
    "networkSharedContainerName",
    "ociVersion",
    "options",
    "path",
    "process",
    "readonly",
    "resources",
    "root",
    "sandboxSize",
    "servicing",
    "shares",
    "solaris",
    "source",
    "storage",
    "terminal",
    "type",
    "uidMappings",
    "user",
    "username",
    "utilityVMPath",
    "vm",
    "width",
    "windows",
    "zos",
];

/// Parts of a config whose keys runhcs takes as they are.
const MAPS: [&str; 5] = ["annotations", "credentialSpec", "rdma", "sysctl", "unified"];

/// A key that runhcs would read as another, and that other.
#[derive(Debug, PartialEq, Eq)]
pub struct Alias {
    /// The key as it is written.
    pub key: String,
    /// What runhcs takes it for.
    pub means: &'static str,
}

/// The first key of a config, at any depth, that is spelled otherwise than runhcs will read it.
pub fn alias(config: &Value) -> Option<Alias> {
    match config {
        Value::Array(items) => items.iter().find_map(alias),
        Value::Object(fields) => fields.iter().find_map(|(key, value)| {
            if let Some(means) = other_spelling(key) {
                let key = key.clone();
                return Some(Alias { key, means });
            }
            let is_map = MAPS.contains(&key.as_str());
            if is_map { None } else { alias(value) }
        }),
        _ => None,
    }
}

fn other_spelling(key: &str) -> Option<&'static str> {
    let folded = fold(key);
    let means = NAMES.into_iter().find(|name| fold(name) == folded)?;
    (means != key).then_some(means)
}

/// As Go's encoding/json does: letters that differ in nothing but case are one, `ſ` is an s and the
/// Kelvin sign a k.
fn fold(key: &str) -> String {
    key.chars()
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_in_another_case_is_found_at_any_depth_and_by_any_letter() {
        for (config, key, means) in [
            (json!({"Mounts": []}), "Mounts", "mounts"),
            (json!({"mount\u{17f}": []}), "mount\u{17f}", "mounts"),
            (json!({"hoo\u{212a}s": {}}), "hoo\u{212a}s", "hooks"),
            (json!({"mounts": [{"Source": "C:\\"}]}), "Source", "source"),
            (
                json!({"windows": {"LAYERFOLDERS": []}}),
                "LAYERFOLDERS",
                "layerFolders",
            ),
        ] {
            let key = key.to_owned();
            assert_eq!(alias(&config), Some(Alias { key, means }));
        }
    }

    #[test]
    fn right_spellings_and_names_that_users_give_are_left_alone() {
        let config = json!({
            "process": {"args": ["Mounts"], "env": ["PATH=x"]},
            "annotations": {"Path": "x", "ID": "y"},
            "linux": {"sysctl": {"Memory": "1"}},
            "somethingElse": {"Other": 1},
        });
        assert_eq!(alias(&config), None);
    }

    #[test]
    fn no_name_is_in_the_list_twice() {
        let mut names = NAMES.map(fold).to_vec();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), NAMES.len());
    }
}
