//! The node's objects: watched on the API server, and from the records for as long as it is away.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use hcs_crds::{FINALIZER, HcsContainer};
use kube::core::DeserializeGuard;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::reflector::store::Writer;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, ResourceExt as _};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tokio::time::error::Elapsed;

use super::context::Context;
use super::record::Record;
use super::runtime::Runtime;

/// After this long the API server ends a watch and the next begins where it stopped.
const WATCH_SECONDS: u32 = 60;
/// Objects in one answer of a list. An answer is held as text, as values and as objects at once, so
/// large pages would decide how much memory the agent keeps from then on.
const PAGE: u32 = 50;
/// A list that brings nothing for that long is dead, and is begun anew. A watch may be silent for as
/// long as nothing changes: kube ends one that outlasts its time, and the next goes on from there.
const LIST_SILENCE: Duration = Duration::from_secs(30);

/// How soon after a watch has failed the store is asked for its version, and again while it does not answer.
const DOUBT: Duration = Duration::from_secs(2);

/// What to reconcile.
pub type Queue = mpsc::UnboundedSender<ObjectRef<HcsContainer>>;

/// Uids of objects that the API server has and this version cannot read. They are in no cache, and
/// what runs for them is left as it is.
#[derive(Debug, Default)]
pub struct Unreadable(Mutex<Unread>);

#[derive(Debug, Default)]
struct Unread {
    uids: HashSet<String>,
    /// Those of a list that is coming in.
    listed: HashSet<String>,
}

impl Unreadable {
    fn lock(&self) -> MutexGuard<'_, Unread> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of them.
    pub fn uids(&self) -> Vec<String> {
        self.lock().uids.iter().cloned().collect()
    }

    /// Whether the object is one of them.
    pub fn contains(&self, uid: &str) -> bool {
        self.lock().uids.contains(uid)
    }

    fn note(&self, event: &watcher::Event<DeserializeGuard<HcsContainer>>) {
        let mut unread = self.lock();
        let unread = &mut *unread;
        match event {
            watcher::Event::Init => unread.listed.clear(),
            watcher::Event::InitDone => unread.uids = std::mem::take(&mut unread.listed),
            watcher::Event::InitApply(object) | watcher::Event::Apply(object) => {
                let Some(uid) = object.uid() else { return };
                if object.0.is_ok() {
                    unread.uids.remove(&uid);
                    unread.listed.remove(&uid);
                } else {
                    unread.uids.insert(uid.clone());
                    unread.listed.insert(uid);
                }
            }
            watcher::Event::Delete(object) => {
                let uid = object.uid().unwrap_or_default();
                unread.uids.remove(&uid);
                unread.listed.remove(&uid);
            }
        }
    }
}

/// Fills the cache with the specs that the records keep, so that the agent can work before it has
/// reached the API server.
pub fn seed(writer: &mut Writer<HcsContainer>, records: &[Record], queue: &Queue) {
    writer.apply_watcher_event(&watcher::Event::Init);
    // What the API server has lost is looked after again when it is there again.
    let known = records.iter().filter(|record| !record.lost);
    for object in known.filter_map(|record| record.last_known.as_deref()) {
        writer.apply_watcher_event(&watcher::Event::InitApply(object.clone()));
        let _ = queue.send(ObjectRef::from_obj(object));
    }
    writer.apply_watcher_event(&watcher::Event::InitDone);
}

/// Watches the node's objects until dropped, and queues each that changes.
pub async fn watch<R: Runtime>(
    client: Client,
    node: String,
    mut writer: Writer<HcsContainer>,
    ctx: Arc<Context<R>>,
    queue: Queue,
    sweep: Arc<Notify>,
) {
    loop {
        ctx.contact.begins();
        let api: Api<DeserializeGuard<HcsContainer>> = Api::all(client.clone());
        let config = watcher::Config::default()
            .fields(&format!("spec.nodeName={node}"))
            .timeout(WATCH_SECONDS)
            .page_size(PAGE);
        let mut events = watcher(api, config).backoff(retries()).boxed();
        let mut listing = true;
        let mut doubt = None;
        loop {
            let next = tokio::select! {
                next = until_silent(events.next(), listing) => next,
                gone = store_has_turned_back(&ctx, doubt) => {
                    if gone {
                        break;
                    }
                    doubt = None;
                    continue;
                }
            };
            match next {
                Ok(Some(Ok(event))) => {
                    ctx.unreadable.note(&event);
                    listing = matches!(event, watcher::Event::Init | watcher::Event::InitApply(_));
                    if !listing {
                        ctx.contact.brought_something();
                    }
                    let Some(event) = readable(event) else {
                        continue;
                    };
                    note(&event, &ctx);
                    writer.apply_watcher_event(&event);
                    after(&event, &ctx, &queue, &sweep);
                }
                Ok(Some(Err(error))) => {
                    ctx.contact.failed();
                    ctx.metrics.watch_failed();
                    tracing::warn!(%error, "the watch failed; it is begun again");
                    doubt.get_or_insert_with(Instant::now);
                }
                Ok(None) => break,
                Err(_) => {
                    tracing::warn!("the list does not come in; it is begun anew");
                    break;
                }
            }
        }
    }
}

/// What the watch brings next, unless a list brings nothing for too long.
async fn until_silent<T>(next: impl Future<Output = T>, listing: bool) -> Result<T, Elapsed> {
    if listing {
        tokio::time::timeout(LIST_SILENCE, next).await
    } else {
        Ok(next.await)
    }
}

/// Where the watch has failed, asks until the API server says whether its store is still the one that it was; else never
/// ends. Dropped by whatever the watch brings, it asks anew, at the latest one [`DOUBT`] after the failure.
async fn store_has_turned_back<R: Runtime>(ctx: &Context<R>, failed_at: Option<Instant>) -> bool {
    let Some(failed_at) = failed_at else {
        return std::future::pending().await;
    };
    let mut due = failed_at + DOUBT;
    loop {
        tokio::time::sleep_until(due).await;
        match ctx.api.version().await {
            Ok(version) => return ctx.contact.has_turned_back(version),
            Err(error) => tracing::debug!(%error, "whether the store is the same is not known yet"),
        }
        due = Instant::now() + DOUBT;
    }
}

/// How long a watch that failed waits before its next try: kube's own waits up to a minute, in
/// which the agent could not vouch for its node although the API server is back.
fn retries() -> watcher::ExponentialBackoff {
    backon::ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(800))
        .with_max_delay(Duration::from_secs(5))
        .with_jitter()
        .without_max_times()
        .into()
}

/// An object that this version cannot read must not stop the others; it is left as it is.
fn readable(
    event: watcher::Event<DeserializeGuard<HcsContainer>>,
) -> Option<watcher::Event<HcsContainer>> {
    let read = |guard: DeserializeGuard<HcsContainer>| match guard.0 {
        Ok(mut object) => {
            object.metadata.managed_fields = None;
            Some(object)
        }
        Err(invalid) => {
            let name = invalid.metadata.name.unwrap_or_default();
            let namespace = invalid.metadata.namespace.unwrap_or_default();
            tracing::error!(namespace, name, error = %invalid.error, "an object cannot be read");
            None
        }
    };
    Some(match event {
        watcher::Event::Init => watcher::Event::Init,
        watcher::Event::InitDone => watcher::Event::InitDone,
        watcher::Event::InitApply(object) => watcher::Event::InitApply(read(object)?),
        watcher::Event::Apply(object) => watcher::Event::Apply(read(object)?),
        watcher::Event::Delete(object) => watcher::Event::Delete(read(object)?),
    })
}

fn note<R: Runtime>(event: &watcher::Event<HcsContainer>, ctx: &Context<R>) {
    match event {
        watcher::Event::Delete(object) => {
            if let Some(uid) = object.uid() {
                ctx.written.forget(&uid, None);
            }
        }
        watcher::Event::Init => ctx.written.list_begins(),
        watcher::Event::InitDone => {
            ctx.metrics.watch_started();
            ctx.written.list_is_in();
        }
        watcher::Event::InitApply(object) | watcher::Event::Apply(object) => {
            ctx.saw(object.resource_version());
        }
    }
}

fn after<R: Runtime>(
    event: &watcher::Event<HcsContainer>,
    ctx: &Context<R>,
    queue: &Queue,
    sweep: &Notify,
) {
    match event {
        watcher::Event::Apply(object) => {
            // A new one may be in the place of one whose container is still there.
            if !object.finalizers().iter().any(|f| f == FINALIZER) && ctx.records.has_other(object)
            {
                sweep.notify_one();
            }
            let _ = queue.send(ObjectRef::from_obj(object));
        }
        watcher::Event::InitDone => {
            ctx.synced.store(true, Ordering::Release);
            for object in ctx.store.state() {
                let _ = queue.send(ObjectRef::from_obj(&*object));
            }
            sweep.notify_one();
        }
        watcher::Event::Delete(_) => sweep.notify_one(),
        watcher::Event::Init | watcher::Event::InitApply(_) => {}
    }
}
