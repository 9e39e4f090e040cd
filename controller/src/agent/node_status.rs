//! The node's page on the API server, its `HcsNode`: made by the agent, and written when it has
//! changed.
//!
//! Counts change with every container, so they are written at most once an interval; what changes
//! a condition is written at once. A steady state writes nothing.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use hcs_crds::{Condition, HcsNode, HcsNodeStatus};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, ResourceExt};
use tokio::sync::watch;
use tokio::time::Instant;

use super::contact::State;
use super::context::Context;
use super::relist::Health;
use super::runtime::Runtime;
use crate::kube_client::ApiError;

mod abilities;
mod disk;
mod facts;
mod status;

pub use disk::DiskLimits;

/// Shortest time between two writes, whatever changes.
const SHORTEST: Duration = Duration::from_secs(1);
/// Longest time by which one that fails is put off.
const LONGEST: Duration = Duration::from_secs(30);

/// How the page is kept.
#[derive(Clone, Debug)]
pub struct PageSettings {
    /// Longest time that a change of a count may wait, and how often the disk is looked at.
    pub interval: Duration,
    /// When the disk is nearly full.
    pub disk: DiskLimits,
    /// The runhcs executable, as it is called.
    pub runhcs: Option<String>,
}

/// What the API server has: none before its answer is in, then the object or none.
type Seen = Option<Option<Arc<HcsNode>>>;

/// Keeps the page until dropped.
pub async fn keep<R: Runtime>(
    ctx: &Context<R>,
    client: Client,
    node: &str,
    settings: &PageSettings,
) {
    let (sender, seen) = watch::channel(None);
    let page = Page {
        ctx,
        node,
        settings,
        os_build: crate::platform::os_build(),
        witnessed: abilities::Witnessed::default(),
    };
    tokio::join!(
        look_on(ctx, client, node, sender),
        page.write_when_changed(seen)
    );
}

/// Follows what the API server has. Others write to it as well: the cluster's controller when
/// nothing is heard of the node, and whoever removes it.
async fn look_on<R>(ctx: &Context<R>, client: Client, node: &str, seen: watch::Sender<Seen>) {
    let api: Api<HcsNode> = Api::all(client);
    let begin = || watcher::watch_object(api.clone(), node).default_backoff();
    let mut states = begin().boxed();
    let mut turned_back = ctx.contact.turns_back();
    loop {
        let state = tokio::select! {
            state = states.try_next() => state,
            // Its sender lives as long as the context. A watch that goes on is told of nothing.
            _ = turned_back.changed() => {
                seen.send_replace(None);
                states = begin().boxed();
                continue;
            }
        };
        match state {
            Ok(Some(object)) => {
                let version = object.as_ref().and_then(ResourceExt::resource_version);
                ctx.contact.saw(version);
                seen.send_replace(Some(object.map(Arc::new)));
            }
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(%error, "the watch of the HcsNode failed; it is begun again");
            }
        }
    }
}

struct Page<'a, R> {
    ctx: &'a Context<R>,
    node: &'a str,
    settings: &'a PageSettings,
    os_build: String,
    witnessed: abilities::Witnessed,
}

impl<R: Runtime> Page<'_, R> {
    async fn write_when_changed(&self, mut seen: watch::Receiver<Seen>) {
        let mut health = self.ctx.relist.health();
        let mut contact = self.ctx.contact.subscribe();
        let mut abilities = self.ctx.capabilities.subscribe();
        let mut written: Option<HcsNode> = None;
        let mut last: Option<Instant> = None;
        let mut failures = 0_u32;
        let mut turned_back = self.ctx.contact.turns_back();
        loop {
            if turned_back.has_changed().unwrap_or_default() {
                turned_back.borrow_and_update();
                written = None;
            }
            health.borrow_and_update();
            contact.borrow_and_update();
            abilities.borrow_and_update();
            let object = seen.borrow_and_update().clone();
            if let Some(object) = object.filter(|_| self.is_known()) {
                let newest = newest(object.as_deref(), written.as_ref());
                let status = status::of(&self.facts(), newest);
                let now = newest.and_then(|object| object.status.as_ref());
                let due = last.is_none_or(|at| at.elapsed() >= self.settings.interval);
                if now != Some(&status) && (due || tells_more(now, &status)) {
                    last = Some(Instant::now());
                    let answer = self.write(object.is_some(), &status).await;
                    self.ctx.metrics.node_status_written(answer.is_ok());
                    match answer {
                        Ok(object) => (written, failures) = (Some(object), 0),
                        Err(error) => {
                            tracing::warn!(%error, "the HcsNode is not written");
                            failures = failures.saturating_add(1);
                            self.waits_after(failures).await;
                            continue;
                        }
                    }
                    tokio::time::sleep(self.shortest()).await;
                }
            }
            tokio::select! {
                () = tokio::time::sleep(self.settings.interval) => {}
                // The senders live as long as this does.
                _ = health.changed() => {}
                _ = contact.changed() => {}
                _ = seen.changed() => {}
                _ = abilities.changed() => {}
            }
        }
    }

    fn shortest(&self) -> Duration {
        SHORTEST.min(self.settings.interval)
    }

    /// Waits for longer after each write that failed in a row; less where the watch has not worked and does again, as what
    /// kept it from working is likely to have kept the writes.
    async fn waits_after(&self, failures: u32) {
        let shortest = self.shortest();
        tokio::time::sleep(shortest).await;
        let longer = shortest * (2_u32.saturating_pow(failures.min(10) - 1) - 1);
        let mut contact = self.ctx.contact.subscribe();
        let works_again = async {
            // The sender lives as long as the context.
            let _ = contact.wait_for(|state| *state != State::Works).await;
            let _ = contact.wait_for(|state| *state == State::Works).await;
        };
        tokio::select! {
            () = tokio::time::sleep(longer.min(LONGEST)) => {}
            () = works_again => {}
        }
    }

    /// Whether the agent knows its node: before the first lists there is nothing to say.
    fn is_known(&self) -> bool {
        self.ctx.is_synced()
            && self.ctx.capabilities.is_probed()
            && *self.ctx.relist.health().borrow() != Health::Unknown
    }

    async fn write(&self, exists: bool, status: &HcsNodeStatus) -> Result<HcsNode, ApiError> {
        let api = &self.ctx.api;
        if !exists {
            api.make_node(self.node).await?;
        }
        api.apply_node_status(self.node, status).await
    }
}

/// What the API server has: what was written last, until that has come back or is gone.
fn newest<'a>(seen: Option<&'a HcsNode>, written: Option<&'a HcsNode>) -> Option<&'a HcsNode> {
    let version = |object: &HcsNode| {
        let version = object.resource_version();
        version.and_then(|text| text.parse::<u64>().ok())
    };
    let newer =
        written.filter(|w| seen.is_some_and(|s| version(s) < version(w) && s.uid() == w.uid()));
    newer.or(seen)
}

/// Whether a status says more than other numbers: those wait for the interval.
fn tells_more(before: Option<&HcsNodeStatus>, after: &HcsNodeStatus) -> bool {
    let Some(before) = before else { return true };
    let words = |c: &Condition| (c.type_.clone(), c.status.clone(), c.reason.clone());
    let all = |status: &HcsNodeStatus| status.conditions.iter().map(words).collect::<Vec<_>>();
    all(before) != all(after) || before.boot_id != after.boot_id
}

#[cfg(test)]
mod tests;
