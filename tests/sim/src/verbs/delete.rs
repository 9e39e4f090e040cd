//! `delete`: ends a container, if allowed, and forgets it. Its layers stay mounted.

use crate::container::{Container, Status};
use crate::context::Context;
use crate::failure::Failure;
use crate::faults::Point;
use crate::ipc::{Connection, Request};
use crate::outcome::Outcome;

/// Deletes a container.
pub fn run(context: &Context) -> Result<Outcome, Failure> {
    let container = Container::get(&context.registry, &context.systems, context.id())?;
    let status = container.status();
    let kill = match status {
        Status::Stopped => false,
        Status::Created => true,
        Status::Running | Status::Paused if context.parsed.is_true("force") => true,
        other => {
            let (id, status) = (context.id().to_owned(), other.as_str());
            return Err(Failure::CannotDelete { id, status });
        }
    };
    context.at(Point::BeforeEffect)?;
    if kill {
        // A shim that has ended meanwhile has ended its container.
        let _ = Connection::open(&container.record.unique_id)
            .and_then(|mut connection| connection.ask(&Request::Terminate));
    }
    context.registry.remove(context.id())?;
    context.at(Point::AfterEffect)?;
    Ok(Outcome::silent())
}
