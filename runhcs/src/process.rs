//! One run of runhcs: started with files as its standard streams, waited for within a deadline,
//! and killed past it.
//!
//! Files, because a shim that runhcs leaves behind may hold the streams open for as long as its
//! container lives: the end of a pipe would not come, while a file can be read as soon as runhcs
//! itself has ended.

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio::process::Child;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};

use crate::error::{CommandLine, Error, ExitCode, OutputError};
use crate::options::StdioFiles;

#[cfg(unix)]
#[path = "process/unix.rs"]
mod platform;
#[cfg(windows)]
#[path = "process/windows.rs"]
mod platform;

pub(crate) use platform::is_executable;

/// The longest answer that is read: some 100,000 containers in `list`.
const STDOUT_LIMIT: u64 = 64 << 20;
/// How much of the end of stderr an error keeps.
const STDERR_KEPT: u64 = 64 << 10;
/// How often a run that lasts is checked for writing without end.
const WATCH: Duration = Duration::from_millis(250);
/// How long a killed process is waited for. One that even this does not end hangs in the kernel;
/// the runtime collects it later.
const REAP: Duration = Duration::from_secs(2);

/// How a process ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Exit {
    Code(ExitCode),
    /// Only on Unix.
    #[cfg_attr(windows, allow(dead_code, reason = "Windows has no such end"))]
    Signal(i32),
}

/// What to run.
pub(crate) struct Call<'a> {
    pub(crate) command: CommandLine,
    pub(crate) stdio: &'a StdioFiles,
    /// Is standard output wanted?
    pub(crate) answers: bool,
    pub(crate) deadline: Option<Duration>,
    /// Does it end with the process that makes it, however that ends?
    pub(crate) ends_with_caller: bool,
}

/// A run that ended by itself.
pub(crate) struct Finished {
    pub(crate) command: Box<CommandLine>,
    pub(crate) code: ExitCode,
    /// Empty unless it was wanted and the exit code is 0.
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

/// Why a wait ended without the process having ended.
enum Cut {
    Deadline(Duration),
    TooLong,
    Lost(io::Error),
}

pub(crate) async fn run(call: Call<'_>) -> Result<Finished, Error> {
    let until = call.deadline.and_then(|after| {
        // A deadline beyond all time is none.
        Some((Instant::now().checked_add(after)?, after))
    });
    let command = Box::new(call.command);
    let streams = match Streams::open(call.stdio, call.answers) {
        Ok(streams) => streams,
        Err(source) => return Err(Error::Stdio { command, source }),
    };
    let mut running = match start(&command, &streams, call.ends_with_caller) {
        Ok(child) => Running(child),
        Err(source) => return Err(Error::Start { command, source }),
    };
    let status = match running.wait(until, &streams).await {
        Ok(status) => status,
        Err(cut) => {
            running.end().await;
            return Err(match cut {
                Cut::Deadline(after) => Error::TimedOut {
                    command,
                    after,
                    stderr: streams.stderr.tail().unwrap_or_default(),
                },
                Cut::TooLong => bad_output(command, None),
                Cut::Lost(source) => Error::Lost { command, source },
            });
        }
    };
    finish(command, status, &streams).await
}

fn bad_output(command: Box<CommandLine>, code: Option<ExitCode>) -> Error {
    Error::BadOutput {
        command,
        code,
        source: OutputError::TooLong {
            limit: STDOUT_LIMIT,
        },
    }
}

async fn finish(
    command: Box<CommandLine>,
    status: ExitStatus,
    streams: &Streams,
) -> Result<Finished, Error> {
    let stderr = match streams.stderr.tail() {
        Ok(stderr) => stderr,
        Err(source) => return Err(Error::Lost { command, source }),
    };
    let code = match platform::exit(status) {
        Exit::Code(code) => code,
        Exit::Signal(signal) => {
            return Err(Error::Killed {
                command,
                signal,
                stderr,
            });
        }
    };
    let answer = streams.stdout.as_ref().filter(|_| code.success());
    let stdout = match answer {
        None => Vec::new(),
        Some(stdout) => match stdout.whole().await {
            Ok(Some(stdout)) => stdout,
            Ok(None) => return Err(bad_output(command, Some(code))),
            Err(source) => return Err(Error::Lost { command, source }),
        },
    };
    Ok(Finished {
        command,
        code,
        stdout,
        stderr,
    })
}

fn start(command: &CommandLine, streams: &Streams, ends_with_caller: bool) -> io::Result<Child> {
    let stdout = match &streams.stdout {
        Some(capture) => capture.file.try_clone()?.into(),
        None => given(streams.stdout_file.as_ref())?,
    };
    let mut process = tokio::process::Command::new(&command.program);
    process
        .args(&command.args)
        .stdin(given(streams.stdin.as_ref())?)
        .stdout(stdout)
        .stderr(streams.stderr.file.try_clone()?)
        .kill_on_drop(true);
    platform::spawn(&mut process, ends_with_caller)
}

fn given(file: Option<&File>) -> io::Result<Stdio> {
    Ok(match file {
        Some(file) => file.try_clone()?.into(),
        None => Stdio::null(),
    })
}

/// A process that is killed when this is dropped, unless it was waited for.
struct Running(Child);

impl Running {
    async fn wait(
        &mut self,
        until: Option<(Instant, Duration)>,
        streams: &Streams,
    ) -> Result<ExitStatus, Cut> {
        let mut watch = interval_at(Instant::now() + WATCH, WATCH);
        watch.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let deadline = async {
            match until {
                Some((instant, after)) => {
                    sleep_until(instant).await;
                    after
                }
                None => std::future::pending().await,
            }
        };
        tokio::pin!(deadline);
        loop {
            tokio::select! {
                biased;
                status = self.0.wait() => return status.map_err(Cut::Lost),
                after = &mut deadline => return Err(Cut::Deadline(after)),
                _ = watch.tick() => {
                    if streams.too_long().map_err(Cut::Lost)? {
                        return Err(Cut::TooLong);
                    }
                }
            }
        }
    }

    /// Kills the process and waits for its end, so that nothing is left of it.
    async fn end(&mut self) {
        platform::kill(&mut self.0);
        let _ = timeout(REAP, self.0.wait()).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        platform::kill(&mut self.0);
    }
}

/// The files that are a process's standard streams; the null device where there is none.
struct Streams {
    stdin: Option<File>,
    /// Where standard output is kept, if it is wanted.
    stdout: Option<Capture>,
    /// Where it goes otherwise.
    stdout_file: Option<File>,
    stderr: Capture,
}

impl Streams {
    fn open(files: &StdioFiles, answers: bool) -> io::Result<Self> {
        Ok(Self {
            stdin: files.stdin.as_ref().map(File::open).transpose()?,
            stdout: answers.then(Capture::temporary).transpose()?,
            stdout_file: files.stdout.as_deref().map(append).transpose()?,
            stderr: match &files.stderr {
                Some(path) => Capture::appended(path)?,
                None => Capture::temporary()?,
            },
        })
    }

    fn too_long(&self) -> io::Result<bool> {
        let stdout = self.stdout.as_ref().map(Capture::too_long);
        Ok(stdout.transpose()?.unwrap_or_default() || self.stderr.too_long()?)
    }
}

fn append(path: &Path) -> io::Result<File> {
    File::options()
        .read(true)
        .append(true)
        .create(true)
        .open(path)
}

/// A file that a process writes and that is read back afterwards.
struct Capture {
    file: Arc<File>,
    /// How long it was before.
    start: u64,
    /// Is it ours, and gone from the file system with its last handle?
    temporary: bool,
}

impl Capture {
    fn temporary() -> io::Result<Self> {
        Ok(Self {
            file: Arc::new(tempfile::tempfile()?),
            start: 0,
            temporary: true,
        })
    }

    fn appended(path: &Path) -> io::Result<Self> {
        let file = append(path)?;
        Ok(Self {
            start: file.metadata()?.len(),
            file: Arc::new(file),
            temporary: false,
        })
    }

    /// Would it fill the disk unseen? Someone else's file is theirs to watch.
    fn too_long(&self) -> io::Result<bool> {
        Ok(self.temporary && self.len()? > STDOUT_LIMIT)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len().saturating_sub(self.start))
    }

    /// All of it; `None` if it is too long.
    async fn whole(&self) -> io::Result<Option<Vec<u8>>> {
        let len = self.len()?;
        if len > STDOUT_LIMIT {
            return Ok(None);
        }
        if len <= STDERR_KEPT {
            return read(&self.file, self.start, len).map(Some);
        }
        // Long enough to be worth another thread.
        let (file, start) = (Arc::clone(&self.file), self.start);
        let bytes = spawn_blocking(move || read(&file, start, len)).await??;
        Ok(Some(bytes))
    }

    /// The end of it, as text.
    fn tail(&self) -> io::Result<String> {
        let len = self.len()?;
        let kept = len.min(STDERR_KEPT);
        let bytes = read(&self.file, self.start + len - kept, kept)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// Reads `len` bytes from `start`, or fewer if the file ends before.
fn read(file: &File, start: u64, len: u64) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; usize::try_from(len).map_err(io::Error::other)?];
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match platform::read_at(file, rest, start + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    buffer.truncate(filled);
    Ok(buffer)
}
