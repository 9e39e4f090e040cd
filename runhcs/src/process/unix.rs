//! Starting and killing on Unix, where runhcs is a simulator: it gets a process group of its own,
//! so that killing it also kills what it started and left in that group.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};

use super::Exit;

pub(super) fn spawn(command: &mut Command, ends_with_caller: bool) -> io::Result<Child> {
    command.process_group(0);
    #[cfg(target_os = "linux")]
    if ends_with_caller {
        let caller = rustix::process::getpid();
        let bind = move || {
            rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
            // A caller that has ended before that line sends no signal any more.
            if rustix::process::getppid() == Some(caller) {
                Ok(())
            } else {
                Err(rustix::io::Errno::SRCH.into())
            }
        };
        // SAFETY: between fork and exec the closure makes two system calls, which are
        // async-signal-safe, and allocates nothing.
        unsafe {
            command.pre_exec(bind);
        }
    }
    command.spawn()
}

/// Kills the process and its group. Does nothing once the process has been waited for: its number
/// may be someone else's by then, and what it left behind was meant to stay.
pub(super) fn kill(child: &mut Child) {
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
    if let Some(group) = pid.and_then(Pid::from_raw) {
        // It fails only if nothing of the group is left, which is what is wanted.
        let _ = kill_process_group(group, Signal::KILL);
    }
}

pub(super) fn exit(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code.cast_unsigned().into()),
        (None, signal) => Exit::Signal(signal.unwrap_or_default()),
    }
}

/// Reads without moving the position, which a process that still writes shares with us.
pub(super) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    file.read_at(buffer, offset)
}

/// Could this be started? A file, and one of its execute permissions is set.
pub(crate) fn is_executable(path: &Path) -> bool {
    fs::metadata(path)
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}
