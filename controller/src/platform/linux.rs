//! Linux: pidfd, `/proc`, file modes. Nodes are simulated here; the product's nodes run Windows.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::io::Errno;
use rustix::ioctl::{Updater, ioctl, opcode};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::Distrust;

/// How long after its end a process may take to be reaped, which is when Linux tells its exit code.
const REAPED_WITHIN: Duration = Duration::from_secs(2);

/// A pidfd, and the pid that it was opened for.
#[derive(Debug)]
pub struct Handle {
    fd: OwnedFd,
    pid: u32,
}

impl Handle {
    pub fn open(pid: u32) -> io::Result<Option<Self>> {
        let Some(raw) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
            return Ok(None);
        };
        match pidfd_open(raw, PidfdFlags::NONBLOCK) {
            Ok(fd) => Ok(Some(Self { fd, pid })),
            Err(Errno::SRCH | Errno::INVAL) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Clock ticks between the boot and the start of the process; none if it is gone.
    pub fn start_time(&self) -> io::Result<Option<u64>> {
        let Some(stat) = stat(self.pid)? else {
            return Ok(None);
        };
        // A pidfd hangs up when its process has been reaped: then the file may be another's.
        let mut state = [PollFd::new(&self.fd, PollFlags::empty())];
        poll(&mut state, Some(&rustix::event::Timespec::default()))?;
        if state[0].revents().contains(PollFlags::HUP) {
            return Ok(None);
        }
        Ok(field(&stat, STARTTIME))
    }

    pub async fn exited(self) -> io::Result<Option<u32>> {
        let pid = self.pid;
        // SAFETY: the descriptor is owned by the AsyncFd, so it stays open for as long as it is
        // registered.
        let fd = unsafe { AsyncFd::register_with_interest(self.fd, Interest::READABLE) }?;
        drop(fd.readable().await?);
        // Boxed, so that who waits for an end does not hold all of this for as long.
        Box::pin(tokio::time::timeout(REAPED_WITHIN, status(&fd, pid)))
            .await
            .unwrap_or(Ok(None))
    }
}

/// Waits until the exit code of a process that has ended is to be had.
async fn status(fd: &AsyncFd<OwnedFd>, pid: u32) -> io::Result<Option<u32>> {
    loop {
        let mut ready = fd.readable().await?;
        if let Some(status) = status_of_zombie(pid).or_else(|| exit_status(fd.get_ref())) {
            return Ok(Some(status));
        }
        // The next edge is the hang-up that follows when the process has been reaped.
        ready.clear_ready();
    }
}

/// Fields of `/proc/<pid>/stat` (proc_pid_stat(5)), counted from the one behind the name.
const STATE: usize = 0;
const STARTTIME: usize = 19;
const EXIT_CODE: usize = 49;

fn stat(pid: u32) -> io::Result<Option<String>> {
    match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => Ok(Some(stat)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.raw_os_error() == Some(Errno::SRCH.raw_os_error()) => Ok(None),
        Err(error) => Err(error),
    }
}

fn field<T: FromStr>(stat: &str, index: usize) -> Option<T> {
    // The name in brackets may hold anything; the fields after it do not.
    let (_, fields) = stat.rsplit_once(") ")?;
    fields.trim_end().split(' ').nth(index)?.parse().ok()
}

/// The exit code of a process that has ended and was not reaped yet. Only to be asked behind a
/// pidfd that says that its process has ended: until it is reaped, the pid is still its own.
fn status_of_zombie(pid: u32) -> Option<u32> {
    let stat = stat(pid).ok()??;
    let zombie = field(&stat, STATE) == Some('Z');
    let status = field(&stat, EXIT_CODE).filter(|_| zombie)?;
    Some(code_of_wait_status(status))
}

/// `struct pidfd_info` of `linux/pidfd.h`, in its first size.
#[repr(C)]
#[derive(Default)]
struct PidfdInfo {
    mask: u64,
    cgroupid: u64,
    ids: [u32; 11],
    exit_code: i32,
}

/// `PIDFD_INFO_EXIT`: the exit code, known from Linux 6.15 on and once the process is reaped.
const INFO_EXIT: u64 = 1 << 3;
const GET_INFO: rustix::ioctl::Opcode = opcode::read_write::<PidfdInfo>(0xFF, 11);

fn exit_status(fd: &OwnedFd) -> Option<u32> {
    let mut info = PidfdInfo {
        mask: INFO_EXIT,
        ..PidfdInfo::default()
    };
    // SAFETY: GET_INFO reads and writes one `struct pidfd_info` of the size that its opcode
    // carries, and `PidfdInfo` has that struct's layout.
    let answer = unsafe { ioctl(fd, Updater::<GET_INFO, PidfdInfo>::new(&mut info)) };
    (answer.is_ok() && info.mask & INFO_EXIT != 0).then(|| code_of_wait_status(info.exit_code))
}

/// The exit code as a shell gives it: 128 and the signal's number for a killed process.
fn code_of_wait_status(status: i32) -> u32 {
    let signal = status & 0x7f;
    let code = if signal == 0 {
        (status >> 8) & 0xff
    } else {
        128 + signal
    };
    code.unsigned_abs()
}

pub fn started_at(start_time: u64) -> Option<Timestamp> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let boot: i64 = stat
        .lines()
        .find_map(|line| line.strip_prefix("btime "))?
        .parse()
        .ok()?;
    let ticks = rustix::param::clock_ticks_per_second();
    let since_boot = i64::try_from(start_time / ticks).ok()?;
    Timestamp::from_second(boot + since_boot).ok()
}

/// glibc gives each thread a heap of its own, and what is free in one is of no use to the others; and with each large
/// block that is freed it takes larger ones from them. Two threads that mostly wait need neither.
#[cfg(target_env = "gnu")]
pub fn keep_heap_small() {
    const LARGE: libc::c_int = 128 * 1024;
    for (parameter, value) in [
        (libc::M_ARENA_MAX, 1),
        (libc::M_MMAP_THRESHOLD, LARGE),
        (libc::M_TRIM_THRESHOLD, LARGE),
    ] {
        // SAFETY: mallopt changes settings of the allocator alone, and there are no other threads yet. One that it
        // refuses stays as it was, which costs memory only.
        unsafe { libc::mallopt(parameter, value) };
    }
}

/// Another libc has its own ways.
#[cfg(not(target_env = "gnu"))]
pub fn keep_heap_small() {}

pub fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?
        .trim()
        .to_owned())
}

/// As tokio's clock counts: without the time in which the machine slept.
pub fn uptime() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer is to a timespec that outlives the call; this clock is always there, so it does not fail.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

pub fn os_build() -> String {
    let name = rustix::system::uname();
    let words = [name.sysname(), name.release()].map(|word| word.to_string_lossy().into_owned());
    words.join(" ")
}

pub const LOCK_OUTLIVES: Duration = Duration::ZERO;

/// By a lock of the process and not of the open file: a child has its parent's open files until it becomes runhcs, and
/// must not keep the next agent out if this one is killed before that.
pub fn lock(file: &fs::File) -> io::Result<bool> {
    match fcntl_lock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::AGAIN | Errno::ACCESS) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

pub fn create_private_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
}

pub fn distrust(path: &Path) -> io::Result<Option<Distrust>> {
    let meta = fs::metadata(path)?;
    let foreign = meta.uid() != rustix::process::geteuid().as_raw() && meta.uid() != 0;
    Ok(if foreign {
        Some(Distrust::Owner(meta.uid().to_string()))
    } else if meta.permissions().mode() & 0o022 != 0 {
        Some(Distrust::Writer("others".into()))
    } else {
        None
    })
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use rustix::io::{FdFlags, fcntl_setfd};

    use super::*;

    #[test]
    fn a_child_that_was_about_to_become_runhcs_does_not_keep_the_next_agent_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.lock");
        let open = || fs::File::options().create(true).append(true).open(&path);
        let file = open().unwrap();
        assert!(lock(&file).unwrap());
        // So the child has it for longer than between fork and exec.
        fcntl_setfd(&file, FdFlags::empty()).unwrap();
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        drop(file);
        let is_free = lock(&open().unwrap()).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(is_free);
    }
}
