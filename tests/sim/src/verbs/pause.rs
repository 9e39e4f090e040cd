//! `pause` and `resume`.

use crate::container::{Container, Status};
use crate::context::{Context, ask_shim};
use crate::failure::{Failure, HcsReason};
use crate::faults::Point;
use crate::ipc::Request;
use crate::node::PauseProcessIsolation;
use crate::outcome::Outcome;

/// Holds all processes of a container.
pub fn pause(context: &Context) -> Result<Outcome, Failure> {
    let container = Container::get_live(&context.registry, &context.systems, context.id())?;
    let refuse = context.settings.pause_process_isolation == PauseProcessIsolation::Refuse;
    let isolated = container.record.host_id.is_empty();
    if refuse && isolated && container.status() == Status::Running {
        return Err(Failure::System {
            operation: "hcs::System::Pause",
            id: container.record.id,
            reason: HcsReason::NotSupported,
        });
    }
    change(context, &container, "hcs::System::Pause", &Request::Pause)
}

/// Lets all processes of a container go on.
pub fn resume(context: &Context) -> Result<Outcome, Failure> {
    let container = Container::get_live(&context.registry, &context.systems, context.id())?;
    change(context, &container, "hcs::System::Resume", &Request::Resume)
}

fn change(
    context: &Context,
    container: &Container,
    operation: &'static str,
    request: &Request,
) -> Result<Outcome, Failure> {
    context.at(Point::BeforeEffect)?;
    ask_shim(&container.record, operation, request)?;
    context.at(Point::AfterEffect)?;
    Ok(Outcome::silent())
}
