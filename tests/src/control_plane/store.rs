//! The store that a control plane begins with, and what may happen to a cluster's: it is restored from a backup, so that
//! all that came since is gone and resourceVersions go back, or it is lost. For scenarios with a control plane of their own.

use std::fs;
use std::path::{Path, PathBuf};

use super::{ControlPlane, flags};
use crate::cached::{self, Key};
use crate::process::lock;
use crate::{Error, Result, binaries};

/// A store on which an API server has started once: that it writes there what each cluster has, roles before all, is a third
/// of the work of a start.
pub async fn begun() -> Result<PathBuf> {
    let key = Key::new()
        .text(flags::SOURCE)
        .program(&binaries::control_plane("kube-apiserver")?)?
        .program(&binaries::control_plane("etcd")?)?;
    let runtime = tokio::runtime::Handle::current();
    let make = move |folder: &Path| {
        let scene = folder.join("control-plane");
        let control_plane = runtime.block_on(ControlPlane::start_on(&scene, None))?;
        control_plane.stop();
        let failed = |source| Error::file("keep the store in", folder, source);
        fs::rename(of(&scene), folder.join("data")).map_err(failed)?;
        drop(control_plane);
        fs::remove_dir_all(&scene).map_err(failed)
    };
    let cached = tokio::task::spawn_blocking(|| cached::folder("store", key, make)).await;
    let folder = cached.map_err(|panic| Error::Unexpected {
        what: "a store is made".to_owned(),
        evidence: panic.to_string(),
    })??;
    Ok(folder.join("data"))
}

/// Where the store of the control plane in this folder is.
pub fn of(dir: &Path) -> PathBuf {
    dir.join("etcd/data")
}

/// What the store held at some time.
#[derive(Debug)]
pub struct Backup(PathBuf);

impl ControlPlane {
    /// Keeps what the store holds now. The API server is away for that time.
    pub async fn back_up_store(&self) -> Result<Backup> {
        self.stop_store();
        let backup = self.dir().join("etcd-backup");
        remove(&backup)?;
        copy(&self.store(), &backup)?;
        self.start_store()?;
        self.start_api_server().await?;
        Ok(Backup(backup))
    }

    /// Puts the store back to what it was then, and waits until the API server is ready.
    pub async fn restore_store(&self, backup: &Backup) -> Result {
        self.stop_store();
        remove(&self.store())?;
        copy(&backup.0, &self.store())?;
        self.start_store()?;
        self.start_api_server().await
    }

    /// Empties the store, and waits until the API server is ready. Nothing of the project is installed then.
    pub async fn lose_store(&self) -> Result {
        self.stop_store();
        remove(&self.store())?;
        self.start_store()?;
        self.start_api_server().await
    }

    fn store(&self) -> PathBuf {
        of(self.dir())
    }

    fn stop_store(&self) {
        self.kill_api_server();
        // Dropped, it is asked to end and waited for.
        lock(&self.processes).clear();
    }
}

fn remove(folder: &Path) -> Result {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::file("remove", folder, error))
        }
        _ => Ok(()),
    }
}

/// Copies a folder.
pub fn copy(from: &Path, to: &Path) -> Result {
    let failed = |source| Error::file("copy", from, source);
    fs::create_dir_all(to).map_err(failed)?;
    for entry in fs::read_dir(from).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let to = to.join(entry.file_name());
        if entry.file_type().map_err(failed)?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to).map_err(failed)?;
        }
    }
    Ok(())
}
