//! The scratch file of an LCOW container: made under a temporary name, then renamed, so that a
//! file under its final name is whole.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use hcs_crds::{ReclaimPolicy, Scratch};

use super::disk;
use super::host_policy::HostPolicy;
use super::validate::paths::PathError;

/// Name under which runhcs looks for the scratch in the last layer folder (hcsshim,
/// `internal/layers`).
pub const SCRATCH_FILE: &str = "sandbox.vhdx";
/// What `create-scratch` writes; it gets its final name when it is whole.
const UNFINISHED_FILE: &str = "sandbox.tmp.vhdx";
/// Says which size the file beside it was made with, since the file itself grows as it is used.
const SIZE_FILE: &str = "sandbox.size-gb";

/// Why a scratch cannot be made ready.
#[derive(Debug, thiserror::Error)]
pub enum ScratchError {
    /// The cache file lies outside the roots.
    #[error("spec.scratch.cacheFile: {0}")]
    Cache(#[from] PathError),
    /// A file operation failed.
    #[error("failed to {what} {path:?}: {source}")]
    Io {
        /// What was to be done.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// The folder with one folder an object: `<data>/scratch`.
pub fn folders(data: &Path) -> PathBuf {
    data.join("scratch")
}

/// The scratch files in an object's folder that were set aside because they were to be retained.
pub fn retained(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let aside = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with("sandbox.retained-"))
    };
    entries.map(|entry| entry.path()).filter(aside).collect()
}

/// The scratch folder of one object.
#[derive(Debug)]
pub struct ScratchFolder(PathBuf);

impl ScratchFolder {
    /// `<data>/scratch/<uid>`.
    pub fn new(data: &Path, uid: &str) -> Self {
        Self(folders(data).join(uid))
    }

    /// Where the finished file lies.
    pub fn file(&self) -> PathBuf {
        self.0.join(SCRATCH_FILE)
    }

    /// Whether a finished file of this size is there.
    pub fn has(&self, size_gb: u32) -> bool {
        let size = fs::read_to_string(self.0.join(SIZE_FILE)).ok();
        self.file().is_file() && size.and_then(|text| text.trim().parse().ok()) == Some(size_gb)
    }

    /// Makes room: removes what an interrupted run left, and takes a file of another size out of
    /// the way. Returns the temporary name to create.
    pub fn clear_the_way(&self, policy: ReclaimPolicy) -> Result<PathBuf, ScratchError> {
        disk::make_folder(&self.0).map_err(|e| io_error("make the folder", &self.0, e))?;
        self.remove_unfinished()?;
        if self.file().exists() {
            match policy {
                ReclaimPolicy::Delete => remove(&self.file())?,
                ReclaimPolicy::Retain => self.set_aside()?,
            }
        }
        remove(&self.0.join(SIZE_FILE))?;
        Ok(self.0.join(UNFINISHED_FILE))
    }

    /// Removes what an agent that was killed has left unfinished.
    fn remove_unfinished(&self) -> Result<(), ScratchError> {
        remove(&self.0.join(UNFINISHED_FILE))?;
        let entries = fs::read_dir(&self.0).into_iter().flatten().flatten();
        let paths = entries.map(|entry| entry.path());
        for path in paths.filter(|path| path.extension().is_some_and(|end| end == "tmp")) {
            remove(&path)?;
        }
        Ok(())
    }

    /// Keeps the present file under a name that nothing else has.
    fn set_aside(&self) -> Result<(), ScratchError> {
        let free = (1..).map(|n| self.0.join(format!("sandbox.retained-{n}.vhdx")));
        let aside = free
            .into_iter()
            .find(|path| !path.exists())
            .unwrap_or_default();
        disk::rename(&self.file(), &aside).map_err(|e| io_error("set aside", &self.file(), e))
    }

    /// Gives the finished file its final name.
    pub fn finish(&self, temporary: &Path, size_gb: u32) -> Result<(), ScratchError> {
        let size = self.0.join(SIZE_FILE);
        disk::write_whole(&size, size_gb.to_string().as_bytes())
            .map_err(|e| io_error("write", &size, e))?;
        let file = self.file();
        disk::rename(temporary, &file).map_err(|e| io_error("rename to", &file, e))
    }

    /// Removes the folder, or leaves it where the policy says so.
    pub fn reclaim(&self, policy: ReclaimPolicy) -> Result<(), ScratchError> {
        if policy == ReclaimPolicy::Retain {
            return self.remove_unfinished();
        }
        disk::remove_folder(&self.0).map_err(|e| io_error("remove", &self.0, e))
    }
}

/// The cache file that a spec names, if the agent allows it. It need not exist: runhcs makes it.
pub fn cache_file(scratch: &Scratch, policy: &HostPolicy) -> Result<Option<PathBuf>, ScratchError> {
    let Some(path) = &scratch.cache_file else {
        return Ok(None);
    };
    match policy.caches.admit_existing(path) {
        Ok(file) => Ok(Some(file)),
        Err(PathError::Missing { .. }) => Ok(Some(policy.caches.admit(path)?)),
        Err(error) => Err(error.into()),
    }
}

fn remove(path: &Path) -> Result<(), ScratchError> {
    disk::remove_file(path).map_err(|e| io_error("remove", path, e))
}

fn io_error(what: &'static str, path: &Path, source: io::Error) -> ScratchError {
    ScratchError::Io {
        what,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(folder: &ScratchFolder, size_gb: u32, policy: ReclaimPolicy) {
        let temporary = folder.clear_the_way(policy).unwrap();
        fs::write(&temporary, format!("{size_gb}")).unwrap();
        folder.finish(&temporary, size_gb).unwrap();
    }

    #[test]
    fn a_finished_file_is_known_by_its_size_and_an_unfinished_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let folder = ScratchFolder::new(dir.path(), "u");
        assert!(!folder.has(20));
        let temporary = folder.clear_the_way(ReclaimPolicy::Delete).unwrap();
        fs::write(&temporary, "half").unwrap();
        assert!(!folder.has(20));
        made(&folder, 20, ReclaimPolicy::Delete);
        assert!(folder.has(20) && !folder.has(40));
    }

    #[test]
    fn what_a_killed_agent_left_unfinished_goes_with_the_next_try_and_is_never_retained() {
        let dir = tempfile::tempdir().unwrap();
        let folder = ScratchFolder::new(dir.path(), "u");
        let left = dir.path().join("scratch/u/.tmpAbC.tmp");
        for policy in [ReclaimPolicy::Delete, ReclaimPolicy::Retain] {
            let temporary = folder.clear_the_way(policy).unwrap();
            fs::write(&temporary, "half").unwrap();
            fs::write(&left, "half").unwrap();
            made(&folder, 20, policy);
            assert!(!left.exists());
        }
        fs::write(&left, "half").unwrap();
        folder.reclaim(ReclaimPolicy::Retain).unwrap();
        assert!(!left.exists() && folder.has(20));
    }

    #[test]
    fn a_retained_folder_stays_and_another_goes() {
        let dir = tempfile::tempdir().unwrap();
        let folder = ScratchFolder::new(dir.path(), "u");
        made(&folder, 20, ReclaimPolicy::Delete);
        folder.reclaim(ReclaimPolicy::Retain).unwrap();
        assert!(folder.has(20));
        folder.reclaim(ReclaimPolicy::Delete).unwrap();
        folder.reclaim(ReclaimPolicy::Delete).unwrap();
        assert!(!dir.path().join("scratch/u").exists());
    }

    #[test]
    fn another_size_removes_the_old_file_or_keeps_it_aside() {
        let dir = tempfile::tempdir().unwrap();
        let folder = ScratchFolder::new(dir.path(), "u");
        made(&folder, 20, ReclaimPolicy::Delete);
        made(&folder, 40, ReclaimPolicy::Retain);
        made(&folder, 60, ReclaimPolicy::Retain);
        made(&folder, 80, ReclaimPolicy::Delete);
        let read = |name: &str| fs::read_to_string(dir.path().join("scratch/u").join(name)).ok();
        assert_eq!(read("sandbox.vhdx").as_deref(), Some("80"));
        assert_eq!(read("sandbox.retained-1.vhdx").as_deref(), Some("20"));
        assert_eq!(read("sandbox.retained-2.vhdx").as_deref(), Some("40"));
        assert!(read("sandbox.retained-3.vhdx").is_none());
    }
}
