//! Follows the service's log, which is begun anew from time to time.

use std::fs::{self, File};
use std::io::{self, Seek as _, SeekFrom, Write};
use std::path::PathBuf;

/// A log that is followed.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    file: Option<File>,
    read: u64,
}

impl Tail {
    /// Follows what is written from now on.
    pub fn from_now(path: PathBuf) -> Self {
        let file = File::open(&path).ok();
        let mut tail = Self {
            path,
            file,
            read: 0,
        };
        if let Some(file) = &mut tail.file {
            tail.read = file.seek(SeekFrom::End(0)).unwrap_or_default();
        }
        tail
    }

    /// Writes what has come since the last time. What was moved away is read to its end first.
    pub fn copy_new(&mut self, to: &mut impl Write) -> io::Result<()> {
        if let Some(file) = &mut self.file {
            self.read += io::copy(file, to)?;
        }
        let length = fs::metadata(&self.path).map_or(0, |file| file.len());
        if length < self.read || self.file.is_none() {
            self.file = File::open(&self.path).ok();
            self.read = match &mut self.file {
                Some(file) => io::copy(file, to)?,
                None => 0,
            };
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append(path: &PathBuf, text: &str) {
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(path)
            .unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn a_log_is_followed_from_now_on_and_over_a_new_beginning() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.log");
        append(&path, "long ago\n");
        let mut tail = Tail::from_now(path.clone());
        let mut seen = Vec::new();
        append(&path, "one\n");
        tail.copy_new(&mut seen).unwrap();
        append(&path, "two\n");
        fs::rename(&path, dir.path().join("agent.log.1")).unwrap();
        append(&path, "three\n");
        tail.copy_new(&mut seen).unwrap();
        append(&path, "four\n");
        tail.copy_new(&mut seen).unwrap();
        assert_eq!(String::from_utf8(seen).unwrap(), "one\ntwo\nthree\nfour\n");
    }

    #[test]
    fn a_log_that_comes_later_is_read_from_its_beginning() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.log");
        let mut tail = Tail::from_now(path.clone());
        let mut seen = Vec::new();
        tail.copy_new(&mut seen).unwrap();
        append(&path, "first\n");
        tail.copy_new(&mut seen).unwrap();
        assert_eq!(seen, b"first\n");
    }
}
