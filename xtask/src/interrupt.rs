//! Ctrl-C and SIGTERM while tests run: the tests end, and what they started is ended after them. Left to themselves the
//! signals would end this process alone, and simulated nodes outlive it, as real ones should.

use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::signal::unix::{SignalKind, signal};

static ASKED_TO_END: AtomicBool = AtomicBool::new(false);

/// The process groups that tests run in, while they do.
static TESTS: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// Watches for both signals from now on.
pub fn watch() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.context("failed to start the async runtime")?;
    let (mut interrupt, mut terminate) = {
        let _inside = runtime.enter();
        (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        )
    };
    std::thread::spawn(move || {
        runtime.block_on(async {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                ASKED_TO_END.store(true, Ordering::SeqCst);
                end_tests();
            }
        });
    });
    Ok(())
}

/// An error once this process has been asked to end.
pub fn go_on() -> Result<()> {
    if ASKED_TO_END.load(Ordering::SeqCst) {
        bail!("interrupted");
    }
    Ok(())
}

/// Starts a command in a process group of its own, which ends when this process is asked to.
pub fn spawn(command: &mut Command) -> Result<Child> {
    go_on()?;
    std::os::unix::process::CommandExt::process_group(command, 0);
    let child = command
        .spawn()
        .with_context(|| format!("failed to start {command:?}"))?;
    tests().extend(group(&child));
    // The signal may have come before the group was known.
    if ASKED_TO_END.load(Ordering::SeqCst) {
        end_tests();
    }
    Ok(child)
}

/// Forgets the group of [`spawn`]; say it before its child is waited for, after which its number may be another's.
pub fn ending(child: &Child) {
    let group = group(child);
    tests().retain(|known| Some(*known) != group);
}

fn tests() -> MutexGuard<'static, Vec<Pid>> {
    TESTS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn group(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}

fn end_tests() {
    for group in tests().iter() {
        let _ = kill_process_group(*group, Signal::TERM);
    }
}
