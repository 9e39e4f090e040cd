//! A disk of some hundred kB in the place of a folder, to be filled up or made read-only: a tmpfs, which only root may
//! mount. Where that is refused, `cargo xtask test` leaves the scenarios out that need it, and counts them.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Error, Result, binaries};

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

    /// One of so many KiB over a folder, with what is in there.
    pub fn over(folder: &Path, kib: u32) -> Result<Self> {
        let failed = |source| Error::file("put a small disk over", folder, source);
        fs::create_dir_all(folder).map_err(failed)?;
        let aside = tempfile::tempdir().map_err(failed)?;
        copy(folder, aside.path())?;
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o"])
            .arg(format!("size={kib}k,mode=0700"))
            .arg("none")
            .arg(folder);
        binaries::run(mount, "mount of a small disk")?;
        let disk = Self {
            folder: folder.to_owned(),
        };
        copy(aside.path(), folder)?;
        Ok(disk)
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

    /// Whether it can be written to.
    pub fn is_writable(&self, writable: bool) -> Result {
        let how = if writable { "remount,rw" } else { "remount,ro" };
        let mut mount = Command::new("mount");
        mount.args(["-o", how]).arg(&self.folder);
        binaries::run(mount, "mount with other options")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a process may still have a file open on it.
        let mut umount = Command::new("umount");
        umount.arg("-l").arg(&self.folder);
        if let Err(error) = binaries::run(umount, "umount of a small disk") {
            eprintln!("{error}");
        }
    }
}

fn copy(from: &Path, to: &Path) -> Result {
    let mut cp = Command::new("cp");
    cp.arg("-a").arg(from.join(".")).arg(to);
    binaries::run(cp, "copy to a small disk")
}
