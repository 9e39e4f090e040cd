//! Fuzz targets: whatever users, nodes and earlier versions hand to the agent. `cargo xtask fuzz` plays them for longer
//! than `cargo test` does; `docs/testing.md` has how.

use std::path::PathBuf;
use std::sync::LazyLock;

use hcs_crds::{Isolation, Os, Runtime, annotation_reaches_beyond};
use hcs_fuzz::target;
use regex::Regex;
use serde_json::Value;

use super::capabilities::Defect;
use super::host_policy::HostPolicy;
use super::record::{Record, container_id, parse_container_id};
use super::validate::paths::{Roots, Rules};
use super::validate::{config, host};
use crate::settings::{AgentSettings, Given};

const ROOT: &str = r"C:\hcs\Würk";

fn roots() -> Roots {
    Roots {
        setting: "--layer-roots",
        folders: vec![PathBuf::from(ROOT)],
    }
}

/// What the API server asks of a path, taken from the definition that is installed: a pattern, and whether it has to
/// match or must not.
static RULES: LazyLock<Vec<(bool, Regex)>> = LazyLock::new(|| {
    let crd = serde_json::to_value(hcs_crds::crds().unwrap().remove(0)).unwrap();
    let path = crd
        .pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/bundle/properties/path")
        .unwrap();
    let rules = path["x-kubernetes-validations"].as_array().unwrap();
    let read = |rule: &Value| {
        let rule = rule["rule"].as_str().unwrap();
        let (wanted, pattern) = match rule.strip_prefix('!') {
            Some(rule) => (false, rule),
            None => (true, rule),
        };
        let pattern = pattern.strip_prefix("self.matches(r'").unwrap();
        let pattern = pattern.strip_suffix("')").unwrap();
        (wanted, Regex::new(pattern).unwrap())
    };
    rules.iter().map(read).collect()
});

/// Whether no component of it can be read as another place, by Windows' rules, and it lies below [`ROOT`]: said in
/// another way than the agent says it, letter by letter.
fn lies_below_the_root(path: &str) -> bool {
    let same = |a: char, b: char| {
        a == b
            || (a.is_ascii() && a.eq_ignore_ascii_case(&b))
            || "üÜ".contains(a) && "üÜ".contains(b)
    };
    let mut rest = path.chars();
    let starts = ROOT
        .chars()
        .all(|root| rest.next().is_some_and(|c| same(root, c)));
    starts && matches!(rest.next(), None | Some('\\'))
}

target!(
    /// What the agent lets through lies below the root, and the API server would have let it through too.
    windows_paths,
    |text| {
        for path in [text.to_owned(), format!(r"{ROOT}\{text}")] {
            let admitted = roots().admit_by(&path, Rules::Windows);
            if let Ok(admitted) = admitted {
                let admitted = admitted.to_str().unwrap();
                assert!(lies_below_the_root(admitted), "{path:?} became {admitted:?}");
                let again = roots().admit_by(admitted, Rules::Windows).unwrap();
                assert_eq!(again.to_str(), Some(admitted));
                for (wanted, rule) in &*RULES {
                    assert_eq!(rule.is_match(&path), *wanted, "{path:?} by {rule}");
                }
            }
        }
    }
);

target!(
    /// No path of a simulated node leaves its root.
    posix_paths,
    |text| {
        let roots = Roots {
            setting: "--layer-roots",
            folders: vec![PathBuf::from("/srv/hcs")],
        };
        for path in [text.to_owned(), format!("/srv/hcs/{text}")] {
            if let Ok(admitted) = roots.admit_by(&path, Rules::Posix) {
                assert!(admitted.starts_with("/srv/hcs"), "{admitted:?}");
                let mut parts = admitted.components();
                assert!(!parts.any(|part| part.as_os_str() == ".."), "{admitted:?}");
            }
        }
    }
);

/// All that lies under these keys, each as Go would read it: in any case, and in each item of a list.
fn found<'a>(value: &'a Value, keys: &[&str]) -> Vec<&'a Value> {
    match (value, keys) {
        (Value::Array(items), _) => items.iter().flat_map(|item| found(item, keys)).collect(),
        (value, []) => vec![value],
        (Value::Object(fields), [first, rest @ ..]) => fields
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(first))
            .flat_map(|(_, value)| found(value, rest))
            .collect(),
        _ => Vec::new(),
    }
}

/// What of a config runhcs would act on, wherever the agent looks for it.
fn is_harmless(config: &Value) {
    for denied in [
        &["hooks"][..],
        &["windows", "devices"],
        &["windows", "credentialSpec"],
        &["windows", "network", "endpointList"],
    ] {
        let asked = found(config, denied);
        assert!(!asked.into_iter().any(is_something), "{denied:?}");
    }
    let known = config::host_paths(config);
    let known: Vec<&String> = known.layers.iter().chain(&known.mounts).collect();
    for place in [
        &["mounts", "source"][..],
        &["windows", "layerFolders"],
        &["windows", "hyperv", "utilityVMPath"],
    ] {
        let paths = found(config, place).into_iter().filter_map(Value::as_str);
        for path in paths.filter(|path| !path.is_empty()) {
            let seen = known.iter().any(|known| *known == path);
            assert!(seen, "nobody looks at {path:?} of {place:?}");
        }
    }
}

fn is_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::String(text) => !text.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

target!(
    /// A config that passes asks for nothing of the host, and each path in it is looked at.
    configs,
    |text| {
        let Ok(config) = serde_json::from_str::<Value>(text) else {
            return;
        };
        let policy = HostPolicy::of_roots(roots(), roots(), roots(), roots());
        for (os, isolation) in [
            (Os::Windows, Isolation::Process),
            (Os::Windows, Isolation::HyperV),
            (Os::Linux, Isolation::HyperV),
        ] {
            let runtime = Runtime { os, isolation };
            let passes = config::check(&config, runtime).is_ok();
            if passes && host::admit_config(&config, runtime, &policy).is_ok() {
                is_harmless(&config);
            }
        }
    }
);

target!(
    /// Case and what follows the name never make an annotation pass.
    annotations,
    |text| {
        let reaches = annotation_reaches_beyond(text);
        assert_eq!(annotation_reaches_beyond(&text.to_ascii_uppercase()), reaches);
        assert_eq!(annotation_reaches_beyond(&text.to_ascii_lowercase()), reaches);
        let key = format!("io.microsoft.virtualmachine.{text}x");
        assert!(annotation_reaches_beyond(&key), "{key:?}");
    }
);

target!(
    /// A record that can be read is the same after it was written again.
    records,
    |text| {
        if let Ok(record) = serde_json::from_str::<Record>(text) {
            let written = serde_json::to_string(&record).unwrap();
            let again: Record = serde_json::from_str(&written).unwrap();
            assert_eq!(serde_json::to_string(&again).unwrap(), written);
        }
    }
);

target!(
    /// A settings file is taken or refused, and what is taken has roots that a path can lie below.
    settings,
    |text| {
        let Ok(Some(given)) = serde_yaml_ng::from_str::<Option<Given>>(text) else {
            return;
        };
        match AgentSettings::check(&given) {
            Ok(settings) => {
                assert!(!settings.node.is_empty());
                for root in settings.policy.layers.folders.iter().map(|root| root.to_str().unwrap()) {
                    settings.policy.layers.admit(root).unwrap();
                }
            }
            Err(wrong) => assert!(wrong.iter().all(|wrong| wrong.setting.starts_with("--"))),
        }
    }
);

target!(
    /// An id is the agent's own only if the agent would make it just so.
    container_ids,
    |text| {
        if let Some((uid, attempt)) = parse_container_id(text) {
            assert_eq!(container_id(uid, attempt), text);
        }
        let _ = Defect::shown_by(text);
    }
);
