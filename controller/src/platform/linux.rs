//! Linux: pidfd, `/proc`, file modes. Nodes are simulated here; the product's nodes run Windows.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::ioctl::{Updater, ioctl, opcode};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// How long after its end a process may take to be reaped, which is when Linux tells its exit code.
const REAPED_WITHIN: Duration = Duration::from_secs(2);

/// A pidfd.
#[derive(Debug)]
pub struct Handle(OwnedFd);

impl Handle {
    pub fn open(pid: u32) -> io::Result<Option<Self>> {
        let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
            return Ok(None);
        };
        match pidfd_open(pid, PidfdFlags::NONBLOCK) {
            Ok(fd) => Ok(Some(Self(fd))),
            Err(Errno::SRCH | Errno::INVAL) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Clock ticks between the boot and the start of the process; none if it has ended.
    pub fn start_time(&self, pid: u32) -> io::Result<Option<u64>> {
        let stat = match fs::read_to_string(format!("/proc/{pid}/stat")) {
            Ok(stat) => stat,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        // A pidfd hangs up when its process has been reaped: then the file may be another's.
        let mut state = [PollFd::new(&self.0, PollFlags::empty())];
        poll(&mut state, Some(&rustix::event::Timespec::default()))?;
        if state[0].revents().contains(PollFlags::HUP) {
            return Ok(None);
        }
        // The name in brackets may hold anything; the fields after it are numbers.
        let fields = stat
            .rsplit_once(") ")
            .map(|(_, rest)| rest)
            .unwrap_or_default();
        Ok(fields
            .split(' ')
            .nth(19)
            .and_then(|field| field.parse().ok()))
    }

    pub async fn exited(self) -> io::Result<Option<u32>> {
        // SAFETY: the descriptor is owned by the AsyncFd, so it stays open for as long as it is
        // registered.
        let fd = unsafe { AsyncFd::register_with_interest(self.0, Interest::READABLE) }?;
        let mut ready = fd.readable().await?;
        let reaped = async {
            loop {
                if let Some(status) = exit_status(fd.get_ref()) {
                    return Ok(Some(status));
                }
                // The next edge is the hang-up that follows when the process has been reaped.
                ready.clear_ready();
                ready = fd.readable().await?;
            }
        };
        tokio::time::timeout(REAPED_WITHIN, reaped)
            .await
            .unwrap_or(Ok(None))
    }
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

pub fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?
        .trim()
        .to_owned())
}

pub fn create_private_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
}

pub fn others_can_write(path: &Path) -> io::Result<bool> {
    let meta = fs::metadata(path)?;
    let foreign = meta.uid() != rustix::process::geteuid().as_raw() && meta.uid() != 0;
    Ok(foreign || meta.permissions().mode() & 0o022 != 0)
}
