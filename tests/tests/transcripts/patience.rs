//! Nothing that the script starts keeps it waiting for ever: what does not come back in time is named, with what its
//! threads wait for.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::process::{Child, ChildStdout, ExitStatus};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::Result;

/// How long any one thing may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// Waits until a program has ended.
pub fn end_of(mut child: Child, what: &str) -> Result<ExitStatus> {
    let handle = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())?;
    if is_ready(handle.as_fd())? {
        return Ok(child.wait()?);
    }
    let evidence = threads(child.id());
    child.kill()?;
    child.wait()?;
    Err(format!("{what}: has not ended within {PATIENCE:?}; its threads:\n{evidence}").into())
}

/// Waits for the next line that a program writes; empty at the end of its output.
pub fn line_of(output: &mut BufReader<ChildStdout>, what: &str) -> Result<String> {
    if output.buffer().is_empty() && !is_ready(output.get_ref().as_fd())? {
        return Err(format!("{what}: not so within {PATIENCE:?}").into());
    }
    let mut line = String::new();
    output.read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

/// Looks again and again until it is so.
pub fn wait_until(what: &str, so: impl Fn() -> bool) -> Result {
    let end = Instant::now() + PATIENCE;
    while !so() {
        if Instant::now() > end {
            return Err(format!("{what}: not so within {PATIENCE:?}").into());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// Whether something can be read, or has ended, in time.
fn is_ready(of: BorrowedFd<'_>) -> Result<bool> {
    let deadline = Timespec::try_from(PATIENCE)?;
    let mut polled = [PollFd::new(&of, PollFlags::IN)];
    Ok(poll(&mut polled, Some(&deadline))? > 0)
}

/// What each thread of a process is in: its name and where the kernel has it wait.
fn threads(pid: u32) -> String {
    let mut all = String::new();
    for thread in fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten()
    {
        let read = |name| fs::read_to_string(thread.path().join(name)).unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = writeln!(
            all,
            "{} {} waits in {}, system call {}",
            thread.file_name().to_string_lossy(),
            read("comm").trim(),
            read("wchan").trim(),
            read("syscall").trim()
        );
    }
    all
}
