//! Pid files, and the paths that are made absolute before anything else.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::platform::{error_text, open_error_text};

/// `path` made absolute; `None` if empty.
pub fn absolute(path: &str) -> Result<Option<PathBuf>, Failure> {
    if path.is_empty() || path.starts_with(r"\\.\pipe\") {
        return Ok((!path.is_empty()).then(|| PathBuf::from(path)));
    }
    std::path::absolute(path)
        .map(Some)
        .map_err(Failure::simulator("making a path absolute"))
}

/// Writes `pid`, digits only, to `.NAME` beside `path`, then renames it.
pub fn write(path: &Path, pid: u32) -> Result<(), Failure> {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    let temporary = path.with_file_name(name);
    let file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&temporary);
    let written = file.map_err(|error| Failure::File {
        operation: "open",
        path: temporary.clone(),
        reason: open_error_text(&temporary, &error),
    });
    let failed = |operation, error: &std::io::Error| Failure::File {
        operation,
        path: temporary.clone(),
        reason: error_text(error),
    };
    write!(written?, "{pid}").map_err(|error| failed("write", &error))?;
    std::fs::rename(&temporary, path).map_err(|error| Failure::Rename {
        // Windows does not say that a folder is in the way.
        reason: if path.is_dir() {
            "Access is denied.".to_owned()
        } else {
            error_text(&error)
        },
        from: temporary,
        to: path.to_owned(),
    })
}

/// Opens a shim's log for append, as its making is all of it that is seen here.
pub fn open_log(path: Option<&Path>) -> Result<(), Failure> {
    let Some(path) = path else { return Ok(()) };
    match File::options().create(true).append(true).open(path) {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::File {
            operation: "open",
            path: path.to_owned(),
            reason: open_error_text(path, &error),
        }),
    }
}
