//! What a call can be told beyond its required arguments. The shapes follow go-runhcs' option
//! structs; an absent option and an empty one both leave the flag out, as there.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// How runhcs formats what it writes to its log (`--log-format`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// `text`, runhcs' own default.
    Text,
    /// `json`, one object a line.
    Json,
}

impl Format {
    /// The flag's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A log format that runhcs would refuse.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown log format {0:?}: runhcs knows `text` and `json`")]
pub struct UnknownFormat(pub String);

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, UnknownFormat> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(UnknownFormat(text.to_owned())),
        }
    }
}

/// A terminal's size in character cells, the argument order of `resize-tty`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TtySize {
    /// Columns. runhcs refuses 0 as a usage error.
    pub width: u16,
    /// Rows. runhcs refuses 0 as a usage error.
    pub height: u16,
}

/// Files that become runhcs' standard streams, where go-runhcs takes a `runc.IO`.
///
/// Files and never pipes: a shim may keep the handles for as long as its container lives, and a
/// pipe's reader would wait for it. Absent ones are the null device, except that errors go to a
/// temporary file that the call itself reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StdioFiles {
    /// Read as standard input; must exist.
    pub stdin: Option<PathBuf>,
    /// Appended to; created where it does not exist.
    pub stdout: Option<PathBuf>,
    /// Appended to; created where it does not exist. What runhcs adds to it is still read back
    /// for the error of a call that fails.
    pub stderr: Option<PathBuf>,
}

/// Options of [`Runhcs::create`](crate::Runhcs::create).
///
/// Relative paths are made absolute against the current directory by Windows' rules, see
/// [`absolute`](crate::absolute).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CreateOpts {
    /// Standard streams of runhcs, which its shim inherits.
    pub stdio: StdioFiles,
    /// `--pid-file`: where runhcs writes the shim's pid, in decimal without a newline.
    pub pid_file: Option<PathBuf>,
    /// `--shim-log`: a file, or a named pipe below
    /// `\\.\pipe\ProtectedPrefix\Administrators\`, that the shim logs to.
    pub shim_log: Option<String>,
    /// `--vm-log`: the same for the shim of a Hyper-V isolated container's VM.
    pub vm_log: Option<String>,
    /// `--vm-console`: a named pipe for the VM's console, passed on as it is.
    pub vm_console: Option<String>,
}

/// Options of [`Runhcs::create_scratch_with_opts`](crate::Runhcs::create_scratch_with_opts).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CreateScratchOpts {
    /// `--sizeGB`: the scratch's size in GB. Absent or 0 leaves runhcs' default, 20.
    pub size_gb: Option<u32>,
    /// `--cache-path`: a scratch to copy instead of formatting one, made where it does not exist.
    /// runhcs uses it only at the default size.
    pub cache_file: Option<PathBuf>,
    /// `--use-virtual-memory`: back the formatting VM with virtual memory. Newer runhcs only:
    /// v0.11 and older have no such flag.
    pub use_virtual_memory: bool,
}

/// Options of [`Runhcs::delete`](crate::Runhcs::delete).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeleteOpts {
    /// `--force`: end the container first if it is not stopped.
    pub force: bool,
}

/// Options of [`Runhcs::exec`](crate::Runhcs::exec).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecOpts {
    /// Standard streams of runhcs, which the process's shim inherits.
    pub stdio: StdioFiles,
    /// `--detach`: return once the process runs instead of waiting for its end.
    pub detach: bool,
    /// `--pid-file`: where runhcs writes the process's shim's pid.
    pub pid_file: Option<PathBuf>,
    /// `--shim-log`, as in [`CreateOpts`].
    pub shim_log: Option<String>,
}

/// Options of [`Runhcs::resize_tty`](crate::Runhcs::resize_tty).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResizeTtyOpts {
    /// `--pid`: the shim's pid of a process that `exec` started; absent means the init process.
    pub pid: Option<u32>,
}
