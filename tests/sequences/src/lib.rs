//! Random sequences of spec changes, and what has to be equal in the end (Acto's oracle, SOSP'23): whatever specs an
//! object had before, in the end it is like a fresh object of its last spec. The controller's tests play them on fakes, the
//! tests with a control plane on real parts.
//!
//! What may differ is what is told of the past: counters, ends, and what a container that does not run has left to be
//! looked at. As `managementPolicy: Observe` and `updatePolicy: Manual` are there to keep what is, a sequence ends with
//! Manage, and Manual with another `restartRequest`. A spec that is refused is none to end with.

use hcs_crds::{
    DesiredState, HcsContainerSpec, Isolation, ManagementPolicy, OciConfig, Os, ReclaimPolicy,
    RestartPolicy, Scratch, StopSignal, Tty, UpdatePolicy,
};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

/// How long what takes time may take: a day costs nothing on fakes, and all of it on real parts.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Seconds; less than so many for a backoff.
    pub backoff: u32,
    /// Seconds; less than so many for a grace period.
    pub grace: u32,
    /// Tenths of seconds, of which one passes before a change.
    pub waits: &'static [u16],
}

/// What of an object cannot change.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Windows with process isolation.
    Process,
    /// Windows in a virtual machine.
    Vm,
    /// Linux, with a scratch disk.
    Linux,
}

/// A change of a spec.
#[derive(Clone, Debug)]
pub enum Change {
    /// `desiredState`.
    State(DesiredState),
    /// The inline config has another variable.
    Env(u8),
    /// A bundle folder in place of the inline config.
    Folder,
    /// `scratch`: size, what becomes of it, `useVirtualMemory`.
    Scratch(u32, ReclaimPolicy, bool),
    /// `scratch` of this size, with a cache file.
    Cached(u32),
    /// `tty`.
    Tty(Option<(u16, u16)>),
    /// `restartPolicy`.
    RestartPolicy(RestartPolicy),
    /// `restart`: first and longest backoff, when it begins anew, how many restarts.
    Backoff(u32, u32, u32, Option<u32>),
    /// `restartRequest`.
    Request(u8),
    /// `updatePolicy`.
    Update(UpdatePolicy),
    /// `stopSignal`.
    Signal(Option<StopSignal>),
    /// `terminationGracePeriodSeconds`.
    Grace(u32),
    /// `managementPolicy`.
    Management(ManagementPolicy),
    /// `ttlSecondsAfterFinished`.
    Ttl(Option<u32>),
    /// Neither a config nor a folder, which is refused.
    NoBundle,
    /// Both, which is refused.
    TwoBundles,
}

/// An object and what becomes of its spec, each change so many tenths of a second after the one before.
#[derive(Clone, Debug)]
pub struct Sequence {
    /// What it is.
    pub kind: Kind,
    /// Whether its containers heed the stop signal.
    pub obeys: bool,
    /// The changes, and how many tenths of a second pass before each.
    pub changes: Vec<(Change, u16)>,
}

/// What an object's spec names that no other's does.
#[derive(Clone, Debug)]
pub struct Places {
    /// Its inline config, with layers of its own.
    pub config: OciConfig,
    /// A bundle folder with the same config.
    pub folder: String,
    /// A cache file, which all may share.
    pub cache: String,
}

fn state() -> impl Strategy<Value = DesiredState> {
    select(vec![
        DesiredState::Created,
        DesiredState::Running,
        DesiredState::Running,
        DesiredState::Paused,
        DesiredState::Stopped,
        DesiredState::Deleted,
    ])
}

fn change(pace: Pace) -> impl Strategy<Value = Change> {
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
        0..pace.backoff,
        0..pace.backoff,
        0_u32..90,
        select(vec![None, Some(0), Some(3)]),
    );
    prop_oneof![
        4 => state().prop_map(Change::State),
        2 => (0_u8..3).prop_map(Change::Env),
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
        1 => (0..pace.grace).prop_map(Change::Grace),
        2 => select(vec![ManagementPolicy::Manage, ManagementPolicy::Observe])
            .prop_map(Change::Management),
        1 => select(vec![None, Some(0), Some(5)]).prop_map(Change::Ttl),
        1 => Just(Change::NoBundle),
        1 => Just(Change::TwoBundles),
    ]
}

/// Any sequence of up to nine changes.
pub fn sequence(pace: Pace) -> impl Strategy<Value = Sequence> {
    let kind = select(vec![Kind::Process, Kind::Vm, Kind::Linux]);
    let changes = proptest::collection::vec((change(pace), select(pace.waits)), 1..10);
    (kind, any::<bool>(), changes).prop_map(|(kind, obeys, changes)| Sequence {
        kind,
        obeys,
        changes,
    })
}

impl Kind {
    /// Makes a spec one of this kind.
    pub fn shape(self, spec: &mut HcsContainerSpec) {
        match self {
            Self::Process => {}
            Self::Vm => spec.runtime.isolation = Isolation::HyperV,
            Self::Linux => {
                spec.runtime.os = Os::Linux;
                spec.runtime.isolation = Isolation::HyperV;
                spec.scratch = Some(Scratch::default());
            }
        }
    }
}

impl Change {
    /// Makes the change in the spec of an object with these places.
    pub fn make(&self, spec: &mut HcsContainerSpec, places: &Places) {
        let config = || Some(places.config.clone());
        let folder = || Some(places.folder.clone());
        match self {
            Self::State(state) => spec.desired_state = *state,
            Self::Env(n) => {
                let mut config = places.config.clone();
                config.update(|config| config["process"]["env"] = json!([format!("CHANGED={n}")]));
                (spec.bundle.config, spec.bundle.path) = (Some(config), None);
            }
            Self::Folder => (spec.bundle.config, spec.bundle.path) = (None, folder()),
            Self::Scratch(size_gb, reclaim_policy, use_virtual_memory) => {
                spec.scratch = Some(Scratch {
                    size_gb: *size_gb,
                    reclaim_policy: *reclaim_policy,
                    use_virtual_memory: *use_virtual_memory,
                    cache_file: None,
                });
            }
            Self::Cached(size_gb) => {
                spec.scratch = Some(Scratch {
                    size_gb: *size_gb,
                    cache_file: Some(places.cache.clone()),
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
            Self::TwoBundles => (spec.bundle.config, spec.bundle.path) = (config(), folder()),
        }
    }
}

/// The spec that a sequence ends with, from the last good one of it.
#[must_use]
pub fn last(mut spec: HcsContainerSpec) -> HcsContainerSpec {
    spec.management_policy = ManagementPolicy::Manage;
    if spec.update_policy == UpdatePolicy::Manual {
        spec.restart_request = Some("last".into());
    }
    spec
}

/// The same spec for an object with other places.
#[must_use]
pub fn moved(mut spec: HcsContainerSpec, to: &Places) -> HcsContainerSpec {
    if let Some(config) = &mut spec.bundle.config {
        config.update(|config| {
            config.insert("windows".into(), to.config.to_map()["windows"].clone());
        });
    }
    if let Some(path) = &mut spec.bundle.path {
        path.clone_from(&to.folder);
    }
    spec
}

/// What an object has come to by its status, without its past. `live` is each of its containers that is alive with the
/// config that it was made from; names and UIDs are taken out of the text.
#[must_use]
pub fn view(status: &Value, live: &[(String, Value)], name: &str, uid: &str) -> String {
    let runs = ["Created", "Running", "Paused"];
    let runs = runs.contains(&status["phase"].as_str().unwrap_or_default());
    // What is wanted stopped and was never started is left as it is, with the console and the spec that it has.
    let is_left = !runs && live.iter().any(|(state, _)| state == "created");
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let conditions = conditions.filter(|condition| runs || condition["type"] != "ScratchReady");
    let words = |condition: &Value| {
        let [kind, status, reason] = ["type", "status", "reason"].map(|key| &condition[key]);
        if is_left && kind == "RestartRequired" {
            return r#""RestartRequired" "False" "NotRequired""#.to_owned();
        }
        format!("{kind} {status} {reason}")
    };
    let conditions: Vec<_> = conditions.map(words).collect();
    let scratch = runs.then(|| status["scratch"]["sizeGB"].clone());
    // A console is resized once the container is started: runhcs cannot before.
    let started = runs && status["phase"] != "Created";
    let tty = started.then(|| status["tty"].clone());
    let live = live.iter().filter(|(state, _)| runs || state != "created");
    let live: Vec<_> = live
        .map(|(state, config)| json!([state, without_past(config.clone())]))
        .collect();
    let view = json!({
        "phase": status["phase"], "conditions": conditions, "tty": tty,
        "scratch": scratch, "planned": status["plannedActions"], "live": live,
    });
    let text = format!("{view:#}").replace(uid, "UID");
    text.replace(&format!("/{name}\""), "/NAME\"")
        .replace(&format!("/{name}\\\""), "/NAME\\\"")
}

/// A container's config without what the agent has put in for this attempt.
fn without_past(mut config: Value) -> Value {
    if let Some(config) = config.as_object_mut() {
        config.remove("annotations");
        // The console may have been resized since; the status says how large it is.
        if let Some(process) = config.get_mut("process").and_then(Value::as_object_mut) {
            process.remove("consoleSize");
        }
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(name: &str, uid: &str, changed: u8, attempt: u8, phase: &str) -> String {
        let status = json!({
            "phase": phase, "attempt": attempt, "restartCount": attempt,
            "conditions": [{"type": "Ready", "status": "True", "reason": "Ready", "message": uid}],
        });
        let config = json!({
            "process": {"env": [format!("CHANGED={changed}")], "consoleSize": {"width": attempt}},
            "windows": {"layerFolders": ["/layers/base", format!("/layers/{name}")]},
            "annotations": {"attempt": attempt},
        });
        view(&status, &[("running".to_owned(), config)], name, uid)
    }

    #[test]
    fn a_view_has_what_an_object_has_come_to_and_nothing_of_its_past_or_its_name() {
        let fresh = seen("api-1", "u-1", 1, 1, "Running");
        assert_eq!(seen("web-1", "u-2", 1, 7, "Running"), fresh);
        assert_ne!(seen("web-1", "u-2", 2, 1, "Running"), fresh);
        assert_ne!(seen("web-1", "u-2", 1, 1, "Paused"), fresh);
    }
}
