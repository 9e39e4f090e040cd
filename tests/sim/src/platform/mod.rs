//! What differs between Linux and Windows, so that nothing above needs to ask which one it is on.
//!
//! Both twins offer the same items: how a shim is launched and told apart, what a live system
//! holds, how a container's processes are made, frozen, signalled, killed and reaped.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Child;

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub use unix::*;
#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub use windows::*;

/// Environment variable that every process of a container carries: the unique id of its system.
///
/// It is how the processes that a killed shim left behind are found and ended.
pub const SYSTEM_VARIABLE: &str = "RUNHCS_SIM_SYSTEM";

/// A process to make inside a container.
#[derive(Debug, Clone, Default)]
pub struct ProcessRequest {
    /// Program and arguments; never empty.
    pub args: Vec<OsString>,
    /// Whole environment besides what the platform always gives.
    pub env: Vec<(String, String)>,
    /// Working folder, which exists; empty means the shim's own.
    pub cwd: PathBuf,
    /// Whose standard output and error it writes to: the process with this id, or nobody.
    pub stdio_of: Option<u32>,
}

/// How a process of a container ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It ended by itself with this exit code.
    Exited(u32),
    /// It was ended by this Unix signal.
    Signalled(i32),
}

/// Signals that runhcs can send, by their Windows names; LCOW sends Linux numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Signal {
    /// CTRL_C_EVENT.
    CtrlC,
    /// CTRL_BREAK_EVENT.
    CtrlBreak,
    /// CTRL_CLOSE_EVENT.
    CtrlClose,
    /// CTRL_LOGOFF_EVENT.
    CtrlLogOff,
    /// CTRL_SHUTDOWN_EVENT; also what TERM means.
    CtrlShutdown,
    /// A Linux signal number, for LCOW.
    Linux(i32),
}

/// Whether a system's live file is held by its shim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Liveness {
    /// There is no live file: the system ended in order, or never was.
    Absent,
    /// A live file that nobody holds: its shim was killed.
    Dead,
    /// The shim lives; the text that it last wrote.
    Live(String),
}

/// A shim that was launched and may still answer.
pub struct Launched {
    /// The shim's process.
    pub child: Child,
    /// Reads to its end what the shim answers.
    pub answer: Box<dyn io::Read>,
}

/// The text of `error` in the words that a Windows program would print.
///
/// On Windows the system's own words, without Rust's error number.
pub fn error_text(error: &io::Error) -> String {
    if cfg!(windows) {
        let text = error.to_string();
        return match text.rfind(" (os error ") {
            Some(at) => text[..at].to_owned(),
            None => text,
        };
    }
    match error.kind() {
        io::ErrorKind::NotFound => "The system cannot find the file specified.".to_owned(),
        io::ErrorKind::PermissionDenied => "Access is denied.".to_owned(),
        io::ErrorKind::AlreadyExists => "The file exists.".to_owned(),
        io::ErrorKind::NotADirectory => "The directory name is invalid.".to_owned(),
        io::ErrorKind::IsADirectory => "Incorrect function.".to_owned(),
        io::ErrorKind::StorageFull => "There is not enough space on the disk.".to_owned(),
        _ => error.to_string(),
    }
}

/// Why `path` cannot be opened: Windows tells a missing folder from a missing file. Always in the
/// words of Windows itself, which other systems that run Windows programs have in their own.
pub fn open_error_text(path: &Path, error: &io::Error) -> String {
    if error.kind() != io::ErrorKind::NotFound {
        return error_text(error);
    }
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    if folder.is_some_and(|folder| !folder.is_dir()) {
        "The system cannot find the path specified.".to_owned()
    } else {
        "The system cannot find the file specified.".to_owned()
    }
}
