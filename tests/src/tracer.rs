//! Watches what an agent does to its disk, system call by system call, and kills it before one of them: on the very
//! program that ships, with nothing built in.
//!
//! All threads of the process are followed by ptrace (Linux, x86-64); the processes that it starts are not. The tracer
//! is a process of its own, `hcs-test-tracer`, since a process' waits for its children and for what it traces would take
//! each other's answers.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::process::Spawn;
use crate::{Result, binaries};

/// What is looked at.
#[derive(Debug, Clone, Default)]
pub struct Tracing {
    /// Before this one the process is killed: the label, and how many of the same come before it.
    pub target: Option<(String, usize)>,
}

impl Tracing {
    /// A process that is traced.
    pub fn of(self, spawn: Spawn, data: &Path) -> Result<Spawn> {
        let (label, number) = self.target.unwrap_or_default();
        let args: [OsString; 4] = [
            data.into(),
            changes_file(data).into(),
            label.into(),
            number.to_string().into(),
        ];
        let tracer = binaries::Workspace::get()?.folder().join("hcs-test-tracer");
        Ok(spawn.under(&tracer, &args))
    }
}

/// The file with the changes below an agent's data folder, one a line.
pub fn changes_file(data: &Path) -> PathBuf {
    data.with_file_name("changes")
}

/// What `hcs-test-tracer` does with its arguments: the folder to look at, the file for what is seen, the target (empty for
/// none) and its number, then the program and its own. Returns when the
/// program and all that it was have ended.
pub fn run(mut args: impl Iterator<Item = OsString>) -> io::Result<()> {
    let mut next = || {
        args.next()
            .ok_or_else(|| io::Error::other("an argument is missing"))
    };
    let (folder, changes) = (next()?, next()?);
    let (label, number) = (next()?.to_string_lossy().into_owned(), next()?);
    let program = next()?;
    let number = number.to_string_lossy().parse().map_err(io::Error::other)?;
    let script = "kill -STOP $$; exec \"$@\"";
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script, "sh"]).arg(program).args(args);
    // The harness ends groups.
    let child = command.process_group(0).spawn()?;
    let pid = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
    let stopped = waitpid(pid, Some(WaitPidFlag::WUNTRACED))?;
    if !matches!(stopped, WaitStatus::Stopped(..)) {
        return Err(io::Error::other("the program did not wait"));
    }
    let options =
        Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_TRACECLONE | Options::PTRACE_O_EXITKILL;
    ptrace::seize(pid, options)?;
    ptrace::interrupt(pid)?;
    kill(pid, Signal::SIGCONT)?;
    let changes = fs::File::options()
        .create(true)
        .append(true)
        .open(changes)?;
    let mut tracer = Tracer {
        pid,
        folder: folder.into(),
        target: Some((label, number)).filter(|(label, _)| !label.is_empty()),
        inside: BTreeMap::new(),
        seen: Vec::new(),
        changes,
    };
    tracer.follow();
    Ok(())
}

struct Tracer {
    pid: Pid,
    folder: PathBuf,
    target: Option<(String, usize)>,
    /// Threads that are inside a system call.
    inside: BTreeMap<Pid, bool>,
    seen: Vec<String>,
    changes: fs::File,
}

impl Tracer {
    fn follow(&mut self) {
        loop {
            let status = match waitpid(None, Some(WaitPidFlag::__WALL)) {
                Ok(status) => status,
                Err(Errno::EINTR) => continue,
                Err(_) => return,
            };
            let Some(thread) = status.pid() else { return };
            let deliver = match status {
                WaitStatus::PtraceSyscall(_) => {
                    self.system_call(thread);
                    None
                }
                WaitStatus::Exited(..) | WaitStatus::Signaled(..) => {
                    self.inside.remove(&thread);
                    continue;
                }
                WaitStatus::Stopped(_, signal) => Some(signal),
                _ => None,
            };
            // The stop in which it was found is over.
            let deliver =
                deliver.filter(|signal| *signal != Signal::SIGSTOP && *signal != Signal::SIGTRAP);
            let _ = ptrace::syscall(thread, deliver);
        }
    }

    fn system_call(&mut self, thread: Pid) {
        let inside = self.inside.entry(thread).or_default();
        *inside = !*inside;
        if !*inside {
            return;
        }
        let Some(label) = self.change(thread) else {
            return;
        };
        let before = self.seen.iter().filter(|seen| **seen == label).count();
        let target = self.target.as_ref();
        if target.is_some_and(|(wanted, number)| *wanted == label && *number == before) {
            // Killed at the entry, a thread never gets to the call.
            let _ = kill(self.pid, Signal::SIGKILL);
        }
        // All of a line at once: it is read while it grows.
        let _ = self.changes.write_all(format!("{label}\n").as_bytes());
        self.seen.push(label);
    }

    /// What a thread is about to do to a file of the folder.
    fn change(&self, thread: Pid) -> Option<String> {
        let regs = ptrace::getregs(thread).ok()?;
        let path = |address: u64| path_in(thread, address);
        let writes = i32::try_from(regs.rdx & 0xffff_ffff).unwrap_or_default()
            & (nix::libc::O_WRONLY | nix::libc::O_RDWR | nix::libc::O_CREAT)
            != 0;
        let (what, path) = match i64::try_from(regs.orig_rax).ok()? {
            nix::libc::SYS_openat if writes => ("open", path(regs.rsi)?),
            nix::libc::SYS_write | nix::libc::SYS_pwrite64 | nix::libc::SYS_ftruncate => {
                ("write", self.file(regs.rdi)?)
            }
            nix::libc::SYS_rename => ("rename to", path(regs.rsi)?),
            nix::libc::SYS_renameat | nix::libc::SYS_renameat2 => ("rename to", path(regs.r10)?),
            nix::libc::SYS_linkat => ("link", path(regs.r10)?),
            nix::libc::SYS_unlink | nix::libc::SYS_rmdir => ("remove", path(regs.rdi)?),
            nix::libc::SYS_unlinkat => ("remove", self.below(regs.rdi, path(regs.rsi)?)),
            nix::libc::SYS_mkdir => ("make", path(regs.rdi)?),
            nix::libc::SYS_mkdirat => ("make", path(regs.rsi)?),
            _ => return None,
        };
        let below = path.strip_prefix(&self.folder).ok()?;
        Some(format!("{what} {}", neutral(&below.to_string_lossy())))
    }

    fn file(&self, descriptor: u64) -> Option<PathBuf> {
        fs::read_link(format!("/proc/{}/fd/{descriptor}", self.pid)).ok()
    }

    /// A path from a folder that is open.
    fn below(&self, descriptor: u64, path: PathBuf) -> PathBuf {
        if path.is_absolute() {
            return path;
        }
        self.file(descriptor)
            .map_or(path.clone(), |folder| folder.join(path))
    }
}

/// A path in the memory of a process.
fn path_in(thread: Pid, address: u64) -> Option<PathBuf> {
    let memory = fs::File::open(format!("/proc/{thread}/mem")).ok()?;
    let mut text = vec![0; 4096];
    let read = memory.read_at(&mut text, address).ok()?;
    text.truncate(read);
    let end = text.iter().position(|byte| *byte == 0)?;
    text.truncate(end);
    String::from_utf8(text).ok().map(PathBuf::from)
}

/// A path without what is another in each run: uids, and the random names of temporary files.
fn neutral(path: &str) -> String {
    let parts = path.split('/').map(|part| {
        if part.starts_with(".tmp") {
            return "*.tmp".to_owned();
        }
        // The agent's names for boots and layers.
        if part.len() == 32 && part.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return "H".to_owned();
        }
        let uid = |at: usize| {
            part.get(at..at + 36)
                .filter(|uid| uid.matches('-').count() == 4 && !uid.starts_with('-'))
        };
        match (0..part.len()).find_map(uid) {
            Some(uid) => part.replace(uid, "U"),
            None => part.to_owned(),
        }
    });
    parts.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_between_two_runs_is_not_in_a_label() {
        let uid = "0b8f6c1e-6d5e-4f7a-9c51-000000000001";
        assert_eq!(
            neutral(&format!("bundles/hc-{uid}-2/config.json")),
            "bundles/hc-U-2/config.json"
        );
        assert_eq!(neutral("records/.tmpAbC.tmp"), "records/*.tmp");
        assert_eq!(neutral(&format!("records/{uid}.json")), "records/U.json");
    }
}
