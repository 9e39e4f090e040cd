//! Things that take long to make and change seldom, kept in the cache outside the checkout under a key of what they are
//! made of.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

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

    fn text(self) -> String {
        let hash = self.0.finalize();
        hash.iter()
            .take(8)
            .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    }
}

/// The folder `<cache>/<name>/<key>`, made first by `make` if it is not there: into a folder beside it that is then
/// renamed, so that what was interrupted is never taken for whole.
pub fn folder(
    name: &str,
    key: Key,
    make: impl FnOnce(&Path) -> Result<(), Error>,
) -> Result<PathBuf, Error> {
    let folder = binaries::cache_folder()?.join(name).join(key.text());
    if folder.is_dir() {
        return Ok(folder);
    }
    let failed = |source| Error::file("prepare the cache", &folder, source);
    fs::create_dir_all(folder.parent().unwrap_or(&folder)).map_err(failed)?;
    // Two that want it at once: the second waits, then finds it there. The lock goes with the file's handle.
    let lock = File::create(folder.with_extension("lock")).map_err(failed)?;
    lock.lock().map_err(failed)?;
    if !folder.is_dir() {
        let unfinished = folder.with_extension("unfinished");
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished).map_err(failed)?;
        }
        fs::create_dir_all(&unfinished).map_err(failed)?;
        make(&unfinished)?;
        fs::rename(&unfinished, &folder).map_err(failed)?;
    }
    Ok(folder)
}
