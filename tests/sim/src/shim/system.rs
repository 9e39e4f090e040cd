//! The compute system inside a shim: its state, its processes, its end.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::context::Context;
use crate::failure::Failure;
use crate::faults::{Faults, Point};
use crate::ipc::{Answer, Incoming};
use crate::node::{Node, Release, ShimStdio, write_atomically};
use crate::platform::{Ending, Job, LiveFile, Signal};
use crate::registry::{Record, Registry};
use crate::spec::Process;
use crate::systems::{Mirror, MirrorProcess, SystemState, Systems, TerminalSize};

use super::process;

/// Exit code of a process that was ended by a console signal: STATUS_CONTROL_C_EXIT.
const CONTROL_C_EXIT: u32 = 0xC000_013A;
/// Exit code of a process that was killed by itself.
const KILLED: u32 = u32::MAX;
/// Exit code of a process that ended with its system: ERROR_PROCESS_ABORTED.
const ABORTED: u32 = 1067;
/// Stack of the shim's threads: there may be a thousand shims.
const STACK: usize = 128 * 1024;
/// How long the end of a system waits for processes that were killed.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long orphans that were killed are given before another look at them.
const ORPHAN_PAUSE: Duration = Duration::from_millis(1);

struct Inner {
    mirror: Mirror,
    live: Option<LiveFile>,
    /// Alongside `mirror.processes`.
    extras: Vec<Extra>,
    /// Whether `start` has made an init process.
    has_init: bool,
}

struct Extra {
    /// Exit code to tell instead of what the platform says.
    forced: Option<u32>,
    /// Whether it was sent a signal that ends processes.
    signalled: bool,
    /// The exec shim that waits for its end.
    waiter: Option<Incoming>,
}

/// A system and all that its shim needs.
pub struct System {
    inner: Mutex<Inner>,
    ended: Condvar,
    job: Job,
    node: Node,
    systems: Systems,
    registry: Registry,
    faults: Faults,
    record: Record,
    stdio: ShimStdio,
    release: Release,
}

impl System {
    /// A system that holds `live`.
    pub fn new(context: &Context, record: Record, live: LiveFile) -> Result<Arc<Self>, Failure> {
        let mirror = Mirror {
            id: record.id.clone(),
            unique_id: record.unique_id.clone(),
            shim: std::process::id(),
            state: SystemState::Created,
            processes: Vec::new(),
            shim_exit_code: None,
        };
        let job = Job::new(&record.unique_id).map_err(Failure::simulator("making a job"))?;
        let system = Self {
            inner: Mutex::new(Inner {
                mirror,
                live: Some(live),
                extras: Vec::new(),
                has_init: false,
            }),
            ended: Condvar::new(),
            job,
            node: context.node.clone(),
            systems: context.systems.clone(),
            registry: context.registry.clone(),
            faults: context.faults.clone(),
            record,
            stdio: context.settings.shim_stdio,
            release: context.settings.release,
        };
        system.write_mirror(&system.lock());
        Ok(Arc::new(system))
    }

    /// The record as it was when the shim began.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Whether a start makes the shim crash.
    pub fn crashes(&self) -> bool {
        self.release == Release::V0_12
    }

    /// The records of the root that shims look into.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Lets the faults for a point of the shim strike.
    pub fn strike(&self, point: Point) -> Result<(), Failure> {
        self.faults.strike(point, "shim", &self.record.id, None)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_mirror(&self, inner: &Inner) {
        let text = serde_json::to_vec(&inner.mirror).unwrap_or_default();
        // Nothing is decided by a mirror.
        let _ = write_atomically(&self.systems.mirror_file(&self.record.id), &text);
    }

    fn set_state(&self, inner: &mut Inner, state: SystemState) {
        inner.mirror.state = state;
        if let Some(live) = &inner.live {
            let _ = live.set_state(state.as_str());
        }
        self.write_mirror(inner);
    }

    /// Goes from created to running; false if it is not created.
    pub fn begin(&self) -> bool {
        let mut inner = self.lock();
        let created = inner.mirror.state == SystemState::Created;
        if created {
            self.set_state(&mut inner, SystemState::Running);
        }
        created
    }

    /// Whether processes can be made.
    pub fn is_running(&self) -> bool {
        self.lock().mirror.state == SystemState::Running
    }

    /// Makes a process that `shim` stands for. An error is Windows' text.
    pub fn spawn(
        &self,
        process: &Process,
        shim: u32,
        waiter: Option<Incoming>,
    ) -> Result<u32, String> {
        let held = self.stdio == ShimStdio::Held;
        let request = process::request(&self.record, process, held.then_some(shim))?;
        let mut inner = self.lock();
        let pid = self
            .job
            .spawn(&request)
            .map_err(|error| process::spawn_error(&error))?;
        inner.mirror.processes.push(MirrorProcess {
            pid,
            shim,
            args: process.args.clone(),
            terminal: process.terminal,
            size: process.console_size,
            signals: Vec::new(),
            exit_code: None,
        });
        inner.extras.push(Extra {
            forced: None,
            signalled: false,
            waiter,
        });
        inner.has_init |= shim == std::process::id();
        self.write_mirror(&inner);
        Ok(pid)
    }

    /// As [`System::spawn`], and tells `incoming` of the process and, later, of its end.
    pub fn spawn_for(
        &self,
        process: &Process,
        shim: u32,
        mut incoming: Incoming,
    ) -> Result<(), (String, Incoming)> {
        let pid = match self.spawn(process, shim, None) {
            Ok(pid) => pid,
            Err(text) => return Err((text, incoming)),
        };
        let mut inner = self.lock();
        let _ = incoming.answer(&Answer::Made { pid });
        let last = inner
            .mirror
            .processes
            .iter()
            .rposition(|process| process.pid == pid);
        let Some(index) = last else { return Ok(()) };
        match inner.mirror.processes[index].exit_code {
            Some(code) => drop(incoming.answer(&Answer::Exited { code })),
            None => inner.extras[index].waiter = Some(incoming),
        }
        Ok(())
    }

    /// Live processes, oldest first.
    pub fn pids(&self) -> Vec<u32> {
        self.job.pids()
    }

    /// Holds all processes.
    pub fn pause(&self) -> Answer {
        self.hold(SystemState::Running, SystemState::Paused, Job::freeze)
    }

    /// Lets all processes go on.
    pub fn resume(&self) -> Answer {
        self.hold(SystemState::Paused, SystemState::Running, Job::thaw)
    }

    fn hold(&self, from: SystemState, to: SystemState, act: impl Fn(&Job)) -> Answer {
        let mut inner = self.lock();
        if inner.mirror.state != from {
            return Answer::InvalidState;
        }
        act(&self.job);
        self.set_state(&mut inner, to);
        Answer::Done
    }

    /// Sends a signal, unless the process says in its environment what it makes of one.
    pub fn signal(&self, pid: u32, signal: Signal) -> Answer {
        let mut inner = self.lock();
        let Some(index) = running(&inner, pid) else {
            return Answer::NoSuchProcess;
        };
        inner.mirror.processes[index]
            .signals
            .push(format!("{signal:?}"));
        match process::answer_to_signals(&self.record, index) {
            process::OnSignal::Handle => {
                inner.extras[index].signalled = true;
                self.job.signal(pid, signal);
            }
            process::OnSignal::Ignore => {}
            process::OnSignal::Exit(code) => {
                inner.extras[index].forced = Some(code);
                self.job.kill(pid, code);
            }
        }
        self.write_mirror(&inner);
        Answer::Done
    }

    /// Ends a process.
    pub fn kill(&self, pid: u32) -> Answer {
        let mut inner = self.lock();
        let Some(index) = running(&inner, pid) else {
            return Answer::NoSuchProcess;
        };
        inner.extras[index].forced = Some(KILLED);
        self.job.kill(pid, KILLED);
        Answer::Done
    }

    /// Records the size of a process's terminal, real or not.
    pub fn resize(&self, pid: u32, width: u32, height: u32) -> Answer {
        let mut inner = self.lock();
        let Some(index) = running(&inner, pid) else {
            return Answer::NoSuchProcess;
        };
        inner.mirror.processes[index].size = Some(TerminalSize { width, height });
        self.write_mirror(&inner);
        Answer::Done
    }

    /// Ends the system with all its processes, if nobody else does; returns the shim's exit code
    /// if it is the caller's to end the shim.
    pub fn terminate(&self) -> Option<u32> {
        let code = {
            let mut inner = self.lock();
            let mut code = if inner.has_init { ABORTED } else { 1 };
            for index in 0..inner.extras.len() {
                match inner.mirror.processes[index].exit_code {
                    Some(ended) if index == 0 && inner.has_init => code = ended,
                    Some(_) => {}
                    None => inner.extras[index].forced = Some(ABORTED),
                }
            }
            code
        };
        self.end(code).then_some(code)
    }

    /// The system is over: its processes go, then its live file. Whoever comes second waits, and
    /// is told that it was not the one.
    pub fn end(&self, code: u32) -> bool {
        let inner = self.lock();
        if inner.live.is_none() {
            return false;
        }
        let made = inner
            .mirror
            .processes
            .iter()
            .filter(|process| process.exit_code.is_none());
        self.job
            .kill_made(&made.map(|process| process.pid).collect::<Vec<u32>>());
        let some_run = |inner: &mut Inner| {
            inner
                .mirror
                .processes
                .iter()
                .any(|process| process.exit_code.is_none())
        };
        let (mut inner, _) = self
            .ended
            .wait_timeout_while(inner, PATIENCE, some_run)
            .unwrap_or_else(PoisonError::into_inner);
        let deadline = Instant::now() + PATIENCE;
        while self.job.kill_orphans() && Instant::now() < deadline {
            // The reaper needs the lock.
            (inner, _) = self
                .ended
                .wait_timeout(inner, ORPHAN_PAUSE)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let Some(live) = inner.live.take() else {
            return false;
        };
        inner.mirror.shim_exit_code = Some(code);
        let _ = live.set_state(SystemState::Stopped.as_str());
        self.set_state(&mut inner, SystemState::Stopped);
        live.end();
        true
    }

    /// Ends the shim, its system having ended: the record learns of it, whoever's it is by now.
    pub fn leave(&self, code: u32, last_words: impl FnOnce()) -> ! {
        let _ = self.strike(Point::SystemEnded);
        let _ = self.registry.change(&self.record.id, |record| {
            record.processes.remove(&std::process::id());
            record.shim = Some(0);
        });
        last_words();
        super::exit(code)
    }

    /// Begins to reap processes, on a thread of its own.
    pub fn start_reaping(self: &Arc<Self>) {
        let system = Arc::clone(self);
        thread("reaper", move || {
            loop {
                let (pid, ending, inner) = system.job.reap(|| system.lock());
                system.reaped(pid, ending, inner);
            }
        });
    }

    fn reaped(self: &Arc<Self>, pid: u32, ending: Ending, mut inner: MutexGuard<'_, Inner>) {
        let Some(index) = running(&inner, pid) else {
            return;
        };
        let extra = &mut inner.extras[index];
        let code = exit_code(extra, ending, self.record.spec.linux);
        if let Some(mut waiter) = extra.waiter.take() {
            let _ = waiter.answer(&Answer::Exited { code });
        }
        inner.mirror.processes[index].exit_code = Some(code);
        self.write_mirror(&inner);
        self.ended.notify_all();
        let over = inner.live.is_none();
        let is_init = inner.mirror.processes[index].shim == std::process::id();
        if is_init && !over {
            let system = Arc::clone(self);
            thread("shutdown", move || system.shut_down(code));
        }
    }

    /// Init has ended: the system shuts down, which may take its time.
    fn shut_down(&self, code: u32) {
        let _ = self.strike(Point::ProcessEnded);
        let settings = self.node.settings().unwrap_or_default();
        std::thread::sleep(Duration::from_millis(settings.shutdown_delay_ms));
        if self.end(code) {
            self.leave(code, || {});
        }
    }
}

fn running(inner: &Inner, pid: u32) -> Option<usize> {
    inner
        .mirror
        .processes
        .iter()
        .position(|process| process.pid == pid && process.exit_code.is_none())
}

/// All 32 bits of a process's exit code, as Windows (or LCOW's Linux) would tell it.
fn exit_code(extra: &Extra, ending: Ending, linux: bool) -> u32 {
    match ending {
        _ if extra.forced.is_some() => extra.forced.unwrap_or_default(),
        Ending::Exited(code) => code,
        Ending::Signalled(signal) if linux => 128 + signal.unsigned_abs(),
        Ending::Signalled(_) if extra.signalled => CONTROL_C_EXIT,
        Ending::Signalled(signal) => process::status_of_signal(signal),
    }
}

fn thread(name: &str, body: impl FnOnce() + Send + 'static) {
    let builder = std::thread::Builder::new()
        .name(name.to_owned())
        .stack_size(STACK);
    if builder.spawn(body).is_err() {
        // Without the thread the container's end would never be seen.
        super::exit(1);
    }
}
