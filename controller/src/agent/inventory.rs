//! What is on the node and belongs to no object: foreign containers, and what the agent itself has
//! left. It is taken after each sweep, so that what a sweep can remove is not in it.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use hcs_crds::{ForeignContainers, INVENTORY_SHOWN, Inventory, Leftover, LeftoverKind, Leftovers};
use kube::ResourceExt as _;

use super::context::{Context, bundles};
use super::record::parse_container_id;
use super::runtime::Runtime;
use super::scratch;

/// What the agent knows of without looking at the disk.
#[derive(Debug, Default)]
struct Known {
    foreign: Vec<String>,
    /// Uids of objects that the API server has.
    uids: HashSet<String>,
    /// The agent's containers whose objects are gone.
    containers: Vec<String>,
    /// Mounted layers that no object uses.
    layers: Vec<String>,
}

/// Takes the inventory. Needs the API server's list: without it, nothing is left over.
///
/// # Errors
/// The data folder cannot be read.
pub async fn take<R: Runtime>(ctx: &Context<R>) -> io::Result<Inventory> {
    let known = known(ctx);
    let data = ctx.data.clone();
    tokio::task::spawn_blocking(move || inventory(&data, known))
        .await
        .map_err(io::Error::other)?
}

fn known<R: Runtime>(ctx: &Context<R>) -> Known {
    let mut uids: HashSet<String> = ctx.store.state().iter().filter_map(|o| o.uid()).collect();
    uids.extend(ctx.unreadable.uids());
    let gone = |id: &String| parse_container_id(id).is_none_or(|(uid, _)| !uids.contains(uid));
    let mut layers = ctx.mounts.layers();
    layers.retain(|layer| !ctx.claims.holds(layer));
    Known {
        foreign: ctx.table.foreign(),
        containers: ctx.table.ids().into_iter().filter(gone).collect(),
        layers,
        uids,
    }
}

fn inventory(data: &Path, known: Known) -> io::Result<Inventory> {
    let is_gone = |path: &Path, uid_of: fn(&str) -> Option<&str>| {
        let name = path.file_name().and_then(|name| name.to_str());
        let uid = name.and_then(uid_of);
        uid.is_none_or(|uid| !known.uids.contains(uid))
    };
    let mut left = Vec::new();
    for id in known.containers {
        left.push(leftover(LeftoverKind::Container, id, 0));
    }
    for folder in entries(&bundles(data))? {
        if is_gone(&folder, |id| parse_container_id(id).map(|(uid, _)| uid)) {
            left.push(of_path(LeftoverKind::Bundle, &folder)?);
        }
    }
    for folder in entries(&scratch::folders(data))? {
        if is_gone(&folder, |uid| Some(uid)) {
            left.push(of_path(LeftoverKind::Scratch, &folder)?);
        } else {
            for file in scratch::retained(&folder) {
                left.push(of_path(LeftoverKind::Scratch, &file)?);
            }
        }
    }
    for file in entries(&data.join("records"))? {
        if file.extension().is_some_and(|e| e == "unreadable") {
            left.push(of_path(LeftoverKind::Record, &file)?);
        }
    }
    for layer in known.layers {
        left.push(leftover(LeftoverKind::MountedLayer, layer, 0));
    }
    Ok(Inventory {
        foreign_containers: foreign(known.foreign),
        leftovers: leftovers(left),
    })
}

fn leftover(kind: LeftoverKind, name: String, bytes: u64) -> Leftover {
    Leftover { kind, name, bytes }
}

fn of_path(kind: LeftoverKind, path: &Path) -> io::Result<Leftover> {
    Ok(leftover(
        kind,
        path.to_string_lossy().into_owned(),
        size(path)?,
    ))
}

fn foreign(mut ids: Vec<String>) -> ForeignContainers {
    let count = u32::try_from(ids.len()).unwrap_or(u32::MAX);
    let truncated = ids.len() > INVENTORY_SHOWN;
    ids.truncate(INVENTORY_SHOWN);
    ForeignContainers {
        count,
        ids,
        truncated,
    }
}

fn leftovers(mut items: Vec<Leftover>) -> Leftovers {
    let count = u32::try_from(items.len()).unwrap_or(u32::MAX);
    let bytes = items.iter().map(|item| item.bytes).sum();
    // In one order, so that the same inventory is the same status.
    items.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
    let truncated = items.len() > INVENTORY_SHOWN;
    items.truncate(INVENTORY_SHOWN);
    Leftovers {
        count,
        bytes,
        items,
        truncated,
    }
}

fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// The size of a file, or of all files in a folder. Links are not followed, and what goes in the
/// meantime takes nothing.
fn size(path: &Path) -> io::Result<u64> {
    let meta = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        meta => meta?,
    };
    if !meta.is_dir() {
        return Ok(meta.len());
    }
    entries(path)?.iter().map(|entry| size(entry)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIVING: &str = "0b8f6c1e-6d5e-4f7a-9c51-000000000001";
    const GONE: &str = "0b8f6c1e-6d5e-4f7a-9c51-000000000002";

    fn write(path: PathBuf, bytes: usize) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, vec![0; bytes]).unwrap();
    }

    #[test]
    fn what_belongs_to_no_object_is_listed_with_its_size_and_the_rest_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path();
        write(data.join(format!("bundles/hc-{LIVING}-1/config.json")), 10);
        write(data.join(format!("bundles/hc-{GONE}-2/config.json")), 20);
        write(data.join(format!("bundles/hc-{GONE}-2/rootfs/x")), 3);
        write(data.join(format!("scratch/{LIVING}/sandbox.vhdx")), 100);
        write(
            data.join(format!("scratch/{LIVING}/sandbox.retained-1.vhdx")),
            7,
        );
        write(data.join(format!("scratch/{GONE}/sandbox.vhdx")), 200);
        write(data.join(format!("records/{LIVING}.json")), 50);
        write(data.join(format!("records/{GONE}.unreadable")), 5);
        let known = Known {
            foreign: vec!["web".into()],
            uids: [LIVING.to_owned()].into(),
            containers: vec![format!("hc-{GONE}-2")],
            layers: vec!["/layers/x".into()],
        };
        let inventory = inventory(data, known).unwrap();
        assert_eq!(inventory.foreign_containers.ids, ["web"]);
        let found: Vec<_> = inventory
            .leftovers
            .items
            .iter()
            .map(|i| (i.kind, i.bytes))
            .collect();
        let expected = [
            (LeftoverKind::Container, 0),
            (LeftoverKind::Bundle, 23),
            (LeftoverKind::Scratch, 7),
            (LeftoverKind::Scratch, 200),
            (LeftoverKind::Record, 5),
            (LeftoverKind::MountedLayer, 0),
        ];
        assert_eq!(found, expected);
        let leftovers = inventory.leftovers;
        assert_eq!(
            (leftovers.count, leftovers.bytes, leftovers.truncated),
            (6, 235, false)
        );
    }

    #[test]
    fn a_node_without_a_data_folder_has_nothing_left_over() {
        let dir = tempfile::tempdir().unwrap();
        let inventory = inventory(&dir.path().join("no"), Known::default()).unwrap();
        assert_eq!(inventory, Inventory::default());
    }

    #[test]
    fn a_long_list_is_cut_and_says_so_and_the_count_goes_on() {
        let ids = (0..100).map(|n| format!("c{n:03}")).collect();
        let foreign = foreign(ids);
        assert_eq!((foreign.count, foreign.truncated), (100, true));
        assert_eq!(foreign.ids.len(), INVENTORY_SHOWN);
        let items = (0..100).map(|n| leftover(LeftoverKind::Bundle, format!("{n:03}"), 2));
        let left = leftovers(items.rev().collect());
        assert_eq!((left.count, left.bytes, left.truncated), (100, 200, true));
        assert_eq!(left.items[0].name, "000");
    }
}
