//! Child processes that end with their owner, because a test run that was killed must not leave a control plane or an
//! agent behind: each is a process group of its own, is told to end by the kernel when this process ends however it
//! ends, and is ended in order (asked, then forced) when its handle is dropped.
//!
//! All of them are spawned from one thread that lives as long as this process: Linux sends the parent death signal when
//! the *thread* that spawned ends, and the threads of a test's async runtime end with that test.

mod unix;
use unix as platform;

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::Error;

pub use platform::{alive, ask_to_end, command_line, concerned_with, resident_bytes, start_time};

/// How often an end is looked for where the platform gives no event to wait for.
const POLL: Duration = Duration::from_millis(10);

/// How long a process may take to end when it is asked to, before it is forced.
const GRACE: Duration = Duration::from_secs(10);

/// What to start.
#[derive(Debug, Clone)]
pub struct Spawn {
    /// The name in messages and of the log file.
    pub name: String,
    /// The executable.
    pub program: PathBuf,
    /// Its arguments, without the program's name.
    pub args: Vec<OsString>,
    /// Variables set on top of this process' environment.
    pub envs: Vec<(OsString, OsString)>,
    /// The file that standard output and standard error are appended to.
    pub log: PathBuf,
    /// Whether it has children to end when this process ends without ending it: it is interrupted then, not killed.
    pub has_children: bool,
}

impl Spawn {
    /// A process called `name` that logs to `<logs>/<name>.log`.
    pub fn new(name: &str, program: impl Into<PathBuf>, logs: &Path) -> Self {
        Self {
            name: name.to_owned(),
            program: program.into(),
            args: Vec::new(),
            envs: Vec::new(),
            log: logs.join(format!("{name}.log")),
            has_children: false,
        }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets one environment variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.envs.push((name.into(), value.into()));
        self
    }

    /// Lets it end its children when this process ends without ending it.
    #[must_use]
    pub fn having_children(mut self) -> Self {
        self.has_children = true;
        self
    }

    /// The same program, started by another one that is given its command line after these arguments.
    #[must_use]
    pub fn under(self, program: &Path, args: &[OsString]) -> Self {
        let own = std::iter::once(self.program.into_os_string()).chain(self.args);
        Self {
            program: program.to_owned(),
            args: args.iter().cloned().chain(own).collect(),
            ..self
        }
    }

    /// Starts it.
    pub fn start(self) -> Result<Owned, Error> {
        let (name, log) = (self.name.clone(), self.log.clone());
        let child = spawn_from_lasting_thread(self).map_err(|source| Error::Spawn {
            name: name.clone(),
            source,
        })?;
        Ok(Owned {
            name,
            log,
            pid: child.id(),
            child: Mutex::new(child),
        })
    }

    fn spawn(&self) -> io::Result<Child> {
        if let Some(parent) = self.log.parent() {
            std::fs::create_dir_all(parent)?;
        }
        let log: File = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)?;
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .envs(self.envs.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        platform::end_with_this_process(&mut command, self.has_children);
        command.spawn()
    }
}

type Order = (Spawn, Sender<io::Result<Child>>);

/// Spawns from the one thread that lives as long as this process (see the module's text).
fn spawn_from_lasting_thread(spawn: Spawn) -> io::Result<Child> {
    static SPAWNER: LazyLock<Mutex<Sender<Order>>> = LazyLock::new(|| {
        let (orders, inbox) = channel::<Order>();
        std::thread::spawn(move || {
            for (spawn, answer) in inbox {
                // Nobody waits any more only if the caller's thread has gone: then the child has no owner either.
                if let Err(unclaimed) = answer.send(spawn.spawn())
                    && let Ok(mut child) = unclaimed.0
                {
                    let _ = child.kill();
                    let _ = child.wait();
                }
            }
        });
        Mutex::new(orders)
    });
    let gone = || io::Error::other("the spawning thread has ended");
    let (answer, child) = channel();
    lock(&SPAWNER).send((spawn, answer)).map_err(|_| gone())?;
    child.recv().map_err(|_| gone())?
}

/// A running child process; dropping it ends it.
#[derive(Debug)]
pub struct Owned {
    name: String,
    log: PathBuf,
    pid: u32,
    child: Mutex<Child>,
}

impl Owned {
    /// The name it was started under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id; of no use once it has ended.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The file that holds its standard output and standard error.
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// The last `lines` lines of its log, empty if there is none.
    pub fn log_tail(&self, lines: usize) -> String {
        tail(&self.log, lines)
    }

    /// Its exit status if it has ended.
    pub fn ended(&self) -> Option<ExitStatus> {
        lock(&self.child).try_wait().ok().flatten()
    }

    /// Its resident memory in bytes, `None` once it has ended.
    pub fn resident_bytes(&self) -> Option<u64> {
        resident_bytes(self.pid)
    }

    /// Asks it to end with SIGTERM.
    pub fn ask_to_end(&self) {
        if self.ended().is_none() {
            ask_to_end(self.pid);
        }
    }

    /// Ends it at once, as a crash would, and waits until it is gone.
    pub fn kill(&self) {
        let mut child = lock(&self.child);
        let _ = child.kill();
        let _ = child.wait();
    }

    /// Waits until it has ended by itself.
    ///
    /// # Errors
    /// [`Error::StillRunning`] after `deadline`.
    pub fn wait(&self, deadline: Duration) -> Result<ExitStatus, Error> {
        let end = Instant::now() + deadline;
        loop {
            if let Some(status) = self.ended() {
                return Ok(status);
            }
            if Instant::now() >= end {
                return Err(Error::StillRunning {
                    name: self.name.clone(),
                    pid: self.pid,
                });
            }
            std::thread::sleep(POLL);
        }
    }

    /// Asks it to end and forces it after ten seconds.
    pub fn stop(&self) {
        self.ask_to_end();
        if self.wait(GRACE).is_err() {
            self.kill();
        }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Ends processes side by side rather than one after the other.
pub fn stop_all(processes: &[&Owned]) {
    for process in processes {
        process.ask_to_end();
    }
    for process in processes {
        process.stop();
    }
}

/// The last `lines` lines of a text file, empty if it cannot be read.
pub fn tail(file: &Path, lines: usize) -> String {
    let text = std::fs::read(file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let text = text.unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// A mutex whose holder panicked guards nothing that a panic could leave half-changed here.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A process that may be replaced by a new one of the same making (an agent that is restarted).
pub(crate) type Slot = Arc<Mutex<Option<Owned>>>;

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(dir: &Path) -> Owned {
        Spawn::new("sleeper", "sleep", dir)
            .arg("600")
            .start()
            .unwrap()
    }

    #[test]
    fn a_dropped_process_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let process = sleeper(dir.path());
        let pid = process.pid();
        assert!(alive(pid));
        drop(process);
        assert!(!alive(pid));
    }

    #[test]
    fn a_process_outlives_the_thread_that_asked_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().to_owned();
        let process = std::thread::spawn(move || sleeper(&folder)).join().unwrap();
        assert!(process.wait(Duration::from_millis(200)).is_err());
    }

    #[test]
    fn output_is_kept_in_the_log() {
        let dir = tempfile::tempdir().unwrap();
        let process = Spawn::new("echo", "echo", dir.path())
            .arg("hello")
            .start()
            .unwrap();
        assert!(process.wait(GRACE).unwrap().success());
        assert_eq!(process.log_tail(1), "hello");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let error = Spawn::new("ghost", "/nowhere/ghost", dir.path())
            .start()
            .unwrap_err();
        assert!(error.to_string().contains("ghost"), "{error}");
    }
}
