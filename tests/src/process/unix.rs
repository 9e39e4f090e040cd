//! The Unix half: process groups, signals and `/proc`.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};

/// Makes the child the leader of a process group of its own, so that Ctrl-C at a terminal reaches only the owner, which
/// then ends its children in order; and has the kernel kill it when the owner ends without doing so, or interrupt it if
/// it has children to end.
pub fn end_with_this_process(command: &mut Command, has_children: bool) {
    command.process_group(0);
    #[cfg(target_os = "linux")]
    {
        let signal = if has_children {
            Signal::INT
        } else {
            Signal::KILL
        };
        let owner = std::process::id();
        let prepare = move || {
            rustix::process::set_parent_process_death_signal(Some(signal))?;
            // The owner may have ended between fork and the line above: then no signal will ever come.
            let parent = rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get());
            if u32::try_from(parent) == Ok(owner) {
                Ok(())
            } else {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
        };
        // SAFETY: between fork and exec the closure makes two system calls (prctl, getppid) and touches neither the
        // heap nor a lock: all the values it uses are copies, and an error kind is made without allocation.
        unsafe {
            command.pre_exec(prepare);
        }
    }
}

/// Sends SIGTERM. The caller has not yet waited for the process, so the pid cannot have been given to another.
pub fn ask_to_end(pid: u32) {
    if let Some(pid) = as_pid(pid) {
        let _ = kill_process(pid, Signal::TERM);
    }
}

/// Whether a process with this id exists and is not merely a zombie.
pub fn alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        !stat
            .rsplit(')')
            .next()
            .is_some_and(|rest| rest.starts_with(" Z"))
    })
}

/// When a process was started, in ticks since the boot: the 22nd field of its `stat`, the 20th after its name.
pub fn start_time(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(19)?.parse().ok()
}

/// Resident memory of a process in bytes, from `VmRSS` of `/proc/<pid>/status`.
pub fn resident_bytes(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

fn as_pid(pid: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid).ok()?)
}

/// A process' command line, its arguments parted by spaces; empty if there is no such process.
pub fn command_line(pid: u32) -> String {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).replace('\0', " ")
}

/// The processes that name `dir` in their command line or work in it: id and command line. This process is left out.
pub fn concerned_with(dir: &Path) -> Vec<(u32, String)> {
    let name = dir.display().to_string();
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    processes
        .filter_map(|process| process.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != std::process::id() && alive(*pid))
        .map(|pid| (pid, command_line(pid)))
        .filter(|(pid, line)| {
            let folder = std::fs::read_link(format!("/proc/{pid}/cwd"));
            line.contains(&name) || folder.is_ok_and(|folder| folder.starts_with(dir))
        })
        .collect()
}
