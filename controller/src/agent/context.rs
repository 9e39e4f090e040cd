//! What every reconcile of this node's agent works with.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hcs_crds::{HcsContainer, HcsContainerStatus, Inventory};
use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::runtime::reflector::{ObjectRef, Store};
use tokio::sync::{Semaphore, watch};

use super::capabilities::Known;
use super::claims::Claims;
use super::contact::{Contact, number};
use super::day::Day;
use super::exits::Exits;
use super::host_policy::HostPolicy;
use super::kube_api::KubeApi;
use super::mounts::Mounts;
use super::record::ObjectId;
use super::relist::Relist;
use super::runtime::Runtime;
use super::source::{Queue, Unreadable};
use super::store::Records;
use super::table::Table;
use crate::metrics::Metrics;

/// The machine's clock. Deadlines go by tokio's; this one is for times that are kept or shown.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// The time of day.
    pub day: fn() -> Timestamp,
    /// For how long the machine has been up, which nobody can set.
    pub uptime: fn() -> Duration,
}

/// The agent's parts.
pub struct Context<R> {
    /// The agent's folder.
    pub data: PathBuf,
    /// What a spec may ask of the host.
    pub policy: HostPolicy,
    /// runhcs.
    pub runtime: Arc<R>,
    /// What runhcs has.
    pub table: Arc<Table>,
    /// The relist.
    pub relist: Arc<Relist>,
    /// The ends of shims.
    pub exits: Exits,
    /// The records.
    pub records: Records,
    /// What no two containers may have.
    pub claims: Claims,
    /// Layers that runhcs has mounted.
    pub mounts: Mounts,
    /// The API server, to write to.
    pub api: KubeApi,
    /// The API server's objects of this node, as last seen.
    pub store: Store<HcsContainer>,
    /// Objects that are there and cannot be read.
    pub unreadable: Unreadable,
    /// The statuses last written.
    pub written: Written,
    /// The time of day.
    pub day: Day,
    /// The boot that the agent runs in.
    pub boot_id: String,
    /// What the node's runhcs can do.
    pub capabilities: Known,
    /// Turns of those reconciles that call runhcs. Each goes through all its steps in one turn, so
    /// that of many containers the first ones run soon, and none is reported as slow for waiting.
    pub turns: Semaphore,
    /// What to reconcile next.
    pub queue: Queue,
    /// Whether the watch works.
    pub contact: Contact,
    /// What is on the node and belongs to no object.
    pub inventory: watch::Sender<Inventory>,
    /// Counters.
    pub metrics: Metrics,
    /// Whether the API server's first full list is in.
    pub synced: AtomicBool,
}

impl<R: Runtime> Context<R> {
    /// Where the bundle of a container id lies.
    pub fn bundle(&self, id: &str) -> PathBuf {
        bundles(&self.data).join(id)
    }

    /// The object as it is now in the cache; none if another of its name or none is there.
    pub fn latest(&self, id: &ObjectId) -> Option<Arc<HcsContainer>> {
        let object = self
            .store
            .get(&ObjectRef::new(&id.name).within(&id.namespace))?;
        (object.metadata.uid.as_ref() == Some(&id.uid)).then_some(object)
    }

    /// Gives up an object's claims and brings those that waited for them back at once.
    pub fn release_claims(&self, id: &ObjectId) {
        for waiting in self.claims.release(id) {
            let object = ObjectRef::new(&waiting.name).within(&waiting.namespace);
            let _ = self.queue.send(object);
        }
    }

    /// An object of the node was seen, or written, with this resourceVersion.
    pub fn saw(&self, version: Option<String>) {
        self.records.saw(number(version.clone()));
        self.contact.saw(version);
    }

    /// The time of day.
    pub fn now(&self) -> Timestamp {
        self.day.now()
    }

    /// Whether the API server's first full list is in.
    pub fn is_synced(&self) -> bool {
        self.synced.load(Ordering::Acquire)
    }
}

/// The folder of all bundles.
pub fn bundles(data: &Path) -> PathBuf {
    data.join("bundles")
}

/// The statuses that were last written, for the time until the cache has caught up with them.
#[derive(Debug, Default)]
pub struct Written(Mutex<Statuses>);

#[derive(Debug, Default)]
struct Statuses {
    /// By uid: the resourceVersion that it got, how many lists had begun, and the status.
    written: HashMap<String, (u64, u64, HcsContainerStatus)>,
    lists: u64,
}

impl Written {
    fn lock(&self) -> MutexGuard<'_, Statuses> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The status that the API server has: the cached one, unless a newer one was written.
    pub fn current(&self, uid: &str, cached: &HcsContainer) -> Option<HcsContainerStatus> {
        match self.lock().written.get(uid) {
            Some((version, _, status)) if number(cached.resource_version()) < *version => {
                Some(status.clone())
            }
            _ => cached.status.clone(),
        }
    }

    /// Whether the object is no older than the status last written to it.
    pub fn is_reached_by(&self, uid: &str, cached: &HcsContainer) -> bool {
        let known = self.lock();
        let written = known.written.get(uid);
        written.is_none_or(|(version, ..)| number(cached.resource_version()) >= *version)
    }

    /// Remembers a status and the resourceVersion that it got.
    pub fn remember(&self, uid: &str, version: Option<String>, status: HcsContainerStatus) {
        let mut known = self.lock();
        let entry = (number(version), known.lists, status);
        known.written.insert(uid.to_owned(), entry);
    }

    /// Forgets what the cache has caught up with, or what is gone.
    pub fn forget(&self, uid: &str, up_to: Option<String>) {
        let mut known = self.lock();
        let reached = up_to.is_none_or(|seen| {
            let written = known.written.get(uid);
            written.is_some_and(|(version, ..)| number(Some(seen)) >= *version)
        });
        if reached {
            known.written.remove(uid);
        }
    }

    /// A list of all objects begins.
    pub fn list_begins(&self) {
        self.lock().lists += 1;
    }

    /// The list is in. It has what was written before it began, or the API server has lost that: with its store restored
    /// from a backup, the cache would never catch up.
    pub fn list_is_in(&self) {
        let mut known = self.lock();
        let lists = known.lists;
        known.written.retain(|_, (_, begun, _)| *begun >= lists);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hcs_crds::Phase;

    fn object(version: &str, phase: Phase) -> HcsContainer {
        let mut object = HcsContainer::new("web", hcs_crds::HcsContainerSpec::default());
        object.metadata.resource_version = Some(version.into());
        object.status = Some(HcsContainerStatus {
            phase,
            ..HcsContainerStatus::default()
        });
        object
    }

    #[test]
    fn a_written_status_counts_until_the_cache_has_caught_up() {
        let written = Written::default();
        let status = HcsContainerStatus {
            phase: Phase::Running,
            ..HcsContainerStatus::default()
        };
        written.remember("u", Some("20".into()), status);
        let phase = |object: &HcsContainer| written.current("u", object).unwrap().phase;
        assert_eq!(phase(&object("9", Phase::Pending)), Phase::Running);
        assert_eq!(phase(&object("21", Phase::Failed)), Phase::Failed);
        written.forget("u", Some("19".into()));
        assert_eq!(phase(&object("9", Phase::Pending)), Phase::Running);
        written.forget("u", Some("20".into()));
        assert_eq!(phase(&object("9", Phase::Pending)), Phase::Pending);
    }
    #[test]
    fn a_status_that_a_later_list_does_not_have_was_lost_with_the_store() {
        let written = Written::default();
        let status = |phase| HcsContainerStatus {
            phase,
            ..HcsContainerStatus::default()
        };
        written.remember("before", Some("90".into()), status(Phase::Running));
        written.list_begins();
        written.remember("meanwhile", Some("91".into()), status(Phase::Running));
        let phase = |uid: &str| {
            let restored = object("80", Phase::Created);
            written.current(uid, &restored).unwrap().phase
        };
        assert_eq!(phase("before"), Phase::Running, "the list is not in");
        written.list_is_in();
        assert_eq!(phase("before"), Phase::Created);
        assert_eq!(phase("meanwhile"), Phase::Running);
    }
}
