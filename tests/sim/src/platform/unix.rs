//! The Linux twin: sockets for the shim's channel, file locks for liveness, signals and a
//! subreaper for a container's processes.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use interprocess::local_socket::Stream;
use rustix::process::{Pid, WaitId, WaitIdOptions, WaitOptions};

use super::{Ending, Launched, Liveness, ProcessRequest, SYSTEM_VARIABLE, Signal};

mod tree;

/// Name of the executable in a node's folder.
pub const EXECUTABLE_NAME: &str = "runhcs";

/// A process has 8 bits of exit code here: the low ones of the 32 that Windows gives.
pub fn exit_code_on_this_platform(code: u32) -> i32 {
    i32::from(code.to_le_bytes()[0])
}

/// Ends this process at once, without a word and without running anything.
pub fn die() -> ! {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    std::process::abort()
}

/// Puts `temporary`, complete, at `path`, unless something is there: then `AlreadyExists`.
pub fn place_exclusively(temporary: &Path, path: &Path) -> io::Result<()> {
    let placed = fs::hard_link(temporary, path);
    fs::remove_file(temporary)?;
    placed
}

/// Starts a shim of `exe`: `request` is what it reads first.
///
/// With `hold` it keeps this process's standard output and error open; its standard input is its
/// channel to us. Being no child of a longer-lived process, it goes to init when we end.
pub fn launch_shim(
    exe: &Path,
    args: &[String],
    request: &[u8],
    hold: bool,
) -> io::Result<Launched> {
    let (mut ours, theirs) = UnixStream::pair()?;
    let stdio = || {
        if hold {
            Stdio::inherit()
        } else {
            Stdio::null()
        }
    };
    let child = Command::new(exe)
        .args(args)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(stdio())
        .stderr(stdio())
        .spawn()?;
    // A shim that dies before it reads says more by its silence than by our broken pipe.
    let _ = ours.write_all(request);
    ours.shutdown(std::net::Shutdown::Write)?;
    Ok(Launched {
        child,
        answer: Box::new(ours),
    })
}

/// The shim's side of the channel to whoever launched it.
pub struct ShimChannel(UnixStream);

impl ShimChannel {
    /// Takes the channel from standard input, and leaves the launcher's session.
    pub fn take() -> io::Result<Self> {
        use std::os::fd::AsFd;
        let channel = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        let null = File::open("/dev/null")?;
        rustix::stdio::dup2_stdin(&null)?;
        rustix::process::setsid()?;
        Ok(Self(channel))
    }

    /// What the launcher wrote.
    pub fn request(&mut self) -> io::Result<Vec<u8>> {
        let mut request = Vec::new();
        self.0.read_to_end(&mut request)?;
        Ok(request)
    }

    /// Answers, and lets the launcher go on. A launcher that is gone is no error.
    pub fn answer(mut self, text: &[u8]) {
        let _ = self.0.write_all(text);
    }
}

/// Nothing to do: a socket keeps what was written when its writer has gone.
pub fn leave_to_the_pipe(_stream: &Stream) {}

/// Adds a line to a file that other processes add to as well.
pub fn append(path: &Path, line: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(line)
}

/// A live file, held as long as its system lives; the kernel lets go of it when we die.
pub struct LiveFile {
    file: File,
    path: PathBuf,
}

impl LiveFile {
    /// Makes and holds `path`; `AlreadyExists` if another holds it or left it there.
    ///
    /// It is locked before it has its name, so no reader can take it for a dead one.
    pub fn create(path: &Path, state: &str) -> io::Result<Self> {
        let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o644)
            .open(&temporary)?;
        file.lock()?;
        let live = Self {
            file,
            path: path.to_owned(),
        };
        live.set_state(state)?;
        place_exclusively(&temporary, path)?;
        Ok(live)
    }

    /// Writes what readers see; texts are short, so a reader sees all of one or of the other.
    pub fn set_state(&self, state: &str) -> io::Result<()> {
        self.file.write_all_at(format!("{state:<16}").as_bytes(), 0)
    }

    /// The system has ended: the file goes, then the hold.
    pub fn end(self) {
        let _ = fs::remove_file(&self.path);
        drop(self.file);
    }
}

/// Looks at a live file.
pub fn liveness(path: &Path) -> io::Result<Liveness> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Liveness::Absent),
        Err(error) => return Err(error),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(Liveness::Dead),
        Err(fs::TryLockError::WouldBlock) => {
            let mut text = [0; 16];
            let read = file.read_at(&mut text, 0)?;
            Ok(Liveness::Live(
                String::from_utf8_lossy(&text[..read]).trim().to_owned(),
            ))
        }
        Err(fs::TryLockError::Error(error)) => Err(error),
    }
}

/// All processes of one container: those made here, and what they made.
pub struct Job {
    system: String,
    parked: (std::sync::Mutex<u64>, std::sync::Condvar),
    born: std::sync::OnceLock<tree::Mark>,
}

impl Job {
    /// The (empty) job of the system with this unique id. Orphans in it come to this process.
    pub fn new(system: &str) -> io::Result<Self> {
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
        Ok(Self {
            system: system.to_owned(),
            parked: (std::sync::Mutex::new(0), std::sync::Condvar::new()),
            born: std::sync::OnceLock::new(),
        })
    }

    /// Makes a process. Call it on a thread that lives as long as the shim.
    pub fn spawn(&self, request: &ProcessRequest) -> io::Result<u32> {
        self.born.get_or_init(tree::Mark::now);
        let mut command = Command::new(&request.args[0]);
        command
            .args(&request.args[1..])
            .env_clear()
            .process_group(0)
            .stdin(Stdio::null());
        for name in ["PATH", "HOME", "TMPDIR", "LANG"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.envs(request.env.iter().map(|(name, value)| (name, value)));
        command.env(SYSTEM_VARIABLE, &self.system);
        if !request.cwd.as_os_str().is_empty() {
            command.current_dir(&request.cwd);
        }
        command
            .stdout(stdio_of(request.stdio_of, 1))
            .stderr(stdio_of(request.stdio_of, 2));
        let shim = rustix::process::getpid();
        // SAFETY: between fork and exec the closure makes a few system calls, which are
        // async-signal-safe, and allocates nothing; SIG_DFL is a disposition, no handler.
        unsafe {
            command.pre_exec(move || {
                // What a shell makes its background jobs ignore, a container must not.
                for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM] {
                    libc::signal(signal, libc::SIG_DFL);
                }
                let kill = Some(rustix::process::Signal::KILL);
                rustix::process::set_parent_process_death_signal(kill)?;
                // A shim that was killed before this call sends no signal any more.
                if rustix::process::getppid() == Some(shim) {
                    Ok(())
                } else {
                    Err(rustix::io::Errno::SRCH.into())
                }
            });
        }
        let pid = command.spawn()?.id();
        let mut made = lock(&self.parked.0);
        *made += 1;
        self.parked.1.notify_all();
        Ok(pid)
    }

    /// Waits until a process has ended, and reaps it under `lock`, which [`Job::spawn`]'s caller
    /// holds too: a process that failed to start is the spawner's to reap.
    pub fn reap<T>(&self, guard: impl Fn() -> T) -> (u32, Ending, T) {
        loop {
            let made = *lock(&self.parked.0);
            let peek = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            match rustix::process::waitid(WaitId::All, peek) {
                Ok(Some(_)) => {
                    let held = guard();
                    if let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
                        let ending = match status.terminating_signal() {
                            Some(signal) => Ending::Signalled(signal),
                            None => Ending::Exited(
                                status.exit_status().unwrap_or_default().unsigned_abs(),
                            ),
                        };
                        return (pid.as_raw_nonzero().get().unsigned_abs(), ending, held);
                    }
                }
                Ok(None) | Err(rustix::io::Errno::INTR) => {}
                Err(_) => {
                    // No children at all: sleep until there is one.
                    let mut now = lock(&self.parked.0);
                    while *now == made {
                        now = self
                            .parked
                            .1
                            .wait(now)
                            .unwrap_or_else(std::sync::PoisonError::into_inner);
                    }
                }
            }
        }
    }

    /// Live processes, oldest first.
    pub fn pids(&self) -> Vec<u32> {
        match self.born.get() {
            Some(mark) => tree::descendants(std::process::id(), mark),
            None => Vec::new(),
        }
    }

    /// Stops every process, also those that are made meanwhile.
    pub fn freeze(&self) {
        let mut stopped = Vec::new();
        loop {
            let new: Vec<u32> = self
                .pids()
                .into_iter()
                .filter(|pid| !stopped.contains(pid))
                .collect();
            if new.is_empty() {
                return;
            }
            for &pid in &new {
                send(pid, rustix::process::Signal::STOP);
            }
            stopped.extend(new);
        }
    }

    /// Lets every process go on.
    pub fn thaw(&self) {
        for pid in self.pids() {
            send(pid, rustix::process::Signal::CONT);
        }
    }

    /// Ends the processes that were made here; their children come to us, being orphans then.
    pub fn kill_made(&self, made: &[u32]) {
        for &pid in made {
            send(pid, rustix::process::Signal::KILL);
        }
    }

    /// Ends what is left once all processes that were made here are reaped; false if nothing was,
    /// which the kernel tells without a look at every process of the machine.
    pub fn kill_orphans(&self) -> bool {
        let peek = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        if rustix::process::waitid(WaitId::All, peek).is_err() {
            return false;
        }
        self.kill_made(&self.pids());
        true
    }

    /// Ends one process; its exit code is the caller's to remember.
    pub fn kill(&self, pid: u32, _code: u32) {
        send(pid, rustix::process::Signal::KILL);
    }

    /// Sends a signal; handlers run, as they do on Windows.
    pub fn signal(&self, pid: u32, signal: Signal) {
        use rustix::process::Signal as Unix;
        let unix = match signal {
            Signal::CtrlC => Some(Unix::INT),
            Signal::CtrlBreak => Some(Unix::QUIT),
            Signal::CtrlClose | Signal::CtrlLogOff => Some(Unix::HUP),
            Signal::CtrlShutdown => Some(Unix::TERM),
            Signal::Linux(number) => Unix::from_named_raw(number),
        };
        if let Some(unix) = unix {
            send(pid, unix);
        }
    }
}

fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn send(pid: u32, signal: rustix::process::Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, signal);
    }
}

/// Stream `number` of another process, opened anew; nowhere if it cannot be (a socket, say).
fn stdio_of(pid: Option<u32>, number: u8) -> Stdio {
    let Some(pid) = pid else { return Stdio::null() };
    if pid == std::process::id() {
        return Stdio::inherit();
    }
    let path = format!("/proc/{pid}/fd/{number}");
    match OpenOptions::new().append(true).open(path) {
        Ok(file) => Stdio::from(file),
        Err(_) => Stdio::null(),
    }
}

/// Ends a process at once.
pub fn kill_process(pid: u32) {
    send(pid, rustix::process::Signal::KILL);
}

/// Whether a process is there and not merely waiting to be reaped.
pub fn process_is_alive(pid: u32) -> bool {
    tree::is_alive(pid)
}

/// Every process that runs `exe`.
pub fn processes_of_executable(exe: &Path) -> Vec<u32> {
    tree::all_pids()
        .filter(|pid| fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|link| link == exe))
        .collect()
}

/// Ends every process that carries one of these systems' unique ids in its environment, and waits
/// until they have ended.
///
/// What a process makes while we look is found by the next look; done when one finds nobody.
pub fn kill_processes_of_systems(systems: &BTreeSet<String>) {
    if systems.is_empty() {
        return;
    }
    // An environment is gone some time before its process is.
    let mut killed = Vec::new();
    loop {
        for pid in tree::all_pids() {
            if tree::carries(pid, systems) {
                send(pid, rustix::process::Signal::KILL);
                killed.push(pid);
            }
        }
        killed.retain(|&pid| tree::is_alive(pid));
        if killed.is_empty() {
            return;
        }
        std::thread::yield_now();
    }
}

/// Lets a file have holes; every file here may.
pub fn make_sparse(_file: &File) -> io::Result<()> {
    Ok(())
}

/// Puts `temporary` at `path`, in place of what was there.
pub fn replace(temporary: &Path, path: &Path) -> io::Result<()> {
    fs::rename(temporary, path)
}

/// Reads a file that may be replaced just now, with few system calls: `list` reads one file for
/// each container, and the files are small.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    const MOST: usize = 8192;
    let mut file = File::open(path)?;
    let mut text = vec![0; MOST];
    let read = file.read(&mut text)?;
    text.truncate(read);
    if read == MOST {
        file.read_to_end(&mut text)?;
    }
    Ok(text)
}
