//! What there is to be seen of a node and its object, without what is another in each run.

use std::fmt::Write as _;

use hcs_crds::HcsContainer;
use hcs_tests::{Live, Node};
use serde_json::Value;

/// Fields of a status that differ without meaning.
const DIFFERS: [&str; 12] = [
    "attempt",
    "containerID",
    "pid",
    "pidStartTime",
    "bootID",
    "startedAt",
    "finishedAt",
    "recentCommands",
    "lastTransitionTime",
    "retryAfter",
    "path",
    "processes",
];

/// The object's status and finalizers, the containers, and the files of the agent.
pub fn snapshot(node: &Node, web: &Live, object: Option<&HcsContainer>) -> String {
    let mut text = String::new();
    let attempt = object.and_then(|object| object.status.as_ref()?.attempt);
    let id = format!("hc-{}-", web.uid());
    let current = format!("{id}{}", attempt.unwrap_or_default());
    let neutral = |text: &str| {
        let text = text.replace(&current, "web-#").replace(&id, "web-");
        text.replace(web.uid(), "U")
    };
    if let Some(object) = object {
        let status = serde_json::to_value(&object.status).unwrap();
        let status = serde_json::to_string_pretty(&plain(status)).unwrap();
        let _ = writeln!(text, "finalizers {:?}", object.metadata.finalizers);
        let _ = writeln!(text, "{}", neutral(&status));
    }
    for container in node.sim().containers().unwrap() {
        let _ = writeln!(
            text,
            "container {} {}",
            neutral(&container.id),
            container.status
        );
    }
    let mut files: Vec<String> = Vec::new();
    for folder in ["bundles", "records", "scratch"] {
        files_below(&node.agent().data_dir().join(folder), &mut files);
    }
    for file in files {
        let file = file.replace(&node.dir().display().to_string(), "");
        let _ = writeln!(text, "file {}", neutral(&file));
    }
    text
}

fn files_below(folder: &std::path::Path, files: &mut Vec<String>) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        files.push(path.display().to_string());
        files_below(&path, files);
    }
}

fn plain(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(name, _)| !DIFFERS.contains(&name.as_str()))
            .map(|(name, value)| (name, plain(value)))
            .collect(),
        Value::Array(values) => values.into_iter().map(plain).collect(),
        other => other,
    }
}

/// The lines that only one of two has.
pub fn difference(before: &str, after: &str) -> Vec<String> {
    let (before, after): (Vec<_>, Vec<_>) = (before.lines().collect(), after.lines().collect());
    let without = before.iter().filter(|line| !after.contains(line));
    let with = after.iter().filter(|line| !before.contains(line));
    let lines = without.map(|line| format!("- {}", line.trim()));
    lines
        .chain(with.map(|line| format!("+ {}", line.trim())))
        .collect()
}
