//! What may happen to a cluster's store: it is restored from a backup, so that all that came since is gone and
//! resourceVersions go back, or it is lost. For scenarios with a control plane of their own.

use std::fs;
use std::path::{Path, PathBuf};

use super::ControlPlane;
use crate::process::lock;
use crate::{Error, Result};

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
        self.dir().join("etcd/data")
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

fn copy(from: &Path, to: &Path) -> Result {
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
