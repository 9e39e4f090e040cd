//! What a failed call leaves behind: the command line, how it ended, and what runhcs said.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::{ErrorKind, InputError};

/// The program and the arguments of a call, for a person to read and repeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLine {
    /// The executable.
    pub program: PathBuf,
    /// Its arguments; the verb is among them, after the client's own flags.
    pub args: Vec<String>,
}

impl fmt::Display for CommandLine {
    /// Quotes what a shell would take apart.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.program.display())?;
        for arg in &self.args {
            if arg.is_empty() || arg.contains(|c: char| c.is_whitespace() || c == '"') {
                write!(f, " \"{}\"", arg.replace('"', "\\\""))?;
            } else {
                write!(f, " {arg}")?;
            }
        }
        Ok(())
    }
}

/// A process's exit code. Windows' are unsigned with 32 bits, and NTSTATUS values among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExitCode(u32);

impl ExitCode {
    /// 0.
    pub const SUCCESS: Self = Self(0);

    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }

    /// Is it 0?
    pub fn success(self) -> bool {
        self == Self::SUCCESS
    }
}

impl From<u32> for ExitCode {
    fn from(code: u32) -> Self {
        Self(code)
    }
}

impl From<ExitCode> for u32 {
    fn from(code: ExitCode) -> Self {
        code.0
    }
}

impl fmt::Display for ExitCode {
    /// Decimal, and hexadecimal where that is how one knows it (`3221225786 (0xC000013A)`).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 > 0xFFFF {
            write!(f, "{} (0x{:08X})", self.0, self.0)
        } else {
            write!(f, "{}", self.0)
        }
    }
}

/// An answer on standard output that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutputError {
    /// It is not the JSON that this verb prints.
    #[error("it is not the JSON expected, but starts with {start:?}")]
    Json {
        /// What is wrong with it.
        source: serde_json::Error,
        /// Its first characters.
        start: String,
    },
    /// It is too long to be read.
    #[error("it is longer than {limit} bytes")]
    TooLong {
        /// The most that is read.
        limit: u64,
    },
}

/// A call that failed. [`kind`](Self::kind) says what it means.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The input was refused; nothing was started.
    #[error("refused to call runhcs {verb}")]
    Input {
        /// The verb.
        verb: &'static str,
        /// Why.
        source: InputError,
    },
    /// The files for the standard streams could not be opened; nothing was started.
    #[error("failed to open the standard streams of {command}")]
    Stdio {
        /// What was to be started.
        command: Box<CommandLine>,
        /// The system's reason.
        source: io::Error,
    },
    /// The system did not start runhcs.
    #[error("failed to start {command}")]
    Start {
        /// What was to be started.
        command: Box<CommandLine>,
        /// The system's reason.
        source: io::Error,
    },
    /// runhcs was started, and then the system failed to wait for it or to read what it wrote.
    #[error("lost track of {command}")]
    Lost {
        /// What was started.
        command: Box<CommandLine>,
        /// The system's reason.
        source: io::Error,
    },
    /// runhcs did not end within the client's deadline and was killed.
    #[error("{command} did not end within {after:?} and was killed")]
    TimedOut {
        /// What was killed.
        command: Box<CommandLine>,
        /// The deadline.
        after: Duration,
        /// What it had written to stderr.
        stderr: String,
    },
    /// Something else killed runhcs (Unix only: on Windows that is an exit code).
    #[error("{command} was killed by signal {signal}")]
    Killed {
        /// What was killed.
        command: Box<CommandLine>,
        /// The signal's number.
        signal: i32,
        /// What it had written to stderr.
        stderr: String,
    },
    /// runhcs said that it failed.
    #[error("{command} failed with exit code {code}: {}", brief(stderr))]
    Failed {
        /// What failed.
        command: Box<CommandLine>,
        /// Its exit code.
        code: ExitCode,
        /// What its words mean.
        kind: ErrorKind,
        /// Its words: the last 64 KiB of stderr.
        stderr: String,
    },
    /// runhcs wrote to standard output what it never should.
    #[error("failed to understand the answer of {command}")]
    BadOutput {
        /// What was called.
        command: Box<CommandLine>,
        /// Its exit code; none if it was killed for writing too much.
        code: Option<ExitCode>,
        /// What is wrong with the answer.
        source: OutputError,
    },
}

impl Error {
    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Input { .. } => ErrorKind::InvalidInput,
            Self::Start { source, .. } => match source.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                    ErrorKind::ExecutableNotFound
                }
                io::ErrorKind::PermissionDenied | io::ErrorKind::ExecutableFileBusy => {
                    ErrorKind::NotExecutable
                }
                _ if is_bad_format(source) => ErrorKind::NotExecutable,
                _ => ErrorKind::Io,
            },
            Self::Stdio { .. } | Self::Lost { .. } => ErrorKind::Io,
            Self::TimedOut { .. } => ErrorKind::TimedOut,
            Self::Killed { .. } => ErrorKind::Killed,
            Self::Failed { kind, .. } => *kind,
            Self::BadOutput { .. } => ErrorKind::BadOutput,
        }
    }

    /// The command line; none if the input was refused.
    pub fn command(&self) -> Option<&CommandLine> {
        match self {
            Self::Input { .. } => None,
            Self::Stdio { command, .. }
            | Self::Start { command, .. }
            | Self::Lost { command, .. }
            | Self::TimedOut { command, .. }
            | Self::Killed { command, .. }
            | Self::Failed { command, .. }
            | Self::BadOutput { command, .. } => Some(command),
        }
    }

    /// runhcs' exit code, if it ended by itself.
    pub fn exit_code(&self) -> Option<ExitCode> {
        match self {
            Self::Failed { code, .. } => Some(*code),
            Self::BadOutput { code, .. } => *code,
            _ => None,
        }
    }

    /// What runhcs wrote to stderr, its last 64 KiB; empty if it never ran.
    pub fn stderr(&self) -> &str {
        match self {
            Self::TimedOut { stderr, .. }
            | Self::Killed { stderr, .. }
            | Self::Failed { stderr, .. } => stderr,
            _ => "",
        }
    }
}

/// The last part of stderr, short enough for a log line.
fn brief(stderr: &str) -> &str {
    const LIMIT: usize = 1024;
    let text = stderr.trim();
    let start = text.ceil_char_boundary(text.len().saturating_sub(LIMIT));
    match text.get(start..) {
        Some("") | None => "no word on stderr",
        Some(end) => end,
    }
}

/// `ENOEXEC` on Unix, `ERROR_BAD_EXE_FORMAT` on Windows: neither has an `io::ErrorKind`.
fn is_bad_format(error: &io::Error) -> bool {
    let code = if cfg!(windows) { 193 } else { 8 };
    error.raw_os_error() == Some(code)
}
