//! From the facts to the status: pure, so that the same node always reads the same.

use std::io;

use hcs_crds::conditions::{DISK_PRESSURE, READY, RUNTIME_RESPONSIVE, STALLED};
use hcs_crds::{
    Capability, Condition, ContainerCounts, HcsNode, HcsNodeStatus, Inventory, Reason, RunhcsInfo,
    whole_seconds,
};
use jiff::Timestamp;

use super::disk::{DiskLimits, Room};
use crate::agent::relist::Health;

/// What an agent knows of its node.
#[derive(Debug)]
pub struct Facts {
    /// The node's runhcs.
    pub runhcs: RunhcsInfo,
    /// The system's version.
    pub os_build: Option<String>,
    /// The boot that the agent runs in.
    pub boot_id: String,
    /// What the node can do.
    pub capabilities: Vec<Capability>,
    /// Why no container can run here whatever its spec says.
    pub defect: Option<String>,
    /// The node's objects.
    pub containers: ContainerCounts,
    /// What belongs to none of them.
    pub inventory: Inventory,
    /// Whether runhcs answers.
    pub health: Health,
    /// Room on the disk.
    pub room: io::Result<Room>,
    /// How much there should be.
    pub limits: DiskLimits,
    /// The time of day.
    pub now: Timestamp,
}

/// The status that says it, with the transition times of `previous` where nothing has changed.
pub fn of(facts: &Facts, previous: Option<&HcsNode>) -> HcsNodeStatus {
    // Without a spec the generation never changes.
    let generation = previous.and_then(|object| object.metadata.generation);
    let generation = generation.unwrap_or(1);
    HcsNodeStatus {
        observed_generation: generation,
        agent_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        runhcs: facts.runhcs.clone(),
        os_build: facts.os_build.clone(),
        boot_id: Some(facts.boot_id.clone()),
        capabilities: facts.capabilities.clone(),
        containers: facts.containers.clone(),
        inventory: facts.inventory.clone(),
        conditions: conditions(facts, generation, previous),
    }
}

fn conditions(facts: &Facts, generation: i64, previous: Option<&HcsNode>) -> Vec<Condition> {
    let before = previous.and_then(|object| object.status.as_ref());
    let before = before.map_or(&[][..], |status| &status.conditions);
    let find = |type_: &str| before.iter().find(|condition| condition.type_ == type_);
    let make = |type_: &str, status: Option<bool>, reason: Reason, message: &str| {
        let status = match status {
            Some(true) => "True",
            Some(false) => "False",
            None => "Unknown",
        };
        let same = find(type_).filter(|condition| condition.status == status);
        let now = || whole_seconds(facts.now);
        Condition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            reason: reason.as_str().to_owned(),
            message: message.to_owned(),
            observed_generation: Some(generation),
            last_transition_time: same.map_or_else(now, |c| c.last_transition_time.clone()),
        }
    };
    let (responds, reason, message) = responsive(&facts.health);
    let (ready, why, text) = match &facts.defect {
        Some(defect) if responds => (false, Reason::Unsupported, defect.as_str()),
        _ if responds => {
            let text = "the agent is at work, and runhcs answers";
            (true, Reason::AgentReady, text)
        }
        _ => (false, reason, message),
    };
    let mut conditions = vec![
        make(READY, Some(ready), why, text),
        make(RUNTIME_RESPONSIVE, Some(responds), reason, message),
    ];
    let short = find(DISK_PRESSURE).is_some_and(|condition| condition.status == "True");
    let (pressure, reason, message) = facts.limits.judge(&facts.room, short);
    conditions.push(make(DISK_PRESSURE, pressure, reason, &message));
    if needs_a_person(why) {
        conditions.push(make(STALLED, Some(true), why, text));
    }
    conditions
}

fn responsive(health: &Health) -> (bool, Reason, &str) {
    match health {
        Health::Fails { reason, message } => (false, *reason, message),
        // Nothing is written before the first list.
        Health::Responds | Health::Unknown => (true, Reason::RuntimeResponds, "runhcs answers"),
    }
}

/// What does not go away by itself (kstatus reads it as failed).
fn needs_a_person(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::RuntimeMissing | Reason::RuntimeBadOutput | Reason::Unsupported
    )
}
