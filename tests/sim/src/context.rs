//! What every verb works with.

use crate::calls::Call;
use crate::cli::flags::Parsed;
use crate::failure::Failure;
use crate::faults::{Faults, Point};
use crate::ipc::{Answer, Connection, Request};
use crate::node::{Node, Settings};
use crate::registry::{Record, Registry};
use crate::systems::Systems;

/// One call, its flags taken apart.
pub struct Context {
    /// The node.
    pub node: Node,
    /// Its settings.
    pub settings: Settings,
    /// The records of `--root`.
    pub registry: Registry,
    /// The node's systems.
    pub systems: Systems,
    /// The node's faults.
    pub faults: Faults,
    /// The account of this call.
    pub call: Call,
    /// Value of `--owner`.
    pub owner: String,
    /// The verb's flags and arguments.
    pub parsed: Parsed,
}

impl Context {
    /// The first argument: the id, for most verbs.
    pub fn id(&self) -> &str {
        self.parsed.args.first().map_or("", String::as_str)
    }

    /// Lets the faults for this point strike.
    pub fn at(&self, point: Point) -> Result<(), Failure> {
        self.faults
            .strike(point, &self.call.verb, &self.call.id, Some(&self.call))
    }
}

/// Asks a container's shim; `operation` is what hcsshim calls it.
///
/// A shim that has ended since the record was read is as good as one that had ended before.
pub fn ask_shim(
    record: &Record,
    operation: &'static str,
    request: &Request,
) -> Result<Answer, Failure> {
    let answer = Connection::open(&record.unique_id)
        .and_then(|mut connection| connection.ask(request))
        .map_err(|_| Failure::Stopped)?;
    match answer {
        Answer::Done | Answer::Processes(_) | Answer::Made { .. } | Answer::Exited { .. } => {
            Ok(answer)
        }
        refused => Err(Failure::System {
            operation,
            id: record.id.clone(),
            reason: refused.reason(),
        }),
    }
}
