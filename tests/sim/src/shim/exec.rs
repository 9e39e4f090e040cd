//! The shim of a further process: the container's shim makes it, this one stands for it.

use crate::container::Container;
use crate::context::Context;
use crate::failure::Failure;
use crate::faults::Point;
use crate::ipc::{Answer, Connection, Request};
use crate::platform::ShimChannel;
use crate::spec::Process;

use super::{READY, is_live};

/// Exit code of a process whose container went away under it.
const CONTAINER_GONE: u32 = 1067;

/// Has the process made, answers the launcher, waits for the end; returns the exit code.
pub fn serve(context: &Context, mut channel: ShimChannel) -> u32 {
    let made = make(context, &mut channel);
    let mut connection = match made {
        Ok(connection) => connection,
        Err(failure) => {
            channel.answer(format!("{failure}\n").as_bytes());
            return 1;
        }
    };
    channel.answer(READY);
    let code = match connection.answer() {
        Ok(Answer::Exited { code }) => code,
        _ => CONTAINER_GONE,
    };
    let _ = context.registry.change(context.id(), |record| {
        record.processes.remove(&std::process::id());
    });
    code
}

fn make(context: &Context, channel: &mut ShimChannel) -> Result<Connection, Failure> {
    let text = channel
        .request()
        .map_err(Failure::simulator("reading what exec sent"))?;
    let process: Process = serde_json::from_slice(&text)
        .map_err(|error| Failure::simulator("reading what exec sent")(error.into()))?;
    let container = Container::get(&context.registry, &context.systems, context.id())?;
    if !is_live(&container) {
        return Err(Failure::Stopped);
    }
    context
        .faults
        .strike(Point::ProcessStart, "exec-shim", context.id(), None)?;
    let shim = std::process::id();
    let command_line = process.shown_command_line();
    let mut connection =
        Connection::open(&container.record.unique_id).map_err(|_| Failure::Stopped)?;
    let request = Request::CreateProcess { process, shim };
    let pid = match connection.ask(&request).map_err(|_| Failure::Stopped)? {
        Answer::Made { pid } => pid,
        refused => {
            let (id, reason) = (container.record.id, refused.reason());
            return Err(Failure::CreateProcess {
                command_line,
                id,
                reason,
            });
        }
    };
    context.registry.change(context.id(), |record| {
        record.processes.insert(shim, pid);
    })?;
    Ok(connection)
}
