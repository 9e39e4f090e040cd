//! All that the agent changes on its disk, in one place: each change is whole or not there, and a test can end the
//! agent before any of them. Clippy refuses `std::fs`' own ways elsewhere in the agent (`clippy.toml`).
#![allow(clippy::disallowed_methods)]

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use tempfile::Builder;

#[cfg(test)]
use super::fixtures::change;

/// Where tests let the agent end.
#[cfg(not(test))]
fn change<T>(_what: &str, _path: &Path, effect: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    effect()
}

/// Makes a folder and those above it.
pub fn make_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    change("make", path, || fs::create_dir_all(path))
}

/// Temp, fsync, rename. The folder is made again if somebody has deleted it.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_by_way_of(path, bytes, Builder::new().suffix(TEMPORARY))
}

/// [`write_whole`] of a file that nobody else writes at the time. What an earlier try has left, as the disk could be
/// written to no longer, is used up by this one.
fn write_alone(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = beside(path);
    remove_file(&temporary)?;
    let name = temporary.file_name().unwrap_or_default();
    write_by_way_of(path, bytes, Builder::new().prefix(name).rand_bytes(0))
}

/// What a file has before it is whole.
const TEMPORARY: &str = ".tmp";

/// Where a file that is written alone is before it is whole.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(TEMPORARY);
    path.with_file_name(name)
}

/// Removes a file that is written alone, and what a try to write it may have left.
pub fn remove_written_alone(path: &Path) -> io::Result<()> {
    remove_file(&beside(path))?;
    remove_file(path)
}

fn write_by_way_of(path: &Path, bytes: &[u8], temporary: &Builder<'_, '_>) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    make_folder(folder)?;
    let temporary = change("prepare", path, || {
        let mut file = temporary.tempfile_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        Ok(file.into_temp_path().keep()?)
    })?;
    change("write", path, || fs::rename(&temporary, path)).inspect_err(|_| {
        // What stays goes with the next try, or when the folder is next looked through.
        let _ = remove_file(&temporary);
    })
}

/// [`write_alone`] while other tasks go on.
#[cfg(not(test))]
pub async fn write_beside(path: PathBuf, bytes: Vec<u8>) -> io::Result<()> {
    let written = tokio::task::spawn_blocking(move || write_alone(&path, &bytes)).await;
    written.unwrap_or_else(|e| Err(io::Error::other(e)))
}

/// The tasks of a test wait for it: with a thread beside them their order would be another one each time, and what an
/// agent did once might not be there to be interrupted in the next run.
#[cfg(test)]
pub async fn write_beside(path: PathBuf, bytes: Vec<u8>) -> io::Result<()> {
    tokio::task::yield_now().await;
    write_alone(&path, &bytes)
}

/// Writes what may be lost if the machine goes down.
pub fn write_unsynced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    make_folder(path.parent().unwrap_or(Path::new(".")))?;
    change("write", path, || fs::write(path, bytes))
}

/// Gives a file another name.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    change("rename to", to, || fs::rename(from, to))
}

/// Removes a file; one that is not there is removed.
pub fn remove_file(path: &Path) -> io::Result<()> {
    if path.symlink_metadata().is_err_and(|e| is_gone(&e)) {
        return Ok(());
    }
    unless_gone(change("remove", path, || fs::remove_file(path)))
}

/// Removes a folder with all that is in it; one that is not there is removed.
pub fn remove_folder(path: &Path) -> io::Result<()> {
    if path.symlink_metadata().is_err_and(|e| is_gone(&e)) {
        return Ok(());
    }
    unless_gone(change("remove", path, || fs::remove_dir_all(path)))
}

fn unless_gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if is_gone(&error) => Ok(()),
        other => other,
    }
}

fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}
