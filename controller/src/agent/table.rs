//! What runhcs has on this node, as far as the agent knows: the last relist, corrected by the
//! agent's own commands and by the ends of shims seen since.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use runhcs::{ShimPid, Status};
use serde::Deserialize;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::plan::Observed;
use super::record::parse_container_id;

/// The end of a shim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Its exit code; none where the system had lost it.
    pub code: Option<u32>,
    /// When it was seen. No time of day: the clock may be set before the end is accounted for.
    pub at: Instant,
}

/// One container of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// What it is doing.
    pub observed: Observed,
    /// Its shim's pid.
    pub pid: Option<u32>,
    /// How its shim ended.
    pub exit: Option<Exit>,
    /// Hash of the spec that it was made from, by its annotation.
    pub hash: Option<String>,
}

impl Container {
    const ABSENT: Self = Self {
        observed: Observed::Absent,
        pid: None,
        exit: None,
        hash: None,
    };
}

/// A container as `runhcs list` shows it, with no more of it than is made use of here.
#[derive(Clone, Debug, Deserialize)]
pub struct Listed {
    id: String,
    pid: Option<ShimPid>,
    status: Option<Status>,
    bundle: Option<String>,
    annotations: Option<Annotations>,
}

#[derive(Clone, Debug, Deserialize)]
struct Annotations {
    /// [`super::ANNOTATION_HASH`]
    #[serde(rename = "hcs-operator.dev/spec-hash")]
    hash: Option<String>,
}

#[derive(Debug)]
struct Entry {
    container: Container,
    /// The table's clock when a command of the agent or an exit last changed the entry.
    touched: u64,
    /// Nobody asks for it any more; it stays until a list that began later, as one that is under way may still have it.
    over: bool,
}

#[derive(Debug, Default)]
struct Inner {
    entries: BTreeMap<String, Entry>,
    clock: u64,
    /// In alphabetical order.
    foreign: Vec<String>,
}

/// The containers that runhcs has and this agent made, by container id.
#[derive(Debug)]
pub struct Table {
    bundles: PathBuf,
    inner: Mutex<Inner>,
    exit_seen: Notify,
}

/// The moment at which a relist began: what was touched later is newer than its answer.
#[derive(Clone, Copy, Debug)]
pub struct Mark(u64);

impl Table {
    /// An empty table of the containers whose bundles lie in `bundles`.
    pub fn new(bundles: PathBuf) -> Self {
        Self {
            bundles,
            inner: Mutex::default(),
            exit_seen: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of a container; absent where nothing is.
    pub fn get(&self, id: &str) -> Container {
        self.lock()
            .entries
            .get(id)
            .map_or(Container::ABSENT, |entry| entry.container.clone())
    }

    /// The ids of all containers of an object, of whatever attempt, that are there.
    pub fn of_object(&self, uid: &str) -> Vec<String> {
        let prefix = format!("hc-{uid}-");
        let inner = self.lock();
        let range = inner.entries.range(prefix.clone()..);
        range
            .take_while(|(id, _)| id.starts_with(&prefix))
            .filter(|(_, entry)| entry.container.observed != Observed::Absent)
            .map(|(id, _)| id.clone())
            .collect()
    }

    /// All containers of ours that are there.
    pub fn ids(&self) -> Vec<String> {
        let inner = self.lock();
        let present = |e: &Entry| e.container.observed != Observed::Absent;
        inner
            .entries
            .iter()
            .filter(|(_, e)| present(e))
            .map(|(id, _)| id.clone())
            .collect()
    }

    /// The ids of the containers that the last relist showed and this agent did not make, in
    /// alphabetical order.
    pub fn foreign(&self) -> Vec<String> {
        self.lock().foreign.clone()
    }

    /// Notes what a command of the agent has done.
    pub fn set(&self, id: &str, observed: Observed, pid: Option<u32>) {
        self.touch(id, |container| {
            container.observed = observed;
            container.pid = pid;
        });
    }

    /// Notes a container that an earlier run of the agent had made. The first list corrects it; without it, an end that
    /// is seen while that list is under way would be the end of nothing, and the container would count as gone.
    pub fn expect(&self, id: &str, pid: u32) {
        let container = Container {
            observed: Observed::Running,
            pid: Some(pid),
            ..Container::ABSENT
        };
        let entry = Entry {
            container,
            touched: 0,
            over: false,
        };
        self.lock().entries.entry(id.to_owned()).or_insert(entry);
    }

    /// Notes that a container's shim has ended.
    pub fn exited(&self, id: &str, exit: Exit) {
        self.touch(id, |container| {
            container.exit = Some(exit);
            // A container that a command of the agent has removed stays removed.
            if container.observed != Observed::Absent {
                container.observed = Observed::Stopped;
                container.pid = None;
            }
        });
        self.exit_seen.notify_waiters();
    }

    /// Waits for the end of a container's shim; none if it is not seen within `patience`.
    pub async fn exit_within(&self, id: &str, patience: Duration) -> Option<Exit> {
        let seen = async {
            loop {
                let notified = self.exit_seen.notified();
                let mut notified = std::pin::pin!(notified);
                // Registered before the look, so that no exit falls between the two.
                notified.as_mut().enable();
                if let Some(exit) = self.get(id).exit {
                    return exit;
                }
                notified.await;
            }
        };
        tokio::time::timeout(patience, seen).await.ok()
    }

    /// Forgets an attempt that is over for good.
    pub fn forget(&self, id: &str) {
        let mut inner = self.lock();
        if let Some(entry) = inner.entries.get_mut(id)
            && entry.container.observed == Observed::Absent
        {
            entry.over = true;
            entry.container = Container::ABSENT;
        }
    }

    fn touch(&self, id: &str, change: impl FnOnce(&mut Container)) {
        let mut inner = self.lock();
        inner.clock += 1;
        let touched = inner.clock;
        let entry = inner.entries.entry(id.to_owned()).or_insert(Entry {
            container: Container::ABSENT,
            touched,
            over: false,
        });
        entry.touched = touched;
        change(&mut entry.container);
    }

    /// To be taken before a relist starts.
    pub fn mark(&self) -> Mark {
        Mark(self.lock().clock)
    }

    /// Takes over the answer of a relist and returns the ids of the containers that changed.
    pub fn apply(&self, mark: Mark, states: Vec<Listed>) -> Vec<String> {
        let mut listed = BTreeMap::new();
        let mut foreign = Vec::new();
        for state in states {
            if is_ours(&state, &self.bundles) {
                listed.insert(state.id.clone(), container_of(&state));
            } else {
                foreign.push(state.id);
            }
        }
        foreign.sort_unstable();
        let mut inner = self.lock();
        inner.foreign = foreign;
        let mut changed = Vec::new();
        for (id, entry) in &mut inner.entries {
            let now = listed.remove(id);
            if entry.touched > mark.0 {
                continue;
            }
            let mut now = now.unwrap_or(Container::ABSENT);
            // A word that we do not know says nothing about a container whose shim still runs.
            if now.observed == Observed::HalfMade
                && now.pid.is_some()
                && now.pid == entry.container.pid
            {
                now.observed = entry.container.observed;
            }
            // An exit that was seen stays known, and outweighs a list that still says running.
            now.exit = entry.container.exit;
            now.hash = now.hash.or_else(|| entry.container.hash.clone());
            if now.exit.is_some() && now.observed != Observed::Absent {
                now.observed = Observed::Stopped;
                now.pid = None;
            }
            if now != entry.container {
                entry.container = now;
                changed.push(id.clone());
            }
            entry.over &= entry.container.observed == Observed::Absent;
        }
        inner
            .entries
            .retain(|_, entry| !entry.over || entry.touched > mark.0);
        for (id, container) in listed {
            changed.push(id.clone());
            inner.entries.insert(
                id,
                Entry {
                    container,
                    touched: 0,
                    over: false,
                },
            );
        }
        changed
    }
}

/// Ours has an id that the agent makes, and a bundle where the agent puts them.
fn is_ours(state: &Listed, bundles: &Path) -> bool {
    parse_container_id(&state.id).is_some()
        && state
            .bundle
            .as_ref()
            .is_some_and(|bundle| same_path(bundle, &bundles.join(&state.id).to_string_lossy()))
}

fn same_path(a: &str, b: &str) -> bool {
    if cfg!(windows) {
        let fold = |path: &str| path.replace('/', "\\").to_lowercase();
        fold(a) == fold(b)
    } else {
        a == b
    }
}

fn container_of(state: &Listed) -> Container {
    let shim = state.pid.unwrap_or_default();
    // What Go leaves out is its zero value: no status is an unknown one.
    let status = state.status.clone().unwrap_or_default();
    let observed = match (status, shim) {
        (_, ShimPid::HalfMade) | (Status::Unknown(_), _) => Observed::HalfMade,
        (Status::Created, _) => Observed::Created,
        (Status::Running, _) => Observed::Running,
        (Status::Paused, _) => Observed::Paused,
        (Status::Stopped, _) => Observed::Stopped,
    };
    // The pid of a container that has stopped is 0 or stale.
    let pid = shim.get().filter(|_| observed != Observed::Stopped);
    let hash = state.annotations.as_ref().and_then(|a| a.hash.clone());
    Container {
        observed,
        pid,
        exit: None,
        hash,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UID: &str = "0b8f6c1e-6d5e-4f7a-9c51-000000000001";

    fn id(attempt: u32) -> String {
        super::super::record::container_id(UID, attempt)
    }

    fn states(of: &[(&str, i64, &str)]) -> Vec<Listed> {
        let json: Vec<_> = of
            .iter()
            .map(|(id, pid, status)| {
                serde_json::json!({"id": id, "pid": pid, "status": status,
                    "bundle": Path::new("/data/bundles").join(id)})
            })
            .collect();
        serde_json::from_value(serde_json::Value::Array(json)).unwrap()
    }

    fn table() -> Table {
        Table::new("/data/bundles".into())
    }

    #[test]
    fn a_relist_tells_what_changed_and_what_is_foreign() {
        let table = table();
        let changed = table.apply(
            table.mark(),
            states(&[(&id(1), 7, "running"), ("web", 8, "running")]),
        );
        assert_eq!(changed, [id(1)]);
        assert_eq!(table.foreign(), ["web"]);
        assert_eq!(table.get(&id(1)).pid, Some(7));
        assert!(
            table
                .apply(table.mark(), states(&[(&id(1), 7, "running")]))
                .is_empty()
        );
        assert_eq!(table.apply(table.mark(), Vec::new()), [id(1)]);
        assert_eq!(table.get(&id(1)).observed, Observed::Absent);
    }

    #[test]
    fn an_end_seen_while_the_first_list_is_under_way_does_not_make_its_container_absent() {
        let table = table();
        let mark = table.mark();
        table.expect(&id(1), 7);
        let exit = Exit {
            code: Some(3),
            at: Instant::now(),
        };
        table.exited(&id(1), exit);
        table.apply(mark, states(&[(&id(1), 7, "running")]));
        assert_eq!(table.get(&id(1)).observed, Observed::Stopped);
        assert_eq!(table.get(&id(1)).exit, Some(exit));
        table.apply(table.mark(), states(&[(&id(1), 0, "stopped")]));
        assert_eq!(table.get(&id(1)).observed, Observed::Stopped);
        table.apply(table.mark(), Vec::new());
        assert_eq!(table.get(&id(1)).observed, Observed::Absent);
    }

    #[test]
    fn a_relist_that_began_before_a_command_does_not_undo_it() {
        let table = table();
        let mark = table.mark();
        table.set(&id(1), Observed::Running, Some(7));
        assert!(
            table
                .apply(mark, states(&[(&id(1), 7, "created")]))
                .is_empty()
        );
        assert_eq!(table.get(&id(1)).observed, Observed::Running);
        assert_eq!(
            table.apply(table.mark(), states(&[(&id(1), 7, "paused")])),
            [id(1)]
        );
    }

    #[test]
    fn a_list_that_began_before_a_deletion_does_not_bring_back_what_is_over() {
        let table = table();
        table.set(&id(1), Observed::Running, Some(7));
        let mark = table.mark();
        table.set(&id(1), Observed::Absent, None);
        table.forget(&id(1));
        table.apply(mark, states(&[(&id(1), 7, "running")]));
        assert_eq!(table.ids(), [""; 0]);
        table.apply(table.mark(), Vec::new());
        assert!(table.lock().entries.is_empty());
    }

    #[test]
    fn a_container_whose_shim_has_ended_is_stopped_whatever_a_list_says() {
        let table = table();
        table.set(&id(1), Observed::Running, Some(7));
        let exit = Exit {
            code: Some(3),
            at: Instant::now(),
        };
        table.exited(&id(1), exit);
        table.apply(table.mark(), states(&[(&id(1), 7, "running")]));
        let container = table.get(&id(1));
        assert_eq!(
            (container.observed, container.exit),
            (Observed::Stopped, Some(exit))
        );
    }

    #[test]
    fn half_made_and_unreadable_containers_are_told_from_stopped_ones() {
        for (pid, status, observed) in [
            (-1, "stopped", Observed::HalfMade),
            (0, "", Observed::HalfMade),
            (5, "unknown", Observed::HalfMade),
            (0, "stopped", Observed::Stopped),
            (9, "stopped", Observed::Stopped),
        ] {
            let table = table();
            table.apply(table.mark(), states(&[(&id(1), pid, status)]));
            assert_eq!(table.get(&id(1)).observed, observed, "{pid} {status}");
        }
    }

    #[test]
    fn a_status_that_cannot_be_read_does_not_condemn_a_container_whose_shim_runs() {
        let table = table();
        table.set(&id(1), Observed::Running, Some(7));
        table.apply(table.mark(), states(&[(&id(1), 7, "bewildered")]));
        assert_eq!(table.get(&id(1)).observed, Observed::Running);
        table.apply(table.mark(), states(&[(&id(1), 0, "bewildered")]));
        assert_eq!(table.get(&id(1)).observed, Observed::HalfMade);
    }

    #[test]
    fn all_attempts_of_one_object_are_found_and_no_other() {
        let table = table();
        let other = "0b8f6c1e-6d5e-4f7a-9c51-000000000002";
        for id in [id(1), id(10), super::super::record::container_id(other, 1)] {
            table.set(&id, Observed::Created, None);
        }
        assert_eq!(table.of_object(UID), [id(1), id(10)]);
        table.set(&id(1), Observed::Absent, None);
        assert_eq!(table.of_object(UID), [id(10)]);
    }

    #[test]
    fn a_container_with_our_kind_of_id_but_another_bundle_is_foreign() {
        let table = table();
        let mut foreign = states(&[(&id(1), 7, "running")]);
        foreign[0].bundle = Some("/elsewhere".into());
        assert!(table.apply(table.mark(), foreign).is_empty());
        assert_eq!(table.foreign(), [id(1)]);
    }
}
