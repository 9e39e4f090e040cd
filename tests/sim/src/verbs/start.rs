//! `start`: lets the shim run the init process.

use crate::container::{Container, Status};
use crate::context::Context;
use crate::failure::{CannotStart, Failure, HcsReason};
use crate::faults::Point;
use crate::ipc::{Answer, Connection, Request};
use crate::outcome::Outcome;
use crate::registry::Record;
use crate::shim;
use crate::spec::Process;

/// Starts a created container.
pub fn run(context: &Context) -> Result<Outcome, Failure> {
    let container = Container::get(&context.registry, &context.systems, context.id())?;
    match container.status() {
        Status::Created => {}
        Status::Stopped => return Err(Failure::CannotStart(CannotStart::Stopped)),
        Status::Running => return Err(Failure::CannotStart(CannotStart::Running)),
        Status::Paused => return Err(Failure::CannotStart(CannotStart::Paused)),
    }
    context.at(Point::BeforeEffect)?;
    start(context, &container.record)?;
    context.at(Point::AfterEffect)?;
    Ok(Outcome::silent())
}

/// Starts the container of a record, which is in the state created.
pub fn start(context: &Context, record: &Record) -> Result<(), Failure> {
    let mut connection = Connection::open(&record.unique_id).map_err(|_| Failure::File {
        operation: "open",
        path: format!(
            r"\\.\pipe\ProtectedPrefix\Administrators\runhcs-shim-{}",
            record.unique_id
        )
        .into(),
        reason: "The system cannot find the file specified.".to_owned(),
    })?;
    match connection.ask(&Request::Start) {
        Ok(Answer::NotMade(reason)) => {
            let process = record.spec.process.as_ref();
            let command_line = process.map(Process::shown_command_line).unwrap_or_default();
            let (id, reason) = (record.id.clone(), HcsReason::Process(reason));
            let failure = Failure::CreateProcess {
                command_line,
                id,
                reason,
            };
            Err(Failure::Shim(format!("{failure}\n")))
        }
        Ok(Answer::Injected(text)) => Err(Failure::Shim(format!("{text}\n"))),
        Ok(Answer::Crashed) => Err(Failure::SilentShim(shim::CRASHED)),
        Ok(Answer::InvalidState) => Err(Failure::System {
            operation: "hcs::System::Start",
            id: record.id.clone(),
            reason: HcsReason::InvalidState,
        }),
        Ok(_) => Ok(()),
        Err(_) => Err(Failure::SilentShim(1)),
    }
    .and_then(|()| match context.registry.get(&record.id) {
        // Made by a `create` that died before it knew its shim: runhcs starts it, and then asks
        // for a handle of process -1.
        Ok(now) if now.shim.is_none() => Err(Failure::OpenProcess),
        _ => Ok(()),
    })
}
