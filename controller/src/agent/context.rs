//! What every reconcile of this node's agent works with.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use hcs_crds::{HcsContainer, HcsContainerStatus, Inventory};
use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::runtime::reflector::{ObjectRef, Store};
use tokio::sync::{Semaphore, watch};

use super::capabilities::Known;
use super::claims::Claims;
use super::contact::Contact;
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

/// Tells the time of day. Deadlines go by tokio's clock; this one is for times that are kept or shown.
pub type Clock = fn() -> Timestamp;

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
    pub clock: Clock,
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

    /// The time of day.
    pub fn now(&self) -> Timestamp {
        (self.clock)()
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
pub struct Written(Mutex<HashMap<String, (u64, HcsContainerStatus)>>);

impl Written {
    /// The status that the API server has: the cached one, unless a newer one was written.
    pub fn current(&self, uid: &str, cached: &HcsContainer) -> Option<HcsContainerStatus> {
        let written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match written.get(uid) {
            Some((version, status)) if version_of(cached.resource_version()) < *version => {
                Some(status.clone())
            }
            _ => cached.status.clone(),
        }
    }

    /// Whether the object is no older than the status last written to it.
    pub fn is_reached_by(&self, uid: &str, cached: &HcsContainer) -> bool {
        let written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        written
            .get(uid)
            .is_none_or(|(version, _)| version_of(cached.resource_version()) >= *version)
    }

    /// Remembers a status and the resourceVersion that it got.
    pub fn remember(&self, uid: &str, version: Option<String>, status: HcsContainerStatus) {
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        written.insert(uid.to_owned(), (version_of(version), status));
    }

    /// Forgets what the cache has caught up with, or what is gone.
    pub fn forget(&self, uid: &str, up_to: Option<String>) {
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let reached = up_to.is_none_or(|seen| {
            written
                .get(uid)
                .is_some_and(|(version, _)| version_of(Some(seen)) >= *version)
        });
        if reached {
            written.remove(uid);
        }
    }
}

/// Since Kubernetes 1.35 resourceVersions are numbers that may be compared.
fn version_of(version: Option<String>) -> u64 {
    version
        .and_then(|text| text.parse().ok())
        .unwrap_or_default()
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
}
