//! What a world looks like, without what is another in each run: times, the numbers of attempts, the last commands.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

use super::world::World;
use crate::agent::fixtures::{short, uid};

/// Fields that differ without meaning.
const DIFFERS: [&str; 18] = [
    "seen",
    "resourceVersion",
    "attempt",
    "recent",
    "recentCommands",
    "lastTransitionTime",
    "shim",
    "pid",
    "pidStartTime",
    "startedAt",
    "started_at",
    "finishedAt",
    "signaled_at",
    "at",
    "retryAfter",
    "retry_after",
    "deletionTimestamp",
    "boot_id",
];

/// The objects, what runhcs has, and each file with what is in it.
pub fn snapshot(world: &World) -> String {
    let mut text = String::new();
    let attempt = current_attempt(world);
    let numbered = format!("web-{attempt}");
    let neutral = |text: &str| short(text).replace(&numbered, "web-#");
    for object in world.api.objects() {
        let object = serde_json::to_string_pretty(&plain(object)).unwrap();
        let _ = writeln!(text, "object {}", neutral(&object));
    }
    for (id, state) in world.runtime.has() {
        let _ = writeln!(text, "container {} {state}", neutral(&id));
    }
    files(&world.data(), &mut |path| {
        let name = path.strip_prefix(world.dir()).unwrap().to_string_lossy();
        let content = std::fs::read(path).unwrap_or_default();
        let content = match serde_json::from_slice(&content) {
            Ok(json) => serde_json::to_string_pretty(&plain(json)).unwrap(),
            Err(_) => String::from_utf8_lossy(&content).into_owned(),
        };
        let _ = writeln!(text, "file {} {}", neutral(&name), neutral(&content));
    });
    text.replace(&world.dir().to_string_lossy().into_owned(), "")
}

fn current_attempt(world: &World) -> u64 {
    let record = world.data().join(format!("records/{}.json", uid("web")));
    let record = std::fs::read(record).unwrap_or_default();
    let record: Value = serde_json::from_slice(&record).unwrap_or_default();
    record["attempt"].as_u64().unwrap_or_default()
}

fn plain(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(name, _)| !DIFFERS.contains(&name.as_str()) && !name.ends_with("/attempt"))
            .map(|(name, value)| (name, plain(value)))
            .collect(),
        Value::Array(values) => values.into_iter().map(plain).collect(),
        other => other,
    }
}

/// All that is in a folder, in the order of the names.
fn files(folder: &Path, see: &mut impl FnMut(&Path)) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    // runhcs' own, which the fake does not always write.
    paths.retain(|path| !path.ends_with("shim.pid"));
    paths.sort();
    for path in paths {
        if path.is_dir() {
            // An empty folder that is always there says nothing; one of a container is a leftover.
            if path.parent() != Some(folder) || std::fs::read_dir(&path).unwrap().count() == 0 {
                see(&path);
            }
            files(&path, see);
        } else {
            see(&path);
        }
    }
}
