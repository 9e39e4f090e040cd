//! A container as a verb finds it: its record, and whether its system lives.

use crate::failure::Failure;
use crate::registry::{Record, Registry};
use crate::systems::{SystemState, Systems};

/// What `list` and `state` call a container's condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Made, not started.
    Created,
    /// Started, not ended.
    Running,
    /// Held.
    Paused,
    /// No system, or no shim.
    Stopped,
}

impl Status {
    /// The word that is printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        }
    }
}

/// A record and the state of its system.
#[derive(Debug)]
pub struct Container {
    /// The record.
    pub record: Record,
    /// State of the system; `None` if there is none.
    pub system: Option<SystemState>,
}

impl Container {
    /// Finds a container, stopped or not.
    pub fn get(registry: &Registry, systems: &Systems, id: &str) -> Result<Self, Failure> {
        let record = registry.get(id)?;
        let system = systems
            .state(&record.id)
            .map_err(Failure::simulator("looking at a live file"))?;
        Ok(Self { record, system })
    }

    /// Finds a container that has a system and a shim.
    pub fn get_live(registry: &Registry, systems: &Systems, id: &str) -> Result<Self, Failure> {
        let container = Self::get(registry, systems, id)?;
        if container.record.shim == Some(0) || container.system.is_none() {
            return Err(Failure::Stopped);
        }
        Ok(container)
    }

    /// Its status.
    pub fn status(&self) -> Status {
        status(self.record.shim, self.system)
    }
}

/// Status of a container whose record names this shim and whose system is in this state.
pub fn status(shim: Option<i64>, system: Option<SystemState>) -> Status {
    if shim == Some(0) {
        return Status::Stopped;
    }
    match system {
        None | Some(SystemState::Stopped) => Status::Stopped,
        Some(SystemState::Created) => Status::Created,
        Some(SystemState::Running) => Status::Running,
        Some(SystemState::Paused) => Status::Paused,
    }
}
