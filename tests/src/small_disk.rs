//! A disk of some hundred kB in the place of a folder, to be filled up or made read-only: a tmpfs, which only root may
//! mount. Where that is refused, `cargo xtask test` leaves the scenarios out that need it, and counts them.

use std::ffi::CString;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount, mount_bind, mount_remount, unmount};

use crate::{Error, PATIENCE, Result, binaries, eventually};

/// Fills the disk.
const FILLER: &str = "filler";

/// A disk; dropped, it is gone with what is on it, and the folder is as it was before.
#[derive(Debug)]
pub struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// Whether this user may have one.
    pub fn may_be_had() -> bool {
        let Ok(folder) = tempfile::tempdir() else {
            return false;
        };
        Self::over(folder.path(), 64).is_ok()
    }

    /// One of so many KiB over a folder, with what is in there: whoever works in the folder never sees it without.
    pub fn over(folder: &Path, kib: u32) -> Result<Self> {
        let failed = |source| Error::file("put a small disk over", folder, source);
        fs::create_dir_all(folder).map_err(failed)?;
        let elsewhere = tempfile::tempdir().map_err(failed)?;
        let disk = Self::empty(elsewhere.path(), kib)?;
        copy(folder, disk.folder())?;
        mount_bind(disk.folder(), folder).map_err(|errno| failed(errno.into()))?;
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    fn empty(folder: &Path, kib: u32) -> Result<Self> {
        let options = CString::new(format!("size={kib}k,mode=0700")).unwrap_or_default();
        let (flags, options) = (MountFlags::empty(), options.as_c_str());
        mount("none", folder, "tmpfs", flags, options)
            .map_err(|errno| Error::file("mount a small disk on", folder, errno.into()))?;
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// Takes away those that a run which was killed has left over folders below this one.
    pub fn remove_left_below(folder: &Path) -> Result {
        let mounts = Path::new("/proc/self/mounts");
        let text =
            fs::read_to_string(mounts).map_err(|source| Error::file("read", mounts, source))?;
        let left = text.lines().filter_map(|line| {
            let mut words = line.split(' ').skip(1);
            let (at, kind) = (words.next()?, words.next()?);
            (kind == "tmpfs" && Path::new(at).starts_with(folder)).then(|| PathBuf::from(at))
        });
        for folder in left {
            unmount(&folder, UnmountFlags::DETACH)
                .map_err(|errno| Error::file("unmount", &folder, errno.into()))?;
        }
        Ok(())
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// From now on nothing more can be written.
    pub fn fills_up(&self) -> Result {
        let path = self.folder.join(FILLER);
        let failed = |source| Error::file("fill", &path, source);
        let mut filler = fs::File::create(&path).map_err(failed)?;
        for size in [4096, 1] {
            // Until there is no room for a single byte.
            while filler.write_all(&vec![0; size]).is_ok() {}
        }
        Ok(())
    }

    /// And not even in the part of the disk that this file's end lies in.
    pub fn fills_up_to_the_end_of(&self, file: &Path) -> Result {
        self.fills_up()?;
        let opened = fs::File::options().append(true).open(file);
        let mut opened = opened.map_err(|source| Error::file("fill", file, source))?;
        while opened.write_all(b"\n").is_ok() {}
        Ok(())
    }

    /// There is room again.
    pub fn has_room(&self) -> Result {
        let path = self.folder.join(FILLER);
        fs::remove_file(&path).map_err(|source| Error::file("remove", &path, source))
    }

    /// From now on it can only be read: as soon as no process has a file there open for writing. What a program under
    /// wine had open is closed by wine's server, after the program has ended.
    pub async fn turns_read_only(&self) -> Result {
        let what = format!("nobody writes to {}", self.folder.display());
        eventually(PATIENCE, &what, || async {
            match self.remount(MountFlags::RDONLY) {
                Err(Errno::BUSY) => Ok(Err("a file is open for writing")),
                done => done.map(Ok).map_err(|errno| self.failed(errno)),
            }
        })
        .await
    }

    /// It can be written to again.
    pub fn turns_writable(&self) -> Result {
        self.remount(MountFlags::empty())
            .map_err(|errno| self.failed(errno))
    }

    fn remount(&self, flags: MountFlags) -> rustix::io::Result<()> {
        mount_remount(&self.folder, flags, "")
    }

    fn failed(&self, errno: Errno) -> Error {
        Error::file("mount with other options", &self.folder, errno.into())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a process may still have a file open on it.
        if let Err(errno) = unmount(&self.folder, UnmountFlags::DETACH) {
            eprintln!("failed to unmount {}: {errno}", self.folder.display());
        }
    }
}

fn copy(from: &Path, to: &Path) -> Result {
    let mut cp = Command::new("cp");
    cp.arg("-a").arg(from.join(".")).arg(to);
    binaries::run(cp, "copy to a small disk")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_a_killed_run_has_left_is_taken_away() {
        if !SmallDisk::may_be_had() {
            eprintln!("SKIPPED: this user may not mount a tmpfs");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        let folder = dir.join("data");
        let disk = SmallDisk::over(&folder, 64).unwrap();
        fs::write(folder.join("file"), "on the disk").unwrap();
        std::mem::forget(disk);
        SmallDisk::remove_left_below(&dir).unwrap();
        assert!(!folder.join("file").exists());
    }
}
