//! What a world looks like, without what is another in each run: times, the numbers of attempts, the last commands. And
//! whether the node's page says what is left over there.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

use super::world::World;
use crate::agent::fixtures::{short, uid};

/// Fields that differ without meaning.
const DIFFERS: [&str; 20] = [
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
    "booted_at",
    // What has run says what can run here; the next agent has to see it run again.
    "capabilities",
];

/// What a snapshot says where the node's page does not list what is left over.
pub const WRONG: &str = "the page is wrong";

/// The objects, what runhcs has, the node's page, and each file with what is in it.
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
    let page = world.api.page().0.unwrap_or_default()["status"].take();
    let (told, there) = (told(&page), left_over(world));
    if told != there {
        let _ = writeln!(text, "{WRONG}: {told:?}, there is {there:?}");
    }
    let page = serde_json::to_string_pretty(&plain(page)).unwrap();
    let _ = writeln!(text, "page {}", neutral(&page));
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

/// What the page lists.
fn told(page: &Value) -> Vec<String> {
    let inventory = &page["inventory"];
    let ids = inventory["foreignContainers"]["ids"].as_array();
    let foreign = ids.into_iter().flatten();
    let foreign = foreign.map(|id| format!("foreign {}", id.as_str().unwrap()));
    let items = inventory["leftovers"]["items"].as_array();
    let own = items.into_iter().flatten().map(|item| {
        let text = |field: &str| item[field].as_str().unwrap().to_owned();
        format!("{} {}", text("kind"), text("name"))
    });
    sorted(foreign.chain(own))
}

/// What is there and belongs to no object, by the world's own looks and not by the agent's.
fn left_over(world: &World) -> Vec<String> {
    let objects = world.api.objects();
    let living = |name: &str| {
        let uids = objects
            .iter()
            .map(|object| object["metadata"]["uid"].as_str());
        uids.flatten().any(|uid| name.contains(uid))
    };
    let in_folder = |folder: &str| {
        let entries = std::fs::read_dir(world.data().join(folder));
        let entries = entries.into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect::<Vec<_>>()
    };
    let named = |path: &Path| path.to_string_lossy().into_owned();
    let containers = world.runtime.ids().into_iter().filter_map(|id| {
        let own = id.starts_with("hc-");
        let kind = if own { "Container" } else { "foreign" };
        (!own || !living(&id)).then(|| format!("{kind} {id}"))
    });
    let bundles = in_folder("bundles").into_iter().map(|path| named(&path));
    let bundles = bundles.filter(|path| !living(path));
    let bundles = bundles.map(|path| format!("Bundle {path}"));
    let disks = in_folder("scratch").into_iter().flat_map(|folder| {
        if !living(&named(&folder)) {
            return vec![folder];
        }
        let files = std::fs::read_dir(&folder).unwrap().flatten();
        let files = files.map(|file| file.path());
        files
            .filter(|file| named(file).contains(".retained-"))
            .collect()
    });
    let disks = disks.map(|path| format!("Scratch {}", named(&path)));
    let records = in_folder("records");
    let unreadable = records
        .iter()
        .filter(|path| path.extension().is_some_and(|e| e == "unreadable"));
    let unreadable = unreadable.map(|path| format!("Record {}", named(path)));
    let claimed: Vec<String> = records.iter().flat_map(|path| claims_in(path)).collect();
    let boots = in_folder("mounted");
    let mounted = boots
        .iter()
        .flat_map(|boot| std::fs::read_dir(boot).unwrap());
    let layers = mounted.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
    let layers = layers.filter(|layer| !claimed.contains(layer));
    let layers = layers.map(|layer| format!("MountedLayer {layer}"));
    let all = containers.chain(bundles).chain(disks);
    sorted(all.chain(unreadable).chain(layers))
}

fn claims_in(record: &Path) -> Vec<String> {
    let record = std::fs::read(record).unwrap_or_default();
    let record: Value = serde_json::from_slice(&record).unwrap_or_default();
    serde_json::from_value(record["claims"].clone()).unwrap_or_default()
}

fn sorted(all: impl Iterator<Item = String>) -> Vec<String> {
    let mut all: Vec<String> = all.collect();
    all.sort();
    all
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
