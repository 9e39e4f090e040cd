//! `list`: all containers of a root, as a table, as JSON, or their ids.

use std::fmt::Write as _;

use crate::container::status;
use crate::context::Context;
use crate::failure::Failure;
use crate::go_json::to_line;
use crate::outcome::Outcome;
use crate::tabwriter::align;

use super::state::ContainerState;

/// Prints all containers.
pub fn run(context: &Context) -> Result<Outcome, Failure> {
    let records = context
        .registry
        .list()
        .map_err(Failure::simulator("reading records"))?;
    let systems = context
        .systems
        .states(records.iter().map(|record| record.id.as_str()));
    let mut states = Vec::with_capacity(records.len());
    for (record, system) in records.iter().zip(systems) {
        let system = system.map_err(Failure::simulator("looking at a live file"))?;
        states.push(ContainerState::new(record, status(record.shim, system)));
    }
    if context.parsed.is_true("quiet") {
        let mut lines = String::new();
        for state in &states {
            lines.push_str(state.id);
            lines.push('\n');
        }
        return Ok(Outcome::printed(lines));
    }
    match context.parsed.value("format").unwrap_or("table") {
        "table" => Ok(Outcome::printed(table(&states))),
        "json" => {
            // A list without elements is a null slice in Go.
            let text = if states.is_empty() {
                Ok(b"null\n".to_vec())
            } else {
                to_line(&states)
            };
            text.map(Outcome::printed)
                .map_err(|error| Failure::simulator("printing containers")(error.into()))
        }
        _ => Err(Failure::InvalidFormat),
    }
}

fn table(states: &[ContainerState]) -> String {
    let mut text = String::from("ID\tPID\tSTATUS\tBUNDLE\tCREATED\tOWNER\n");
    for state in states {
        let ContainerState {
            id,
            pid,
            status,
            bundle,
            created,
            owner,
            ..
        } = state;
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{id}\t{pid}\t{status}\t{bundle}\t{created}\t{owner}");
    }
    align(&text, 12, 3)
}
