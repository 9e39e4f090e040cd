//! Things that take long to make and change seldom, kept in the cache outside the checkout under a key of what they are
//! made of.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use crate::{Error, binaries};

/// What a cached folder is made of.
pub struct Key(Sha256);

impl Key {
    pub fn new() -> Self {
        Self(Sha256::new())
    }

    /// The names and contents of a folder's files.
    pub fn folder(self, folder: &Path) -> Result<Self, Error> {
        let failed = |source| Error::file("read", folder, source);
        let entries = fs::read_dir(folder)
            .map_err(failed)?
            .collect::<Result<Vec<_>, _>>();
        let mut files: Vec<PathBuf> = entries
            .map_err(failed)?
            .iter()
            .map(fs::DirEntry::path)
            .collect();
        files.sort();
        files
            .iter()
            .filter(|file| file.is_file())
            .try_fold(self, |key, file| key.file(file))
    }

    /// A file's name and contents.
    pub fn file(mut self, file: &Path) -> Result<Self, Error> {
        let bytes = fs::read(file).map_err(|source| Error::file("read", file, source))?;
        self.0
            .update(file.file_name().unwrap_or_default().as_encoded_bytes());
        self.0.update(bytes.len().to_le_bytes());
        self.0.update(bytes);
        Ok(self)
    }

    /// A text.
    pub fn text(mut self, text: &str) -> Self {
        self.0.update(text.len().to_le_bytes());
        self.0.update(text);
        self
    }

    /// A program, too large to read: where it is, its size and when it was made.
    pub fn program(self, file: &Path) -> Result<Self, Error> {
        let failed = |source| Error::file("look at", file, source);
        let of = fs::metadata(file).map_err(failed)?;
        let made = of.modified().map_err(failed)?;
        Ok(self.text(&format!("{} {} {made:?}", file.display(), of.len())))
    }

    fn name(self) -> String {
        let hash = self.0.finalize();
        hash.iter()
            .take(8)
            .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    }
}

/// The extension of the file that is locked while a folder is made, and touched when it is asked for.
const LOCK: &str = "lock";
/// What was not asked for in so long goes when another one of its name is made: its key is that of older sources.
const KEPT: Duration = Duration::from_hours(14 * 24);

/// The folder `<cache>/<name>/<key>`, made first by `make` if it is not there: into a folder beside it that is then
/// renamed, so that what was interrupted is never taken for whole.
pub fn folder(
    name: &str,
    key: Key,
    make: impl FnOnce(&Path) -> Result<(), Error>,
) -> Result<PathBuf, Error> {
    folder_in(&binaries::cache_folder()?.join(name), key, make)
}

fn folder_in(
    all: &Path,
    key: Key,
    make: impl FnOnce(&Path) -> Result<(), Error>,
) -> Result<PathBuf, Error> {
    let folder = all.join(key.name());
    let failed = |source| Error::file("prepare the cache", &folder, source);
    fs::create_dir_all(all).map_err(failed)?;
    let lock = File::create(folder.with_extension(LOCK)).map_err(failed)?;
    lock.set_modified(SystemTime::now()).map_err(failed)?;
    if folder.is_dir() {
        return Ok(folder);
    }
    // Two that want it at once: the second waits, then finds it there. The lock goes with the file's handle.
    lock.lock().map_err(failed)?;
    if !folder.is_dir() {
        let unfinished = folder.with_extension("unfinished");
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished).map_err(failed)?;
        }
        fs::create_dir_all(&unfinished).map_err(failed)?;
        make(&unfinished)?;
        fs::rename(&unfinished, &folder).map_err(failed)?;
        forget_unused(all).map_err(failed)?;
    }
    Ok(folder)
}

/// Removes what nobody has asked for in a long time.
fn forget_unused(all: &Path) -> io::Result<()> {
    for entry in fs::read_dir(all)? {
        let lock = entry?.path();
        if lock.extension().is_none_or(|extension| extension != LOCK) {
            continue;
        }
        let used = fs::metadata(&lock)?.modified()?;
        let unused = used.elapsed().is_ok_and(|unused| unused > KEPT);
        // Whoever makes it just now holds the lock.
        if unused && File::open(&lock)?.try_lock().is_ok() {
            let folder = lock.with_extension("");
            if folder.exists() {
                fs::remove_dir_all(folder)?;
            }
            fs::remove_file(lock)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made_of(content: &str, all: &Path) -> PathBuf {
        let source = all.join("source");
        fs::write(&source, content).unwrap();
        let key = Key::new().file(&source).unwrap();
        let make = |folder: &Path| {
            fs::write(folder.join("made"), content)
                .map_err(|source| Error::file("write", folder, source))
        };
        folder_in(all, key, make).unwrap()
    }

    #[test]
    fn what_is_not_asked_for_any_more_goes_when_another_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let all = dir.path();
        let (old, used) = (made_of("old", all), made_of("used", all));
        let long_ago = SystemTime::now() - KEPT - Duration::from_secs(1);
        for folder in [&old, &used] {
            let lock = File::options()
                .write(true)
                .open(folder.with_extension(LOCK));
            lock.unwrap().set_modified(long_ago).unwrap();
        }
        assert_eq!(made_of("used", all), used);
        assert!(old.is_dir());
        let new = made_of("new", all);
        assert!(new.is_dir() && used.is_dir() && !old.exists());
        assert!(!old.with_extension(LOCK).exists());
    }
}
