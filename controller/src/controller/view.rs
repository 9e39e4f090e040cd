//! What the leader has of the cluster: four watches. Of an HcsContainer it keeps only what it looks
//! at, so that ten thousand of them are no burden and one that this version cannot read is no harm.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Debug;
use std::hash::Hash;
use std::time::Duration;

use futures::StreamExt as _;
use hcs_crds::{AGENT_LEASE_PREFIX, Condition, HcsContainer, HcsNode};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Node;
use kube::api::PartialObjectMeta;
use kube::core::{ApiResource, Object};
use kube::runtime::reflector::{Store, store::Writer};
use kube::runtime::utils::Backoff as _;
use kube::runtime::{WatchStreamExt as _, reflector, watcher};
use kube::{Api, Client, Resource, ResourceExt as _};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::standing::{Beat, Look};

const WATCH_SECONDS: u32 = 60;
/// The longest wait before a watch that failed is begun again, as with the default backoff.
const WATCH_RETRY: Duration = Duration::from_secs(30);

/// The part of an HcsContainer's spec that matters here.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SpecPart {
    /// Its node.
    #[serde(default)]
    pub node_name: String,
}

/// The part of its status that matters here.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusPart {
    /// The generation that an agent has seen; -1 for none.
    pub observed_generation: Option<i64>,
    /// Its conditions.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

/// An HcsContainer, as far as the controller looks at it.
pub type Container = Object<SpecPart, StatusPart>;

/// What the watches show.
pub struct View {
    containers: Store<Container>,
    pages: Store<HcsNode>,
    leases: Store<Lease>,
    nodes: Store<PartialObjectMeta<Node>>,
}

impl View {
    /// Begins to watch. The second part does the work, until dropped.
    pub fn begin(client: &Client, namespace: &str) -> (Self, impl Future<Output = ()> + use<>) {
        let kind = ApiResource::erase::<HcsContainer>(&());
        let containers = Writer::<Container>::new(kind.clone());
        let (pages, page_writer) = reflector::store();
        let (leases, lease_writer) = reflector::store();
        let (nodes, node_writer) = reflector::store();
        let view = Self {
            containers: containers.as_reader(),
            pages,
            leases,
            nodes,
        };
        let work = futures::future::join4(
            keep(Api::all_with(client.clone(), &kind), containers),
            keep(Api::all(client.clone()), page_writer),
            keep(Api::namespaced(client.clone(), namespace), lease_writer),
            keep(Api::all(client.clone()), node_writer),
        );
        (view, async {
            work.await;
        })
    }

    /// Waits until the first lists are in. An error means that the watches have ended.
    pub async fn is_complete(&self) -> Result<(), reflector::store::WriterDropped> {
        self.containers.wait_until_ready().await?;
        self.pages.wait_until_ready().await?;
        self.leases.wait_until_ready().await?;
        self.nodes.wait_until_ready().await
    }

    /// All containers by their node's name.
    pub fn containers(&self) -> BTreeMap<String, Vec<std::sync::Arc<Container>>> {
        let mut by_node: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for object in self.containers.state() {
            let node = object.spec.node_name.clone();
            by_node.entry(node).or_default().push(object);
        }
        by_node
    }

    /// The pages by their node's name.
    pub fn pages(&self) -> HashMap<String, std::sync::Arc<HcsNode>> {
        let pages = self.pages.state();
        pages
            .into_iter()
            .map(|page| (page.name_any(), page))
            .collect()
    }

    /// What there is of each node name that has a container, a page or a Lease.
    pub fn looks(&self) -> BTreeMap<String, Look> {
        let beats: HashMap<String, Beat> = self
            .leases
            .state()
            .iter()
            .filter_map(|lease| {
                let name = lease.name_any();
                let node = name.strip_prefix(AGENT_LEASE_PREFIX)?;
                Some((node.to_owned(), beat(lease)))
            })
            .collect();
        let names: HashSet<String> = self.nodes.state().iter().map(|n| n.name_any()).collect();
        let mut wanted: HashSet<String> = beats.keys().cloned().collect();
        wanted.extend(
            self.containers
                .state()
                .iter()
                .map(|o| o.spec.node_name.clone()),
        );
        wanted.extend(self.pages.state().iter().map(|page| page.name_any()));
        let look = |node: String| {
            let look = Look {
                beat: beats.get(&node).cloned(),
                exists: names.contains(&node),
            };
            (node, look)
        };
        wanted
            .into_iter()
            .filter(|n| !n.is_empty())
            .map(look)
            .collect()
    }
}

/// What a node's Lease says.
pub fn beat(lease: &Lease) -> Beat {
    let spec = lease.spec.as_ref();
    let renewed = spec.and_then(|spec| spec.renew_time.as_ref());
    let seconds = spec.and_then(|spec| spec.lease_duration_seconds);
    let seconds = seconds.and_then(|seconds| u64::try_from(seconds).ok());
    Beat {
        renewed: renewed.map(|time| time.0.to_string()).unwrap_or_default(),
        // One that lasts no time at all would have its agent silent at every look.
        lasts: Duration::from_secs(seconds.unwrap_or(40).max(4)),
    }
}

/// Begins with a list after each failure: a store that was restored from a backup, or lost, goes on from an older version,
/// and a watch that resumes from a newer one is told of nothing until the store has come that far.
async fn keep<K>(api: Api<K>, mut writer: Writer<K>)
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    K::DynamicType: Clone + Eq + Hash + Send + Sync + 'static,
{
    let config = watcher::Config::default().timeout(WATCH_SECONDS);
    let mut backoff = watcher::DefaultBackoff::default();
    loop {
        let events = watcher(api.clone(), config.clone())
            .modify(|object| object.meta_mut().managed_fields = None);
        let mut events = std::pin::pin!(events);
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => {
                    backoff.reset();
                    writer.apply_watcher_event(&event);
                }
                Err(error) => {
                    tracing::warn!(%error, "a watch failed; it is begun again");
                    break;
                }
            }
        }
        tokio::time::sleep(backoff.next().unwrap_or(WATCH_RETRY)).await;
    }
}
