//! Whether an agent is calm while it cannot get on: what it asks of runhcs and of the API server over some relists,
//! against what its backoff allows. A hot loop is thousands of calls a minute; an agent that waits makes none.

use std::time::Duration;

use chrono::Utc;
use tokio::time::Instant;

use crate::audit::Write;
use crate::node::Node;
use crate::scenario::Scenario;
use crate::{Error, Result};

/// Over how many lists an agent is looked at.
const LISTS: usize = 6;
/// The answer about an object that is gone.
const NOT_FOUND: u16 = 404;
/// Over how many lists an agent that rests does nothing.
const LISTS_AT_REST: usize = 3;
/// What one try of a failed step may cost: the commands of a step with what cleans up after it.
const COMMANDS_PER_TRY: usize = 3;
/// The status and an Event, and once more the status while a step takes long.
const WRITES_PER_TRY: usize = 3;
/// A list when the step has failed, and one when what it left was removed.
const LISTS_PER_TRY: usize = 2;

/// What an agent has asked for in a span of time.
#[derive(Debug)]
pub struct Activity {
    /// The verbs of its calls of runhcs, without lists.
    pub commands: Vec<String>,
    /// How often it listed all containers.
    pub lists: usize,
    /// Its writes.
    pub writes: Vec<Write>,
    /// How long the span was.
    pub took: Duration,
}

impl Scenario {
    /// What the node's agent does over so many lists from now on: what it asked for before does not count, even if it is
    /// answered only now.
    pub async fn activity(&self, node: &Node, lists: usize) -> Result<Activity> {
        let audit = self.audit_from_now();
        let (began, start) = (Utc::now(), Instant::now());
        let before = node.calls()?.len();
        node.relists(lists).await?;
        let took = start.elapsed();
        let (lists, commands): (Vec<String>, Vec<String>) = node
            .calls()?
            .split_off(before)
            .into_iter()
            .partition(|verb| verb == "list");
        let mut writes = audit.writes()?;
        // A Lease is renewed as long as the agent lives, whatever it does.
        let counts = |write: &Write| write.node == node.name() && write.resource != "leases";
        writes.retain(|write| counts(write) && write.received > began);
        Ok(Activity {
            commands,
            lists: lists.len(),
            writes,
            took,
        })
    }

    /// Fails if the node's agent makes a command or a write over three relists from now on. Wait before for the last that
    /// the agent is to say of what was done: it writes the status, then its Events. What it asks of an object that is gone,
    /// not having heard of that yet, writes nothing.
    pub async fn is_at_rest_on(&self, node: &Node) -> Result {
        let mut activity = self.activity(node, LISTS_AT_REST).await?;
        activity.writes.retain(|write| write.code != NOT_FOUND);
        let mut writes = activity.writes.iter();
        let rests = activity.commands.is_empty() && writes.all(is_of_page);
        self.expect(rests, || format!("at rest: {activity:#?}"))
    }

    /// Fails unless the node's agent tries what fails no more often than `objects` objects may that wait at least
    /// `backoff` between two tries.
    pub async fn is_calm_on(&self, node: &Node, objects: usize, backoff: Duration) -> Result {
        let activity = self.activity(node, LISTS).await?;
        // Up to a tenth shorter, by its jitter.
        let tries = activity.took.as_secs_f64() / (backoff.as_secs_f64() * 0.9);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let (tries, seconds) = (
            objects * (tries as usize + 1),
            activity.took.as_secs() as usize,
        );
        let writes = activity.writes.iter();
        let writes = writes.filter(|write| !is_of_page(write)).count();
        let calm = activity.commands.len() <= tries * COMMANDS_PER_TRY
            && writes <= tries * WRITES_PER_TRY
            && activity.lists <= seconds + tries * LISTS_PER_TRY + 2;
        self.expect(calm, || {
            format!("calm, {tries} tries allowed: {activity:#?}")
        })
    }

    fn expect(&self, so: bool, what: impl FnOnce() -> String) -> Result {
        if so {
            return Ok(());
        }
        Err(Error::Unexpected {
            what: what(),
            evidence: self.evidence(),
        })
    }
}

/// The node's page follows its objects and the sweeps at a pace of its own; `scenarios/nodes.rs` holds against it what
/// it writes at rest.
fn is_of_page(write: &Write) -> bool {
    write.resource == "hcsnodes"
}
