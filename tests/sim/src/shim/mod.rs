//! The shim: the process that stands for a container on the host, and here for the Host Compute
//! Service too.
//!
//! `create` starts it; it waits for requests, runs the container's processes as its own children,
//! and ends with the init process's exit code. If it is killed, the kernel ends what it ran.

mod exec;
mod process;
mod system;

use std::sync::Arc;

use crate::container::Container;
use crate::context::Context;
use crate::failure::Failure;
use crate::faults::Point;
use crate::ipc::{Answer, Incoming, Request, Server};
use crate::outcome::Outcome;
use crate::platform::{LiveFile, ShimChannel, exit_code_on_this_platform};
use crate::spec::Process;
use crate::systems::SystemState;
use system::System;

/// What a shim answers its launcher once it is ready.
pub const READY: &[u8] = b"\0OK\0";

/// Exit code of a shim that crashes: Go's after a panic.
pub const CRASHED: u32 = 2;

/// Arguments of the shim of container `id`, or of a further process in it.
pub fn arguments(id: &str, exec: bool) -> Vec<String> {
    let mut arguments = vec!["shim".to_owned()];
    if exec {
        arguments.push("--exec".to_owned());
    }
    arguments.push(id.to_owned());
    arguments
}

/// Runs a shim. Returns only to end the process.
pub fn serve(context: &Context) -> Outcome {
    let Ok(mut channel) = ShimChannel::take() else {
        return Outcome::exited(1);
    };
    let code = if context.parsed.is_true("exec") {
        exec::serve(context, channel)
    } else {
        match prepare(context, &mut channel) {
            Ok((system, server)) => {
                channel.answer(READY);
                serve_requests(&system, &server)
            }
            Err(failure) => {
                channel.answer(format!("{failure}\n").as_bytes());
                1
            }
        }
    };
    Outcome::exited(code)
}

/// Ends the process with all 32 bits of `code`, as far as the platform has room for them.
fn exit(code: u32) -> ! {
    std::process::exit(exit_code_on_this_platform(code))
}

/// Makes the system, and is ready to be asked.
fn prepare(context: &Context, channel: &mut ShimChannel) -> Result<(Arc<System>, Server), Failure> {
    channel
        .request()
        .map_err(Failure::simulator("reading what create sent"))?;
    let record = context.registry.get(context.id())?;
    let server =
        Server::listen(&record.unique_id).map_err(Failure::simulator("listening for requests"))?;
    let live = create_live_file(context, &record.id)?;
    let system = System::new(context, record, live)?;
    context
        .faults
        .strike(Point::ShimReady, "shim", context.id(), None)?;
    Ok((system, server))
}

/// Takes the system's id; what a killed shim left under it is cleared away first.
fn create_live_file(context: &Context, id: &str) -> Result<LiveFile, Failure> {
    let taken = || Failure::System {
        operation: "hcs::CreateComputeSystem",
        id: id.to_owned(),
        reason: crate::failure::HcsReason::AlreadyExists,
    };
    let path = context.systems.live_file(id);
    let _lock = context
        .systems
        .lock()
        .map_err(Failure::simulator("locking the systems"))?;
    match context.systems.state_locked(id) {
        Ok(None) => {}
        Ok(Some(_)) => return Err(taken()),
        Err(error) => return Err(Failure::simulator("looking at a live file")(error)),
    }
    LiveFile::create(&path, SystemState::Created.as_str()).map_err(|error| {
        if error.kind() == std::io::ErrorKind::AlreadyExists {
            taken()
        } else {
            Failure::simulator("making a live file")(error)
        }
    })
}

/// Serves until the system has ended.
fn serve_requests(system: &Arc<System>, server: &Server) -> u32 {
    system.start_reaping();
    loop {
        // A call that was killed before it had asked is not heard; nor is nonsense.
        let Ok((request, mut incoming)) = server.receive() else {
            continue;
        };
        let answer = match request {
            Request::Start if system.crashes() => crash(system, incoming),
            Request::Start => match start(system) {
                Ok(answer) => answer,
                Err(answer) => {
                    system.end(1);
                    system.leave(1, || {
                        let _ = incoming.answer(&answer);
                    });
                }
            },
            Request::Terminate => {
                let code = system.terminate();
                let _ = incoming.answer(&Answer::Done);
                match code {
                    Some(code) => system.leave(code, || {}),
                    None => continue,
                }
            }
            Request::CreateProcess { process, shim } => {
                create_process(system, &process, shim, incoming);
                continue;
            }
            Request::Processes => Answer::Processes(system.pids()),
            Request::Pause => system.pause(),
            Request::Resume => system.resume(),
            Request::Signal { pid, signal } => system.signal(pid, signal),
            Request::Kill { pid } => system.kill(pid),
            Request::Resize { pid, width, height } => system.resize(pid, width, height),
        };
        let _ = incoming.answer(&answer);
    }
}

/// Starts the system and its init process. An error ends the shim.
fn start(system: &Arc<System>) -> Result<Answer, Answer> {
    if !system.begin() {
        return Ok(Answer::InvalidState);
    }
    let record = system.record();
    if let Err(failure) = system.strike(Point::ProcessStart) {
        return Err(Answer::Injected(failure.to_string()));
    }
    let Some(process) = record.spec.process.clone() else {
        return Ok(Answer::Done);
    };
    let shim = std::process::id();
    match system.spawn(&process, shim, None) {
        Ok(pid) => {
            // The record may be another's by now, or gone; runhcs would give up then, too late
            // for anybody to see.
            let _ = system.registry().change(&record.id, |record| {
                record.init = Some(pid);
                record.processes.insert(shim, pid);
            });
            Ok(Answer::Done)
        }
        Err(text) => Err(Answer::NotMade(text)),
    }
}

/// As v0.12 does: it makes the process, and falls over a logger that is not there.
fn crash(system: &Arc<System>, mut incoming: Incoming) -> ! {
    let _ = start(system);
    system.end(CRASHED);
    let _ = incoming.answer(&Answer::Crashed);
    exit(CRASHED)
}

fn create_process(system: &Arc<System>, process: &Process, shim: u32, mut incoming: Incoming) {
    if !system.is_running() {
        let _ = incoming.answer(&Answer::InvalidState);
        return;
    }
    if let Err((text, mut incoming)) = system.spawn_for(process, shim, incoming) {
        let _ = incoming.answer(&Answer::NotMade(text));
    }
}

/// Whether `container` may still be asked by an exec shim.
fn is_live(container: &Container) -> bool {
    container.system.is_some() && container.record.shim != Some(0)
}
