//! Acto's oracle (SOSP'23): whatever specs an object had before, in the end it is like a fresh object of its last spec.
//!
//! Two objects are in one world: `web` goes through a sequence of specs, `api` is made with the last of them. What may
//! differ is what is told of the past: counters, ends, and what a container that does not run has left to be looked at.
//! As `managementPolicy: Observe` and `updatePolicy: Manual` are there to keep what is, a sequence ends with Manage, and
//! Manual with another `restartRequest`. A spec that is refused is none to end with: the last good one is applied again.

use std::path::Path;
use std::time::Duration;

use hcs_crds::{
    DesiredState, HcsContainer, HcsContainerSpec, Isolation, ManagementPolicy, Os, ReclaimPolicy,
    RestartPolicy, Scratch, StopSignal, Tty, UpdatePolicy,
};
use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestRunner};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::compare::place;
use crate::agent::fixtures::{Node, Shape, Whole, object, pass, uid};
use crate::agent::validate;

/// With nothing done for so long, an agent has come to rest.
const REST: Duration = Duration::from_secs(65);
/// By then it rests.
const PATIENCE: Duration = Duration::from_mins(20);

/// What of an object cannot change.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Process,
    Vm,
    Linux,
}

/// A change of a spec.
#[derive(Clone, Debug)]
enum Change {
    State(DesiredState),
    Args(u8),
    Folder,
    Scratch(u32, ReclaimPolicy, bool),
    Cached(u32),
    Tty(Option<(u16, u16)>),
    RestartPolicy(RestartPolicy),
    Backoff(u32, u32, u32, Option<u32>),
    Request(u8),
    Update(UpdatePolicy),
    Signal(Option<StopSignal>),
    Grace(u32),
    Management(ManagementPolicy),
    Ttl(Option<u32>),
    NoBundle,
    TwoBundles,
}

fn state() -> impl Strategy<Value = DesiredState> {
    prop::sample::select(vec![
        DesiredState::Created,
        DesiredState::Running,
        DesiredState::Running,
        DesiredState::Paused,
        DesiredState::Stopped,
        DesiredState::Deleted,
    ])
}

fn change() -> impl Strategy<Value = Change> {
    use prop::sample::select;
    let restart = vec![
        RestartPolicy::Always,
        RestartPolicy::OnFailure,
        RestartPolicy::Never,
    ];
    let reclaim = select(vec![ReclaimPolicy::Delete, ReclaimPolicy::Retain]);
    let signals = vec![
        None,
        Some(StopSignal::CtrlC),
        Some(StopSignal::CtrlShutdown),
        Some(StopSignal::Term),
    ];
    let sizes = select(vec![
        None,
        Some((80, 25)),
        Some((120, 30)),
        Some((0, 0)),
        Some((1, 65_535)),
    ]);
    let backoff = (
        0_u32..40,
        0_u32..40,
        0_u32..90,
        select(vec![None, Some(0), Some(3)]),
    );
    prop_oneof![
        4 => state().prop_map(Change::State),
        2 => (0_u8..3).prop_map(Change::Args),
        1 => Just(Change::Folder),
        2 => (select(vec![0_u32, 20, 40]), reclaim, any::<bool>())
            .prop_map(|(size, reclaim, memory)| Change::Scratch(size, reclaim, memory)),
        1 => select(vec![20_u32, 40]).prop_map(Change::Cached),
        2 => sizes.prop_map(Change::Tty),
        1 => select(restart).prop_map(Change::RestartPolicy),
        1 => backoff.prop_map(|(first, last, reset, most)| Change::Backoff(first, last, reset, most)),
        2 => (0_u8..3).prop_map(Change::Request),
        1 => select(vec![UpdatePolicy::Recreate, UpdatePolicy::Manual]).prop_map(Change::Update),
        1 => select(signals).prop_map(Change::Signal),
        1 => (0_u32..60).prop_map(Change::Grace),
        2 => select(vec![ManagementPolicy::Manage, ManagementPolicy::Observe])
            .prop_map(Change::Management),
        1 => select(vec![None, Some(0), Some(5)]).prop_map(Change::Ttl),
        1 => Just(Change::NoBundle),
        1 => Just(Change::TwoBundles),
    ]
}

/// An object and what becomes of its spec, each change so many tenths of a second after the one before.
#[derive(Clone, Debug)]
struct Sequence {
    kind: Kind,
    obeys: bool,
    changes: Vec<(Change, u16)>,
}

fn sequence() -> impl Strategy<Value = Sequence> {
    let kind = prop::sample::select(vec![Kind::Process, Kind::Vm, Kind::Linux]);
    let wait = prop::sample::select(vec![0_u16, 0, 1, 11, 130, 400]);
    let changes = prop::collection::vec((change(), wait), 1..10);
    (kind, any::<bool>(), changes).prop_map(|(kind, obeys, changes)| Sequence {
        kind,
        obeys,
        changes,
    })
}

impl Kind {
    fn object(self, name: &str, dir: &Path) -> HcsContainer {
        match self {
            Self::Process => object(name, dir),
            Self::Vm => object(name, dir).in_a_vm(),
            Self::Linux => object(name, dir).with(|spec| {
                spec.runtime.os = Os::Linux;
                spec.runtime.isolation = Isolation::HyperV;
                spec.scratch = Some(Scratch::default());
            }),
        }
    }
}

impl Change {
    /// Makes the change; `dir` has a bundle of each object.
    fn make(&self, spec: &mut HcsContainerSpec, fresh: &HcsContainer, dir: &Path) {
        let config = || fresh.spec.bundle.config.clone();
        let folder = || folder_of(fresh, dir);
        match self {
            Self::State(state) => spec.desired_state = *state,
            Self::Args(n) => {
                spec.bundle.path = None;
                spec.bundle.config = config();
                let config = spec.bundle.config.as_mut().unwrap();
                config.update(|config| config["process"]["args"] = json!(["run", n.to_string()]));
            }
            Self::Folder => (spec.bundle.config, spec.bundle.path) = (None, Some(folder())),
            Self::Scratch(size_gb, reclaim_policy, use_virtual_memory) => {
                spec.scratch = Some(Scratch {
                    size_gb: *size_gb,
                    reclaim_policy: *reclaim_policy,
                    use_virtual_memory: *use_virtual_memory,
                    cache_file: None,
                });
            }
            Self::Cached(size_gb) => {
                let cache = dir.join("caches/cache.vhdx");
                spec.scratch = Some(Scratch {
                    size_gb: *size_gb,
                    cache_file: Some(cache.to_string_lossy().into_owned()),
                    ..Scratch::default()
                });
            }
            Self::Tty(size) => spec.tty = size.map(|(width, height)| Tty { width, height }),
            Self::RestartPolicy(policy) => spec.restart_policy = *policy,
            Self::Backoff(first, last, reset, most) => {
                spec.restart.initial_backoff_seconds = *first;
                spec.restart.max_backoff_seconds = *last;
                spec.restart.reset_after_seconds = *reset;
                spec.restart.max_restarts = *most;
            }
            Self::Request(n) => spec.restart_request = Some(n.to_string()),
            Self::Update(policy) => spec.update_policy = *policy,
            Self::Signal(signal) => spec.stop_signal = *signal,
            Self::Grace(seconds) => spec.termination_grace_period_seconds = *seconds,
            Self::Management(policy) => spec.management_policy = *policy,
            Self::Ttl(seconds) => spec.ttl_seconds_after_finished = *seconds,
            Self::NoBundle => (spec.bundle.config, spec.bundle.path) = (None, None),
            Self::TwoBundles => (spec.bundle.config, spec.bundle.path) = (config(), Some(folder())),
        }
    }
}

/// The bundle folder of an object, which has its config.
fn folder_of(fresh: &HcsContainer, dir: &Path) -> String {
    let folder = dir
        .join("bundles")
        .join(fresh.metadata.name.as_ref().unwrap());
    std::fs::create_dir_all(&folder).unwrap();
    let text = serde_json::to_vec(&fresh.spec.bundle.config).unwrap();
    std::fs::write(folder.join("config.json"), text).unwrap();
    folder.to_string_lossy().into_owned()
}

struct Play {
    agent: Whole,
    dir: std::path::PathBuf,
}

impl Play {
    fn applies(&self, object: &HcsContainer) {
        self.agent.api.put(serde_json::to_value(object).unwrap());
    }

    /// Puts a spec in the place of `web`'s.
    fn changes(&self, change: impl FnOnce(&mut HcsContainerSpec)) -> HcsContainer {
        let web = self.agent.api.get("web").unwrap();
        let mut web: HcsContainer = serde_json::from_value(web).unwrap();
        change(&mut web.spec);
        *web.metadata.generation.get_or_insert(0) += 1;
        self.applies(&web);
        web
    }

    /// Plays the specs; says which one is the last.
    async fn through(&self, sequence: &Sequence) -> HcsContainerSpec {
        let fresh = sequence.kind.object("web", &self.dir);
        self.applies(&fresh);
        let mut last = fresh.clone();
        for (change, wait) in &sequence.changes {
            pass(f64::from(*wait) / 10.0).await;
            let web = self.changes(|spec| change.make(spec, &fresh, &self.dir));
            if validate::check(&web).is_ok() {
                last = web;
            }
        }
        let mut last = last.spec;
        last.management_policy = ManagementPolicy::Manage;
        if last.update_policy == UpdatePolicy::Manual {
            last.restart_request = Some("last".into());
        }
        self.changes(|spec| spec.clone_from(&last));
        last
    }

    /// Waits until nothing is done any more.
    async fn rests(&self) {
        let begun = Instant::now();
        let (mut seen, mut since) = (self.agent.api.changes(), Instant::now());
        while since.elapsed() < REST {
            pass(5.0).await;
            let now = self.agent.api.changes();
            if now != seen || !self.agent.runtime.calls().is_empty() {
                (seen, since) = (now, Instant::now());
            }
            assert!(begun.elapsed() < PATIENCE, "no rest");
        }
    }

    /// What an object has come to, without its past.
    fn view(&self, name: &str) -> String {
        let status = self.agent.api.get(name).unwrap()["status"].clone();
        let runs = ["Created", "Running", "Paused"];
        let runs = runs.contains(&status["phase"].as_str().unwrap());
        let conditions = status["conditions"].as_array().into_iter().flatten();
        let conditions = conditions.filter(|condition| runs || condition["type"] != "ScratchReady");
        let words = |condition: &Value| {
            let [kind, status, reason] = ["type", "status", "reason"].map(|key| &condition[key]);
            format!("{kind} {status} {reason}")
        };
        let conditions: Vec<_> = conditions.map(words).collect();
        let scratch = runs.then(|| status["scratch"]["sizeGB"].clone());
        let view = json!({
            "phase": status["phase"], "conditions": conditions, "tty": status["tty"],
            "scratch": scratch, "planned": status["plannedActions"], "live": self.live(name),
        });
        let text = serde_json::to_string_pretty(&view).unwrap();
        let text = text.replace(&uid(name), "UID");
        text.replace(&format!("/{name}\""), "/NAME\"")
            .replace(&format!("/{name}\\\""), "/NAME\\\"")
    }

    /// Its containers that are alive, each with what it was made from.
    fn live(&self, name: &str) -> Vec<Value> {
        let has = self.agent.runtime.has().into_iter();
        let own = has.filter(|(id, state)| id.starts_with(name) && *state != "stopped");
        let with_config = |(id, state): (String, &str)| {
            let id = id.replace(name, &format!("hc-{}", uid(name)));
            let config = self.dir.join("data/bundles").join(id).join("config.json");
            let config = std::fs::read(config).unwrap_or_default();
            let mut config: Value = serde_json::from_slice(&config).unwrap_or_default();
            if let Some(config) = config.as_object_mut() {
                config.remove("annotations");
                // The console may have been resized since; the status says how large it is.
                if let Some(process) = config.get_mut("process").and_then(Value::as_object_mut) {
                    process.remove("consoleSize");
                }
            }
            json!([state, config])
        };
        own.map(with_config).collect()
    }
}

async fn play(sequence: &Sequence) -> Result<(), TestCaseError> {
    let node = Node::unlisted_in(place());
    let dir = node.ctx.data.parent().unwrap().to_owned();
    std::fs::create_dir_all(dir.join("caches")).unwrap();
    std::fs::write(dir.join("caches/cache.vhdx"), "cache").unwrap();
    if sequence.obeys {
        node.runtime.obeys();
    }
    let play = Play {
        agent: Whole::start(node).await,
        dir,
    };
    let last = play.through(sequence).await;
    let mut api = sequence.kind.object("api", &play.dir);
    let config = api.spec.bundle.config.clone();
    let folder = last
        .bundle
        .path
        .is_some()
        .then(|| folder_of(&api, &play.dir));
    api.spec = last;
    if let (Some(own), Some(config)) = (config, &mut api.spec.bundle.config) {
        config.update(|config| {
            config.insert("windows".into(), own.to_map()["windows"].clone());
        });
    }
    api.spec.bundle.path = folder;
    play.applies(&api);
    play.rests().await;
    let (web, api) = (play.view("web"), play.view("api"));
    prop_assert_eq!(web, api);
    Ok(())
}

/// A number from the environment.
fn number(name: &str, otherwise: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.map_or(otherwise, |text| text.parse().unwrap())
}

#[test]
#[cfg_attr(windows, ignore = "under wine a file costs too much")]
fn an_object_with_a_past_is_in_the_end_like_a_fresh_one_of_its_last_spec() {
    let (cases, seed) = (number("HCS_SEQUENCES", 1000), number("HCS_SEED", 1));
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    println!("{cases} sequences on {threads} threads: HCS_SEQUENCES={cases} HCS_SEED={seed}");
    let run = |thread: u64| {
        let config = ProptestConfig {
            cases: u32::try_from(cases.div_ceil(threads)).unwrap(),
            failure_persistence: None,
            rng_seed: RngSeed::Fixed(seed * 1000 + thread),
            ..ProptestConfig::default()
        };
        TestRunner::new(config).run(&sequence(), |sequence| {
            let mut tokio = tokio::runtime::Builder::new_current_thread();
            let tokio = tokio.enable_all().start_paused(true).build().unwrap();
            tokio.block_on(play(&sequence))
        })
    };
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|n| scope.spawn(move || run(n))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    for result in results {
        if let Err(error) = result {
            panic!("HCS_SEED={seed}: {error}");
        }
    }
}
