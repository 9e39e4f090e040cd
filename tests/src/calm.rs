//! Whether an agent is calm while it cannot get on: what it asks of runhcs and of the API server over some relists,
//! against what its backoff allows. A hot loop is thousands of calls a minute; an agent that waits makes none.

use std::time::Duration;

use tokio::time::Instant;

use crate::audit::Write;
use crate::node::Node;
use crate::scenario::Scenario;
use crate::{Error, Result};

/// Over how many lists an agent is looked at.
const LISTS: usize = 6;
/// In so many spans an agent must have come to rest.
const SPANS_UNTIL_REST: usize = 3;
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
    /// What the node's agent does over so many lists.
    pub async fn activity(&self, node: &Node, lists: usize) -> Result<Activity> {
        let audit = self.audit_from_now();
        let before = node.calls()?.len();
        let start = Instant::now();
        node.relists(lists).await?;
        let took = start.elapsed();
        let (lists, commands): (Vec<String>, Vec<String>) = node
            .calls()?
            .split_off(before)
            .into_iter()
            .partition(|verb| verb == "list");
        let mut writes = audit.writes()?;
        writes.retain(|write| write.node == node.name());
        Ok(Activity {
            commands,
            lists: lists.len(),
            writes,
            took,
        })
    }

    /// Fails unless the node's agent comes to make no command and no write over three relists. What belongs to the
    /// state that a scenario has just seen, such as its Event, may still follow: that is not held against it.
    pub async fn is_at_rest_on(&self, node: &Node) -> Result {
        let mut seen = Vec::new();
        for _ in 0..SPANS_UNTIL_REST {
            let activity = self.activity(node, 3).await?;
            if activity.commands.is_empty() && activity.writes.is_empty() {
                return Ok(());
            }
            seen.push(activity);
        }
        self.expect(false, || format!("at rest: {seen:#?}"))
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
        let calm = activity.commands.len() <= tries * COMMANDS_PER_TRY
            && activity.writes.len() <= tries * WRITES_PER_TRY
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
