//! Removes what this agent made for objects that are gone.
//!
//! Only once the API server's first full list is in, and only what a read of its own confirms to be gone, so that nothing
//! is removed on doubt: a list may be older than what an agent before this one has made. And never what the agent did not
//! make.
//!
//! Of an object that a store does not have which is older than what was seen, nobody knows whether it was deleted: the
//! store was restored from a backup, or lost. What runs for it stays until it is there again, or another of its name.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;

use futures::StreamExt as _;
use hcs_crds::ReclaimPolicy;
use kube::ResourceExt as _;
use tokio::sync::OnceCell;

use super::context::{Context, bundles};
use super::disk;
use super::kube_api::There;
use super::record::{Record, parse_container_id};
use super::relist::Health;
use super::runtime::{Call, Runtime, deleted};
use super::scratch::{ScratchError, ScratchFolder};

/// Objects whose remains are removed at once: one whose runhcs hangs must not hold up the others.
const AT_ONCE: usize = 8;

/// Removes every container, file and record whose object the API server does not have.
pub async fn sweep<R: Runtime>(ctx: &Context<R>) {
    if !ctx.is_synced() || *ctx.relist.health().borrow() != Health::Responds {
        return;
    }
    let known: HashSet<String> = ctx.store.state().iter().filter_map(|o| o.uid()).collect();
    let mut left: HashSet<String> = ctx.records.uids().into_iter().collect();
    // A bundle can outlast its container and its record: Windows keeps one that a shim is still in.
    let ids = ctx.table.ids().into_iter().chain(bundle_ids(ctx));
    left.extend(ids.filter_map(|id| Some(parse_container_id(&id)?.0.to_owned())));
    let there = OnceCell::new();
    let seen = ctx.records.seen();
    futures::stream::iter(left.difference(&known))
        .for_each_concurrent(AT_ONCE, |uid| remove_object(ctx, uid, seen, &there))
        .await;
    if let Some(Some(There { version, .. })) = there.get()
        && *version < seen
    {
        ctx.records.goes_on_from(*version);
    }
}

/// What the API server has, asked for all objects after one was missed; none if it does not tell.
async fn ask<'a, R>(ctx: &Context<R>, there: &'a OnceCell<Option<There>>) -> Option<&'a There> {
    let ask = || async {
        let answer = ctx.api.there().await;
        let log = |error| tracing::warn!(%error, "orphans stay; tried again after a relist");
        answer.map_err(log).ok()
    };
    there.get_or_init(ask).await.as_ref()
}

/// Whether nobody knows that the object was deleted. Said once, and kept with its record: the store's version may come to
/// be newer than all that was seen before. So is the end of the doubt, as what is removed then may take several sweeps.
async fn is_in_doubt<R>(ctx: &Context<R>, record: &mut Record, there: &There, seen: u64) -> bool {
    if record.replaced_by.is_some() || !(record.lost || there.version < seen) {
        return false;
    }
    let id = record.object.clone();
    let other = ctx.store.find(|object| {
        object.metadata.name.as_ref() == Some(&id.name)
            && object.metadata.namespace.as_ref() == Some(&id.namespace)
            && object.metadata.uid.as_ref() != Some(&id.uid)
    });
    if other.is_none() && record.lost {
        return true;
    }
    record.lost = true;
    record.replaced_by = other.and_then(|other| other.uid());
    if record.replaced_by.is_none() {
        tracing::warn!(
            object = %id, uid = id.uid, version = there.version, seen,
            "the API server's store is older than this object was; what runs for it stays"
        );
    }
    if let Err(error) = ctx.records.save(record).await {
        tracing::error!(%error, object = %id, "record not saved");
        record.replaced_by = None;
    }
    record.replaced_by.is_none()
}

async fn remove_object<R: Runtime>(
    ctx: &Context<R>,
    uid: &str,
    seen: u64,
    there: &OnceCell<Option<There>>,
) {
    let mut record = ctx.records.hold_existing(uid).await;
    // It may have come to be known while the record was waited for.
    let known = ctx
        .store
        .find(|object| object.metadata.uid.as_deref() == Some(uid))
        .is_some();
    // What an object that was only observed has left stays for as long as its container does.
    let released = record.as_ref().is_some_and(|record| record.released);
    let released = released && !ctx.table.of_object(uid).is_empty();
    if known || released || ctx.unreadable.contains(uid) {
        return;
    }
    let Some(there) = ask(ctx, there).await else {
        return;
    };
    if there.uids.contains(uid) {
        return;
    }
    if let Some(record) = &mut record
        && is_in_doubt(ctx, record, there, seen).await
    {
        return;
    }
    for id in ctx.table.of_object(uid) {
        let outcome = ctx
            .runtime
            .run(&Call::Delete {
                id: id.clone(),
                force: true,
            })
            .await;
        if let Err(error) = deleted(outcome.result) {
            tracing::warn!(container = id, %error, "an orphan stays; tried again after a relist");
            return;
        }
        tracing::info!(container = id, "removed a container whose object is gone");
        ctx.table.set(&id, super::plan::Observed::Absent, None);
        ctx.table.forget(&id);
    }
    // Where nothing is known of it, a disk that somebody may want is kept. A record under which nothing was made knows
    // nothing: its spec may be from the past.
    let policy = record
        .as_ref()
        .filter(|record| record.has_leftovers())
        .map_or(ReclaimPolicy::Retain, |record| record.scratch_policy);
    if let Err(error) = remove_files(ctx, uid, policy) {
        tracing::warn!(uid, %error, "files of an object that is gone stay");
        return;
    }
    if let Some(record) = &record {
        ctx.release_claims(&record.object);
    }
    ctx.written.forget(uid, None);
    if let Err(error) = ctx.records.remove(uid) {
        tracing::warn!(uid, %error, "the record of an object that is gone stays");
    }
}

/// Removes an object's bundles, and its scratch unless it is to be retained.
pub fn remove_files<R>(
    ctx: &Context<R>,
    uid: &str,
    scratch: ReclaimPolicy,
) -> Result<(), ScratchError> {
    for id in bundle_ids(ctx).filter(|id| parse_container_id(id).is_some_and(|(u, _)| u == uid)) {
        let folder = bundles(&ctx.data).join(&id);
        disk::remove_folder(&folder).map_err(|source| ScratchError::Io {
            what: "remove",
            path: folder,
            source,
        })?;
    }
    ScratchFolder::new(&ctx.data, uid).reclaim(scratch)
}

/// The bundles of a container and of its object's attempts before it.
pub fn bundles_up_to<R>(ctx: &Context<R>, id: &str) -> Vec<PathBuf> {
    let Some((uid, attempt)) = parse_container_id(id) else {
        return Vec::new();
    };
    let earlier =
        |id: &String| parse_container_id(id).is_some_and(|(u, a)| u == uid && a <= attempt);
    let ids = bundle_ids(ctx).filter(earlier);
    ids.map(|id| bundles(&ctx.data).join(id)).collect()
}

fn bundle_ids<R>(ctx: &Context<R>) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(bundles(&ctx.data))
        .into_iter()
        .flatten()
        .flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok())
}

#[cfg(test)]
mod doubt;
#[cfg(test)]
mod tests;
