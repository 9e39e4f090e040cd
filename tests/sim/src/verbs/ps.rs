//! `ps`: the pids of a container's live processes.

use crate::container::Container;
use crate::context::{Context, ask_shim};
use crate::failure::Failure;
use crate::go_json::to_line;
use crate::ipc::{Answer, Request};
use crate::outcome::Outcome;

/// Prints the pids, `null` if there are none.
pub fn run(context: &Context) -> Result<Outcome, Failure> {
    let container = Container::get_live(&context.registry, &context.systems, context.id())?;
    let answer = ask_shim(
        &container.record,
        "hcs::System::Properties",
        &Request::Processes,
    )?;
    let pids = if let Answer::Processes(pids) = answer {
        pids
    } else {
        Vec::new()
    };
    if context.parsed.value("format").unwrap_or("json") != "json" {
        return Err(Failure::InvalidFormat);
    }
    let text = if pids.is_empty() {
        Ok(b"null\n".to_vec())
    } else {
        to_line(&pids)
    };
    text.map(Outcome::printed)
        .map_err(|error| Failure::simulator("printing pids")(error.into()))
}
