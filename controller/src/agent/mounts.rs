//! The writable layers that were mounted in this boot.
//!
//! runhcs v0.11.7 mounts a container's layers at create and unmounts none at delete, and has no
//! verb for it. So the agent remembers which ones it had mounted, to tell of those that no object
//! uses any more. A reboot unmounts them all.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sha2::{Digest as _, Sha256};

use super::disk;

/// The layers, in memory and as one file each in `<data>/mounted/<boot>/`.
#[derive(Debug)]
pub struct Mounts {
    folder: PathBuf,
    layers: Mutex<BTreeSet<String>>,
}

impl Mounts {
    /// Those of this boot; forgets those of earlier ones. What cannot be read is not known, which
    /// costs no more than a line in the inventory.
    pub fn open(data: &Path, boot_id: &str) -> Self {
        let all = data.join("mounted");
        let folder = all.join(name_of(boot_id));
        for other in entries(&all).filter(|entry| *entry != folder) {
            if let Err(error) = disk::remove_folder(&other) {
                tracing::warn!(folder = %other.display(), %error, "layers of an earlier boot stay noted");
            }
        }
        let layers = entries(&folder).filter_map(|file| fs::read_to_string(file).ok());
        Self {
            layers: Mutex::new(layers.collect()),
            folder,
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.layers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a layer that a container is about to be created with.
    pub fn note(&self, layer: &str) {
        if !self.lock().insert(layer.to_owned()) {
            return;
        }
        // Without fsync: what makes the system forget the file unmounts the layer as well.
        let written = disk::write_unsynced(&self.folder.join(name_of(layer)), layer.as_bytes());
        if let Err(error) = written {
            tracing::warn!(layer, %error, "failed to note a mounted layer; the next agent does not know of it");
        }
    }

    /// All of them, in alphabetical order.
    pub fn layers(&self) -> Vec<String> {
        self.lock().iter().cloned().collect()
    }
}

/// A file name for any text.
fn name_of(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    let mut name = String::new();
    for byte in digest.iter().take(16) {
        // Writing to a String does not fail.
        let _ = write!(name, "{byte:02x}");
    }
    name
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => Some(entries),
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::warn!(folder = %folder.display(), %error, "failed to list the mounted layers");
            }
            None
        }
    };
    entries
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_known_to_the_next_agent_and_forgotten_with_the_boot() {
        let dir = tempfile::tempdir().unwrap();
        let mounts = Mounts::open(dir.path(), "boot-1");
        mounts.note("/layers/b");
        mounts.note("/layers/a");
        mounts.note("/layers/b");
        let again = Mounts::open(dir.path(), "boot-1");
        assert_eq!(again.layers(), ["/layers/a", "/layers/b"]);
        let rebooted = Mounts::open(dir.path(), "boot-2");
        assert!(rebooted.layers().is_empty());
        assert!(Mounts::open(dir.path(), "boot-1").layers().is_empty());
    }
}
