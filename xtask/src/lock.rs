//! Who runs a control plane in a folder: the process that holds the lock on `supervisor.lock` there. The kernel gives
//! the lock up however that process ends, so unlike a process id in a file it is never stale.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};

const FILE: &str = "supervisor.lock";

/// Held for as long as this process runs something in the folder.
pub struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Takes the folder, which is created, for this process.
    pub fn acquire(dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir).with_context(|| format!("failed to create {}", dir.display()))?;
        let mut file = open(dir)?;
        if file.try_lock().is_err() {
            refuse_second(dir)?;
            bail!("another command is looking at {}: try again", dir.display());
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .context("failed to empty the lock file")?;
        write!(file, "{}", std::process::id()).context("failed to write the lock file")?;
        Ok(Self { _file: file })
    }
}

/// Fails if a process runs something in the folder.
pub fn refuse_second(dir: &Path) -> Result<()> {
    if let Some(pid) = owner(dir)? {
        let dir = dir.display();
        bail!("{dir} is up already (process {pid}); to stop it: cargo xtask down --dir {dir}");
    }
    Ok(())
}

/// The process that holds the folder, `None` if none does.
pub fn owner(dir: &Path) -> Result<Option<u32>> {
    if !dir.join(FILE).is_file() {
        return Ok(None);
    }
    let mut file = open(dir)?;
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            file.read_to_string(&mut pid)
                .context("failed to read the lock file")?;
            Ok(Some(pid.trim().parse().unwrap_or_default()))
        }
        Err(TryLockError::Error(error)) => Err(error).context("failed to try the lock file"),
    }
}

fn open(dir: &Path) -> Result<File> {
    let path = dir.join(FILE);
    let mut options = OpenOptions::new();
    let file = options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path);
    file.with_context(|| format!("failed to open {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_taken_says_by_whom_until_it_is_given_up() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(owner(dir.path()).unwrap(), None);
        let lock = FolderLock::acquire(dir.path()).unwrap();
        assert_eq!(owner(dir.path()).unwrap(), Some(std::process::id()));
        let refusal = FolderLock::acquire(dir.path()).err().unwrap().to_string();
        assert!(refusal.contains("is up already"), "{refusal}");
        drop(lock);
        assert_eq!(owner(dir.path()).unwrap(), None);
        FolderLock::acquire(dir.path()).unwrap();
    }
}
