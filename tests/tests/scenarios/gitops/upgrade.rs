//! This version's agent with what earlier ones left behind: it takes all over as it is, and runs nothing that changes
//! anything. And with what a newer one left, since a downgrade is the same the other way round.

use std::collections::BTreeMap;
use std::fs;

use hcs_crds::HcsContainer;
use hcs_tests::{Error, Live, Node, PATIENCE, Result, Scenario, eventually};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::recorded::{Case, PLACE, PLACEHOLDERS, folder};
use crate::nodes::page_comes_to;

/// Commands that change nothing.
const HARMLESS: [&str; 4] = ["list", "state", "ps", "help"];

fn cases(version: &str) -> Vec<Case> {
    let mut files: Vec<_> = fs::read_dir(folder(version))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    files
        .iter()
        .map(|file| serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap())
        .collect()
}

/// Moves all times on by as much as has passed since they were recorded.
pub fn shift(value: &mut Value, by: SignedDuration) {
    match value {
        Value::String(text) => {
            if let Ok(time) = text.parse::<Timestamp>() {
                *text = (time + by).to_string();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| shift(item, by)),
        Value::Object(fields) => fields.values_mut().for_each(|field| shift(field, by)),
        _ => {}
    }
}

/// As it is written inside a JSON string.
fn in_json(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted.trim_matches('"').to_owned()
}

fn filled(value: &Value, scenario: &Scenario, node: &Node, uid: &str) -> Value {
    let dir = in_json(&node.path(node.dir()));
    let with = [&dir, node.name(), scenario.namespace(), uid];
    let mut text = value.to_string();
    for (placeholder, what) in PLACEHOLDERS.iter().zip(with) {
        text = text.replace(placeholder, what);
    }
    serde_json::from_str(&text).unwrap()
}

/// The object with the generation that it had.
async fn object(scenario: &Scenario, node: &Node, case: &Case) -> Result<Live> {
    let mut whole = filled(&case.object, scenario, node, "");
    let metadata = whole["metadata"].as_object_mut().unwrap();
    let deleted = metadata.remove("deletionTimestamp").is_some();
    let generation = metadata.remove("generation").unwrap().as_i64().unwrap();
    // A deletion is a generation of its own.
    let generation = generation - i64::from(deleted);
    let grace = whole["spec"]["terminationGracePeriodSeconds"].take();
    let of = |turn: i64| {
        if turn == generation {
            grace.clone()
        } else {
            json!(600 + turn)
        }
    };
    whole["spec"]["terminationGracePeriodSeconds"] = of(1);
    let whole: HcsContainer = serde_json::from_value(whole).unwrap();
    let live = scenario.create_object(&whole).await;
    let live = live.map_err(Error::api("create a recorded object"))?;
    for turn in 2..=generation {
        live.patch_spec(json!({"terminationGracePeriodSeconds": of(turn)}))
            .await?;
    }
    if deleted {
        live.delete().await?;
    }
    Ok(live)
}

/// Makes the container again as it was; gives its shim.
async fn container(node: &Node, id: &str, case: &Case, config: &Value) -> Result<Option<u32>> {
    let Some(state) = &case.container else {
        return Ok(None);
    };
    let bundle = node.agent().data_dir().join("bundles").join(id);
    let config = config.to_string();
    let config = config
        .replace(
            &format!("{PLACE}/workload"),
            &in_json(&node.path(node.workload())),
        )
        .replace(PLACE, &in_json(&node.path(node.dir())));
    let parsed: Value = serde_json::from_str(&config).unwrap();
    for layer in parsed["windows"]["layerFolders"].as_array().unwrap() {
        fs::create_dir_all(node.unix_path(layer.as_str().unwrap())).unwrap();
    }
    fs::create_dir_all(&bundle).unwrap();
    fs::write(bundle.join("config.json"), config).unwrap();
    let bundle = node.path(&bundle);
    let run = |args: &[&str]| {
        let done = node.machine().call(args).unwrap();
        assert!(done.status.success(), "{args:?}");
    };
    run(&["create", "--bundle", &bundle, id]);
    if state != "created" {
        run(&["start", id]);
    }
    if state == "paused" {
        run(&["pause", id]);
    }
    if state == "stopped" {
        // It may have ended by itself, as it did when it was recorded.
        node.machine().call(&["kill", id])?;
    }
    let what = format!("{id} is {state}");
    let found = eventually(PATIENCE, &what, || async {
        let found = node.sim().container(id).unwrap();
        Ok(if found.status == *state {
            Ok(found)
        } else {
            Err(found)
        })
    });
    // An end is listed a moment before its shim is gone.
    let shim = u32::try_from(found.await?.shim).ok();
    Ok(shim.filter(|pid| *pid > 0 && state != "stopped"))
}

/// Puts everything back as it was recorded.
async fn play(
    scenario: &Scenario,
    node: &Node,
    case: &Case,
    boot: &str,
    change: fn(&mut Value),
) -> Result<(Live, Value)> {
    let live = object(scenario, node, case).await?;
    // In whole seconds, as a status keeps its times.
    let by = Timestamp::now().duration_since(case.recorded_at).as_secs();
    let by = SignedDuration::from_secs(by);
    let fill = |value: &Value| {
        let mut value = filled(value, scenario, node, live.uid());
        shift(&mut value, by);
        value
    };
    let mut record = fill(&case.record);
    let mut status = fill(&case.object["status"]);
    let id = status["containerID"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let shim = container(node, &id, case, &fill(&case.config)).await?;
    if let Some(pid) = shim {
        let started = node.machine().start_time(pid)?;
        record["shim"] = json!({"pid": pid, "start_time": started});
        status["pid"] = json!(pid);
        status["bootID"] = json!(boot);
    }
    record["boot_id"] = json!(boot);
    if let Some(path) = record["scratch"]["path"].as_str() {
        let path = node.unix_path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    change(&mut record);
    let records = node.agent().data_dir().join("records");
    fs::create_dir_all(&records).unwrap();
    fs::write(
        records.join(format!("{}.json", live.uid())),
        record.to_string(),
    )
    .unwrap();
    let patch = Patch::Merge(json!({"status": status}));
    let api = scenario.containers();
    let written = api
        .patch_status(live.name(), &PatchParams::default(), &patch)
        .await;
    written.map_err(Error::api("write a recorded status"))?;
    Ok((live, status))
}

/// What an object says, without what is of the moment.
fn told(status: &Value) -> Value {
    let conditions: BTreeMap<&str, String> = status["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|c| {
            (
                c["type"].as_str().unwrap(),
                format!("{} {}", c["status"], c["reason"]),
            )
        })
        .collect();
    json!({
        "conditions": conditions,
        "phase": status["phase"],
        "attempt": status["attempt"],
        "containerID": status["containerID"],
        "pid": status["pid"],
        "restartCount": status["restartCount"],
        "lastTermination": status["lastTermination"],
        "scratch": status["scratch"],
    })
}

async fn takes_all_over(name: &str, version: &str, change: fn(&mut Value)) -> Result {
    let scenario = Scenario::named(name).await?;
    let node = scenario.node().await?;
    let page = page_comes_to(&scenario, node.name(), "says its boot", |status| {
        status.boot_id.is_some()
    });
    let boot = page.await?.boot_id.unwrap();
    node.agent().stop();
    let mut objects = Vec::new();
    for case in cases(version) {
        objects.push(play(&scenario, &node, &case, &boot, change).await?);
    }
    assert!(objects.len() >= 15, "{}", objects.len());
    let (mut containers, calls) = (node.containers()?, node.calls()?.len());
    node.agent().start_again()?;
    node.agent().ready().await?;
    // Shims are others than those that were recorded: when they were started is written once.
    node.relists(3).await?;
    scenario.is_at_rest_on(&node).await?;
    for (live, before) in &objects {
        let now = json!(live.status().await?);
        assert_eq!(told(&now), told(before), "{}", live.name());
    }
    let run: Vec<String> = node.calls()?.split_off(calls);
    let changing: Vec<_> = run
        .iter()
        .filter(|verb| !HARMLESS.contains(&&***verb))
        .collect();
    assert!(changing.is_empty(), "{changing:?}");
    let mut after = node.containers()?;
    containers.sort();
    after.sort();
    assert_eq!(after, containers);
    let records = node.agent().data_dir().join("records");
    for record in fs::read_dir(records).unwrap().flatten() {
        let path = record.path();
        assert!(
            path.extension().is_some_and(|e| e == "json"),
            "{path:?} was set aside"
        );
    }
    for (live, _) in &objects {
        // Those that are being stopped have an hour for it.
        live.patch_spec(json!({"terminationGracePeriodSeconds": 0}))
            .await?;
    }
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn all_that_v0_1_0_left_is_taken_over_and_nothing_is_changed() -> Result {
    takes_all_over("upgrade", "v0.1.0", |_| {}).await
}

#[tokio::test]
async fn what_a_newer_version_left_is_taken_over_without_what_is_not_known_of_it() -> Result {
    takes_all_over("downgrade", "v0.1.0", |record| {
        let news = json!({"since": "v9", "list": [1, 2]});
        for place in [
            "/object", "/applied", "/shim", "/ended", "/trouble", "/scratch", "",
        ] {
            if let Some(Value::Object(fields)) = record.pointer_mut(place) {
                fields.insert("fromTheFuture".to_owned(), news.clone());
            }
        }
    })
    .await
}
