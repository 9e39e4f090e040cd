//! Scenarios that only a simulated runhcs can play: it is told to be slow, to hang, to fail, to die, to print garbage
//! and to be away. With the real runhcs they are skipped, by this module's name.
#![cfg(test)]

mod broken_releases;
mod command_line;
mod console;
mod fault_points;
mod foreign;
mod hung;
mod list_fails;
mod load;
mod missing_runtime;
mod nodes;
mod refusals;
mod scratch;
mod slow_shutdown;
mod spec_changes;
mod surroundings;

use std::path::PathBuf;

use hcs_tests::Node;
use runhcs_sim::{Action, Fault, Point};

/// A call that never ends.
pub fn hangs(verb: &str) -> Fault {
    Fault::new(verb, Point::Begin, Action::Hang)
}

/// A call that fails as nothing else does.
pub fn fails(verb: &str, point: Point) -> Fault {
    let action = Action::Fail {
        exit_code: 1,
        stderr: "the moon is in the wrong phase".to_owned(),
    };
    Fault::new(verb, point, action)
}

/// A call that is killed.
fn dies(verb: &str, point: Point) -> Fault {
    Fault::new(verb, point, Action::Die)
}

/// Calls that go on once they are let go.
pub struct Gate(PathBuf);

impl Gate {
    /// A closed one.
    pub fn on(node: &Node) -> Self {
        Self(node.dir().join("gate"))
    }

    /// A call that waits there.
    pub fn holds(&self, node: &Node, verb: &str, point: Point) -> Fault {
        let until = node.path(&self.0).into();
        Fault::new(verb, point, Action::Hold { until })
    }

    /// Lets all calls go.
    pub fn open(&self) {
        std::fs::write(&self.0, "").unwrap();
    }
}
