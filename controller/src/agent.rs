//! The agent of one node: makes the node's `HcsContainer` objects true.
//!
//! Three sources feed one queue of objects: the API server's watch, the ends of shims, and the
//! relist of what runhcs has. A reconcile takes one object from there to where it should be.
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use futures::StreamExt as _;
use hcs_crds::HcsContainer;
use kube::Client;
use kube::runtime::controller::{Config, applier};
use kube::runtime::reflector::{self, ObjectRef};
use tokio::sync::{Notify, Semaphore, mpsc};

mod act;
mod bundle;
mod capabilities;
mod claims;
mod contact;
mod context;
mod day;
mod disk;
mod events;
mod exits;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod fixtures;
#[cfg(unix)]
#[cfg(test)]
mod fuzz;
pub mod host_policy;
mod inventory;
mod kube_api;
pub mod lease;
mod mounts;
pub mod node_status;
mod plan;
mod reconcile;
mod record;
mod relist;
mod report;
pub mod runtime;
mod scratch;
mod source;
mod store;
mod sweep;
mod table;
#[cfg(test)]
mod tests;
pub mod validate;

#[cfg(any(windows, test))]
pub use disk::write_whole;
pub use host_policy::HostPolicy;
pub use store::StoreError;

pub use context::Clock;
use context::{Context, Written, bundles};
use lease::{LeaseSettings, NodeLease};
use node_status::PageSettings;
use record::Record;
use relist::{Health, Relist};
use runtime::Runtime;

use crate::metrics::Metrics;
use crate::platform;

/// Annotation in a container's `config.json`: the hash of the spec that it was made from.
const ANNOTATION_HASH: &str = "hcs-operator.dev/spec-hash";
/// Objects reconciled at once. A hung runhcs takes one of these places for as long as its deadline.
const PARALLEL_RECONCILES: u16 = 256;

/// Reconciles that call runhcs at once; one that takes over a second makes room for another.
const TURNS: usize = 16;

/// What an agent needs to know.
pub struct Options {
    /// The node whose objects it makes true.
    pub node: String,
    /// Its own folder.
    pub data: std::path::PathBuf,
    /// What a spec may ask of the host.
    pub policy: HostPolicy,
    /// Time between two relists.
    pub relist_interval: Duration,
    /// The node's Lease.
    pub lease: LeaseSettings,
    /// The node's HcsNode.
    pub page: PageSettings,
    /// The time of day.
    pub clock: Clock,
}

/// Why an agent cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder.
    #[error("failed to open the data folder")]
    Data(#[from] StoreError),
    /// The boot id.
    #[error("failed to read the node's boot id")]
    BootId(#[source] std::io::Error),
}

/// Whether the agent is ready to work, for `/readyz`.
#[derive(Clone)]
pub struct Readiness(Arc<dyn Fn() -> Result<(), &'static str> + Send + Sync>);

impl Readiness {
    /// Ready, or what is missing.
    pub fn check(&self) -> Result<(), &'static str> {
        (self.0)()
    }
}

/// A running agent.
pub struct Agent {
    /// Whether it is ready.
    pub readiness: Readiness,
    work: futures::future::BoxFuture<'static, ()>,
}

impl Agent {
    /// Works until dropped; containers go on without it.
    pub async fn run(self) {
        self.work.await;
    }
}

/// Opens the records and puts the parts together.
pub async fn start<R: Runtime>(
    options: Options,
    client: Client,
    runtime: Arc<R>,
    metrics: Metrics,
) -> Result<Agent, StartError> {
    let records = store::Records::open(options.data.join("records"))?;
    let boot_id = platform::boot_id().map_err(StartError::BootId)?;
    let known = records.snapshot().await;
    let table = Arc::new(table::Table::new(bundles(&options.data)));
    let (exits, ended) = exits::Exits::new(Arc::clone(&table));
    watch_known_shims(&exits, &known, &boot_id);
    let (queue, queued) = mpsc::unbounded_channel();
    let (store, mut writer) = reflector::store();
    source::seed(&mut writer, &known, &queue);
    let ctx = Arc::new(Context {
        policy: options.policy,
        runtime,
        table,
        relist: Arc::new(Relist::default()),
        exits,
        claims: claims::Claims::of(&known),
        mounts: mounts::Mounts::open(&options.data, &boot_id),
        records,
        api: kube_api::KubeApi::new(client.clone(), &options.node),
        store,
        unreadable: source::Unreadable::default(),
        written: Written::default(),
        day: day::Day::new(options.clock),
        capabilities: capabilities::Known::of(&options.data, &boot_id),
        boot_id,
        turns: Semaphore::new(TURNS),
        queue,
        contact: contact::Contact::default(),
        inventory: tokio::sync::watch::Sender::default(),
        metrics,
        synced: AtomicBool::new(false),
        data: options.data,
    });
    let duties = Duties {
        node: options.node,
        relist_interval: options.relist_interval,
        lease: options.lease,
        page: options.page,
    };
    Ok(set_to_work(ctx, client, duties, writer, queued, ended))
}

/// What an agent does besides reconciling, and for whom.
struct Duties {
    node: String,
    relist_interval: Duration,
    lease: LeaseSettings,
    page: PageSettings,
}

fn set_to_work<R: Runtime>(
    ctx: Arc<Context<R>>,
    client: Client,
    duties: Duties,
    writer: reflector::store::Writer<HcsContainer>,
    queued: mpsc::UnboundedReceiver<ObjectRef<HcsContainer>>,
    ended: mpsc::UnboundedReceiver<String>,
) -> Agent {
    let says = speak_for_the_node(
        Arc::clone(&ctx),
        client.clone(),
        duties.node.clone(),
        duties.lease,
        duties.page,
    );
    let (sweep, queue) = (Arc::new(Notify::new()), ctx.queue.clone());
    let watch = source::watch(
        client,
        duties.node,
        writer,
        Arc::clone(&ctx),
        queue.clone(),
        Arc::clone(&sweep),
    );
    let readiness = readiness(&ctx);
    let work = work(
        ctx,
        queue,
        queued,
        ended,
        sweep,
        duties.relist_interval,
        watch,
    );
    Agent {
        readiness,
        work: Box::pin(async {
            tokio::join!(work, says);
        }),
    }
}

/// Keeps the node's Lease and its HcsNode.
async fn speak_for_the_node<R: Runtime>(
    ctx: Arc<Context<R>>,
    client: Client,
    node: String,
    lease: LeaseSettings,
    page: PageSettings,
) {
    let manager = kube_api::field_manager(&node);
    let lease = NodeLease::new(client.clone(), &node, &manager, &lease);
    let page = node_status::keep(&ctx, client, &node, &page);
    tokio::join!(lease.keep(&ctx), page);
}

/// Takes handles again of the shims that an earlier run of the agent knew.
fn watch_known_shims(exits: &exits::Exits, known: &[Record], boot_id: &str) {
    let lives = |r: &&Record| r.expects_container() && r.ended.is_none() && r.boot_id == boot_id;
    for record in known.iter().filter(lives) {
        let (Some(id), Some(shim)) = (record.container_id(), &record.shim) else {
            continue;
        };
        match exits.watch_again(&id, shim) {
            Ok(true) => {}
            Ok(false) => tracing::info!(container = id, "its shim ended while no agent ran"),
            Err(error) => tracing::warn!(container = id, %error, "no handle of its shim"),
        }
    }
}

fn readiness<R: Runtime>(ctx: &Arc<Context<R>>) -> Readiness {
    let ctx = Arc::clone(ctx);
    Readiness(Arc::new(move || match *ctx.relist.health().borrow() {
        Health::Unknown => Err("runhcs list has not answered yet"),
        Health::Fails { .. } => Err("runhcs list fails"),
        Health::Responds if !ctx.capabilities.is_probed() => Err("runhcs is being probed"),
        Health::Responds if !ctx.is_synced() => Err("the API server's list is not in yet"),
        Health::Responds => Ok(()),
    }))
}

async fn work<R: Runtime>(
    ctx: Arc<Context<R>>,
    queue: source::Queue,
    queued: mpsc::UnboundedReceiver<ObjectRef<HcsContainer>>,
    ended: mpsc::UnboundedReceiver<String>,
    sweep: Arc<Notify>,
    relist_interval: Duration,
    watch: impl Future<Output = ()> + Send,
) {
    let (changed_sender, changed) = mpsc::unbounded_channel();
    let relist = ctx.relist.run(
        Arc::clone(&ctx.runtime),
        Arc::clone(&ctx.table),
        relist_interval,
        changed_sender,
    );
    let requests = futures::stream::unfold(queued, |mut queued| async move {
        queued
            .recv()
            .await
            .map(|object| (Ok::<_, std::convert::Infallible>(object), queued))
    });
    let reconciles = applier(
        // A task of its own, so that two of them use two cores.
        |object, ctx| Box::pin(joined(tokio::spawn(reconcile::reconcile(object, ctx)))),
        |_, error, _| reconcile::after_error(error),
        Arc::clone(&ctx),
        ctx.store.clone(),
        requests.boxed(),
        Config::default().concurrency(PARALLEL_RECONCILES),
    );
    let reconciles = reconciles.for_each(|result| {
        log_result(result.err());
        std::future::ready(())
    });
    tokio::join!(
        watch,
        relist,
        reconciles,
        queue_changed(&ctx, &queue, changed),
        queue_changed(&ctx, &queue, ended),
        queue_all_when_health_changes(&ctx, &queue),
        sweep_on(&ctx, &sweep, relist_interval),
        capabilities::keep(Arc::clone(&ctx), relist_interval),
    );
}

/// How the task of a reconcile ended.
async fn joined<T>(
    task: tokio::task::JoinHandle<Result<T, reconcile::ReconcileError>>,
) -> Result<T, reconcile::ReconcileError> {
    // A reconcile that panicked is a bug, and the other objects must not suffer from it.
    task.await.unwrap_or_else(|error| Err(error.into()))
}

fn log_result<Q: std::error::Error + 'static>(
    error: Option<kube::runtime::controller::Error<reconcile::ReconcileError, Q>>,
) {
    use kube::runtime::controller::Error;
    match error {
        None | Some(Error::ObjectNotFound(_)) => {}
        Some(Error::ReconcilerFailed(error, object)) => {
            tracing::warn!(%object, %error, "reconcile failed; it is tried again");
        }
        Some(error) => tracing::error!(%error, "the queue failed"),
    }
}

/// Queues the objects of containers that have changed.
async fn queue_changed<R: Runtime>(
    ctx: &Context<R>,
    queue: &source::Queue,
    mut ids: mpsc::UnboundedReceiver<String>,
) {
    while let Some(id) = ids.recv().await {
        let Some((uid, _)) = record::parse_container_id(&id) else {
            continue;
        };
        let recorded = ctx.records.object_of(uid);
        let object = recorded.map(|object| ObjectRef::new(&object.name).within(&object.namespace));
        let object = object.or_else(|| {
            let found = ctx.store.find(|o| o.metadata.uid.as_deref() == Some(uid));
            found.map(|object| ObjectRef::from_obj(&*object))
        });
        if let Some(object) = object {
            let _ = queue.send(object);
        }
    }
}

async fn queue_all_when_health_changes<R: Runtime>(ctx: &Context<R>, queue: &source::Queue) {
    let mut health = ctx.relist.health();
    while health.changed().await.is_ok() {
        for object in ctx.store.state() {
            let _ = queue.send(ObjectRef::from_obj(&*object));
        }
    }
}

async fn sweep_on<R: Runtime>(ctx: &Context<R>, sweep: &Notify, interval: Duration) {
    loop {
        let _ = tokio::time::timeout(interval, sweep.notified()).await;
        sweep::sweep(ctx).await;
        take_inventory(ctx).await;
    }
}

/// Notes what is left after a sweep, as far as the node is known.
async fn take_inventory<R: Runtime>(ctx: &Context<R>) {
    if !ctx.is_synced() || *ctx.relist.health().borrow() != Health::Responds {
        return;
    }
    match inventory::take(ctx).await {
        Ok(inventory) => {
            ctx.metrics.inventory(&inventory);
            ctx.inventory.send_replace(inventory);
        }
        Err(error) => tracing::warn!(%error, "no inventory; the last one stands"),
    }
}
