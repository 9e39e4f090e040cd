//! The Windows twin: pipes for the shim's channel, share modes for liveness, a job object for a
//! container's processes.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::windows::fs::{FileExt, OpenOptionsExt};
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::os::windows::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::Duration;

use interprocess::local_socket::Stream;
use windows_sys::Win32::Foundation::{ERROR_SHARING_VIOLATION, GENERIC_READ, GENERIC_WRITE};
use windows_sys::Win32::Storage::FileSystem::{FILE_SHARE_READ, MoveFileExW};
use windows_sys::Win32::System::Threading::{
    CREATE_NEW_PROCESS_GROUP, CREATE_SUSPENDED, DETACHED_PROCESS, GetCurrentProcess,
    TerminateProcess,
};

use super::{Ending, Launched, Liveness, ProcessRequest, SYSTEM_VARIABLE, Signal};

mod handles;
mod processes;

pub use processes::{kill_process, process_is_alive, processes_of_executable};

/// Name of the executable in a node's folder.
pub const EXECUTABLE_NAME: &str = "runhcs.exe";
/// Environment variable by which a shim learns the handles that it is to hold.
const HELD_VARIABLE: &str = "RUNHCS_SIM_HELD";
/// Exit code of a process that a console event ended: STATUS_CONTROL_C_EXIT.
const CONTROL_C_EXIT: u32 = 0xC000_013A;
/// Exit code of a process that ended with its system: ERROR_PROCESS_ABORTED.
const ABORTED: u32 = 1067;
/// Stack of the threads that wait for one process each.
const STACK: usize = 64 * 1024;

/// All 32 bits fit.
pub fn exit_code_on_this_platform(code: u32) -> i32 {
    code.cast_signed()
}

/// Ends this process at once, without a word and without running anything.
pub fn die() -> ! {
    // SAFETY: the pseudo handle of this process is always valid.
    unsafe { TerminateProcess(GetCurrentProcess(), 1) };
    std::process::abort()
}

/// Puts `temporary`, complete, at `path`, unless something is there: then `AlreadyExists`.
pub fn place_exclusively(temporary: &Path, path: &Path) -> io::Result<()> {
    let (from, to) = (
        handles::wide(temporary.as_os_str()),
        handles::wide(path.as_os_str()),
    );
    // SAFETY: both are strings that end in a zero and outlive the call.
    if unsafe { MoveFileExW(from.as_ptr(), to.as_ptr(), 0) } == 0 {
        let error = io::Error::last_os_error();
        fs::remove_file(temporary)?;
        return Err(error);
    }
    Ok(())
}

/// Puts `temporary` at `path`, waiting for readers that have what was there open.
pub fn replace(temporary: &Path, path: &Path) -> io::Result<()> {
    patiently(|| fs::rename(temporary, path))
}

/// Reads a file that may be replaced just now.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    patiently(|| fs::read(path))
}

/// Tries again while somebody else has a file open in a way that gets in ours.
fn patiently<T>(mut action: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    const TRIES: u32 = 200;
    for _ in 0..TRIES {
        match action() {
            Err(error) if is_in_use(&error) => std::thread::sleep(Duration::from_millis(2)),
            result => return result,
        }
    }
    action()
}

fn is_in_use(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied || is_sharing_violation(error)
}

fn is_sharing_violation(error: &io::Error) -> bool {
    error.raw_os_error().map(i32::cast_unsigned) == Some(ERROR_SHARING_VIOLATION)
}

/// Has no thread wait until the other end has read what was written: a pipe keeps it when its
/// writer has gone.
///
/// Such a thread would begin as the process ends, and wine ends what does that with an error.
pub fn leave_to_the_pipe(stream: &Stream) {
    let Stream::NamedPipe(pipe) = stream;
    pipe.inner().assume_flushed();
}

/// Adds a line to a file that other processes add to as well.
///
/// One after the other: wine looks where the file ends, then writes there, so that of two lines at
/// the same time one would be lost.
pub fn append(path: &Path, line: &[u8]) -> io::Result<()> {
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path.with_extension("lock"))?;
    lock.lock()?;
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(line)
}

/// Starts a shim of `exe`: `request` is what it reads first.
///
/// With `hold` it inherits this process's standard output and error beside its own channel.
pub fn launch_shim(
    exe: &Path,
    args: &[String],
    request: &[u8],
    hold: bool,
) -> io::Result<Launched> {
    let held = handles::set_standard_handles_inheritable(hold);
    let mut child = Command::new(exe)
        .args(args)
        .env(HELD_VARIABLE, if hold { held } else { String::new() })
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .creation_flags(DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP)
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A shim that dies before it reads says more by its silence than by our broken pipe.
        let _ = stdin.write_all(request);
    }
    let answer = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    Ok(Launched {
        child,
        answer: Box::new(answer),
    })
}

/// The shim's side of the channel to whoever launched it: its standard input and output.
pub struct ShimChannel(());

impl ShimChannel {
    /// Takes the channel.
    pub fn take() -> io::Result<Self> {
        Ok(Self(()))
    }

    /// What the launcher wrote.
    pub fn request(&mut self) -> io::Result<Vec<u8>> {
        let mut request = Vec::new();
        io::stdin().read_to_end(&mut request)?;
        Ok(request)
    }

    /// Answers, and lets the launcher go on. A launcher that is gone is no error.
    pub fn answer(self, text: &[u8]) {
        let _ = io::stdout().write_all(text);
        let _ = io::stdout().flush();
        handles::close_standard_output();
    }
}

/// A live file: as long as we have it open, nobody can open it for writing.
pub struct LiveFile {
    file: File,
    path: PathBuf,
}

impl LiveFile {
    /// Makes and holds `path`; `AlreadyExists` if another holds it or left it there.
    pub fn create(path: &Path, state: &str) -> io::Result<Self> {
        let file = OpenOptions::new()
            .access_mode(GENERIC_READ | GENERIC_WRITE)
            .write(true)
            .create_new(true)
            .share_mode(FILE_SHARE_READ)
            .open(path)?;
        let live = Self {
            file,
            path: path.to_owned(),
        };
        live.set_state(state)?;
        Ok(live)
    }

    /// Writes what readers see; texts are short, so a reader sees all of one or of the other.
    pub fn set_state(&self, state: &str) -> io::Result<()> {
        self.file
            .seek_write(format!("{state:<16}").as_bytes(), 0)
            .map(|_| ())
    }

    /// The system has ended: the hold goes, then the file.
    pub fn end(self) {
        drop(self.file);
        let _ = patiently(|| fs::remove_file(&self.path));
    }
}

/// Looks at a live file.
pub fn liveness(path: &Path) -> io::Result<Liveness> {
    match OpenOptions::new().read(true).write(true).open(path) {
        Ok(_) => Ok(Liveness::Dead),
        Err(error) if is_sharing_violation(&error) => match File::open(path) {
            Ok(mut file) => {
                let mut text = String::new();
                file.read_to_string(&mut text)?;
                Ok(Liveness::Live(text.trim().to_owned()))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Liveness::Absent),
            Err(error) => Err(error),
        },
        // The second: it is being removed.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied
            ) =>
        {
            Ok(Liveness::Absent)
        }
        Err(error) => Err(error),
    }
}

/// All processes of one container, in a job object that ends them with us.
pub struct Job {
    job: OwnedHandle,
    system: String,
    ended: Mutex<mpsc::Receiver<(u32, u32)>>,
    tell: mpsc::Sender<(u32, u32)>,
}

impl Job {
    /// The (empty) job of the system with this unique id.
    pub fn new(system: &str) -> io::Result<Self> {
        let (tell, ended) = mpsc::channel();
        let job = processes::new_job()?;
        Ok(Self {
            job,
            system: system.to_owned(),
            ended: Mutex::new(ended),
            tell,
        })
    }

    /// Makes a process, and waits for it on a thread.
    pub fn spawn(&self, request: &ProcessRequest) -> io::Result<u32> {
        const KEPT: [&str; 8] = [
            "SystemRoot",
            "SystemDrive",
            "windir",
            "ComSpec",
            "PATH",
            "PATHEXT",
            "TEMP",
            "TMP",
        ];
        let mut command = Command::new(&request.args[0]);
        command
            .args(&request.args[1..])
            .env_clear()
            .stdin(Stdio::null());
        for name in KEPT {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.envs(request.env.iter().map(|(name, value)| (name, value)));
        command.env(SYSTEM_VARIABLE, &self.system);
        if !request.cwd.as_os_str().is_empty() {
            command.current_dir(&request.cwd);
        }
        let held = request.stdio_of == Some(std::process::id());
        command
            .stdout(held_stdio(held, 0))
            .stderr(held_stdio(held, 1));
        // Without a console there is nobody who would hold on to the streams for it.
        command.creation_flags(DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP | CREATE_SUSPENDED);
        let mut child = command.spawn()?;
        if let Err(error) = processes::assign(&self.job, child.as_raw_handle()) {
            let _ = child.kill();
            return Err(error);
        }
        processes::resume(child.as_raw_handle());
        let (pid, tell) = (child.id(), self.tell.clone());
        std::thread::Builder::new()
            .stack_size(STACK)
            .spawn(move || {
                let code = child
                    .wait()
                    .ok()
                    .and_then(|status| status.code())
                    .unwrap_or(1);
                let _ = tell.send((pid, code.cast_unsigned()));
            })?;
        Ok(pid)
    }

    /// Waits until a process has ended; then takes `guard`.
    pub fn reap<T>(&self, guard: impl Fn() -> T) -> (u32, Ending, T) {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            // The sender in `self` keeps the channel open.
            if let Ok((pid, code)) = ended.recv() {
                return (pid, Ending::Exited(code), guard());
            }
        }
    }

    /// Live processes, oldest first.
    pub fn pids(&self) -> Vec<u32> {
        processes::in_job(&self.job)
    }

    /// Suspends every process.
    pub fn freeze(&self) {
        let mut suspended = Vec::new();
        loop {
            let all = self.pids().into_iter();
            let new: Vec<u32> = all.filter(|pid| !suspended.contains(pid)).collect();
            if new.is_empty() {
                return;
            }
            new.iter()
                .for_each(|&pid| processes::suspend_or_resume(pid, true));
            suspended.extend(new);
        }
    }

    /// Lets every process go on.
    pub fn thaw(&self) {
        self.pids()
            .into_iter()
            .for_each(|pid| processes::suspend_or_resume(pid, false));
    }

    /// Ends every process of the job.
    pub fn kill_made(&self, _made: &[u32]) {
        processes::terminate_job(&self.job, ABORTED);
    }

    /// Ends what is left; false if nothing was.
    pub fn kill_orphans(&self) -> bool {
        let left = !self.pids().is_empty();
        if left {
            processes::terminate_job(&self.job, ABORTED);
        }
        left
    }

    /// Ends one process with this exit code.
    pub fn kill(&self, pid: u32, code: u32) {
        processes::terminate(pid, code);
    }

    /// Ends the process as an unhandled console event would: a process without a console cannot
    /// be sent one.
    pub fn signal(&self, pid: u32, signal: Signal) {
        let code = match signal {
            Signal::Linux(number) => 128 + number.unsigned_abs(),
            _ => CONTROL_C_EXIT,
        };
        processes::terminate(pid, code);
    }
}

/// A stream that was handed to this shim to hold: 0 is output, 1 error.
fn held_stdio(held: bool, number: usize) -> Stdio {
    let handles = std::env::var(HELD_VARIABLE).unwrap_or_default();
    let handle = handles
        .split(',')
        .nth(number)
        .and_then(|handle| handle.parse::<usize>().ok());
    match handle.filter(|handle| held && *handle != 0) {
        // SAFETY: the launcher made this handle inheritable and told us its value, which stays
        // ours until we end; the clone is what the process gets.
        Some(handle) => match unsafe {
            std::mem::ManuallyDrop::new(OwnedHandle::from_raw_handle(handle as *mut _)).try_clone()
        } {
            Ok(clone) => Stdio::from(clone),
            Err(_) => Stdio::null(),
        },
        None => Stdio::null(),
    }
}

/// Nothing to do: the job objects of killed shims have ended all processes.
pub fn kill_processes_of_systems(_systems: &BTreeSet<String>) {}

/// Lets a file have holes, where the file system can.
pub fn make_sparse(file: &File) -> io::Result<()> {
    handles::set_sparse(file);
    Ok(())
}
