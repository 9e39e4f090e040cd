//! Compute systems: what the Host Compute Service knows of, whichever root a container is in.
//!
//! A system lives as long as its shim holds its live file. Beside it lies a mirror, written by the
//! shim at each change, for tests and people to look into; nothing here is decided by it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::names;
use crate::node::Node;
use crate::platform::{self, Liveness};

/// State of a system that lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SystemState {
    /// Made, nothing runs.
    Created,
    /// Its init process was started; it may have ended, while the system shuts down.
    Running,
    /// Its processes stand still.
    Paused,
    /// It has ended.
    Stopped,
}

impl SystemState {
    /// The text in live files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        }
    }

    fn from_text(text: &str) -> Option<Self> {
        [Self::Created, Self::Running, Self::Paused, Self::Stopped]
            .into_iter()
            .find(|state| state.as_str() == text)
    }
}

/// A terminal's size in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalSize {
    /// Columns.
    pub width: u32,
    /// Lines.
    pub height: u32,
}

/// One process of a system, in its mirror.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MirrorProcess {
    /// Its pid.
    pub pid: u32,
    /// Pid of the shim that stands for it.
    pub shim: u32,
    /// What runs.
    pub args: Vec<String>,
    /// Whether it was asked to have a terminal.
    pub terminal: bool,
    /// The terminal's size: `consoleSize` first, then what `resize-tty` said last.
    pub size: Option<TerminalSize>,
    /// Signals that it was sent.
    pub signals: Vec<String>,
    /// All 32 bits of its exit code, once it has ended.
    pub exit_code: Option<u32>,
}

/// What a shim says of its system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mirror {
    /// Id of the container.
    pub id: String,
    /// Its unique id.
    pub unique_id: String,
    /// The shim's pid.
    pub shim: u32,
    /// State of the system.
    pub state: SystemState,
    /// Processes made for runhcs: init first.
    pub processes: Vec<MirrorProcess>,
    /// All 32 bits of the exit code that the shim is about to end with.
    pub shim_exit_code: Option<u32>,
}

/// The systems of a node.
#[derive(Debug, Clone)]
pub struct Systems {
    folder: PathBuf,
}

impl Systems {
    /// The systems of `node`.
    pub fn open(node: &Node) -> Self {
        Self {
            folder: node.systems(),
        }
    }

    /// The live file of a system.
    pub fn live_file(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{}.live", names::file_name(id)))
    }

    /// The mirror of a system; it stays when the system has gone.
    pub fn mirror_file(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{}.json", names::file_name(id)))
    }

    /// State of the system, `None` if there is none (any more).
    pub fn state(&self, id: &str) -> io::Result<Option<SystemState>> {
        match platform::liveness(&self.live_file(id))? {
            Liveness::Live(text) => Ok(SystemState::from_text(&text)),
            Liveness::Absent => Ok(None),
            Liveness::Dead => {
                self.bury(&[id.to_owned()]);
                Ok(None)
            }
        }
    }

    /// Keeps systems from being made and buried until dropped.
    pub fn lock(&self) -> io::Result<File> {
        let path = self.folder.join("lock");
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)?;
        file.lock()?;
        Ok(file)
    }

    /// As [`Systems::state`], for who holds the lock.
    pub fn state_locked(&self, id: &str) -> io::Result<Option<SystemState>> {
        match platform::liveness(&self.live_file(id))? {
            Liveness::Live(text) => Ok(SystemState::from_text(&text)),
            Liveness::Absent => Ok(None),
            Liveness::Dead => {
                self.bury_locked(&[id]);
                Ok(None)
            }
        }
    }

    /// As [`Systems::state`] for many: what killed shims left is sought once for all.
    pub fn states<'a>(
        &self,
        ids: impl Iterator<Item = &'a str>,
    ) -> Vec<io::Result<Option<SystemState>>> {
        let mut dead = Vec::new();
        let states = ids
            .map(|id| match platform::liveness(&self.live_file(id))? {
                Liveness::Live(text) => Ok(SystemState::from_text(&text)),
                Liveness::Absent => Ok(None),
                Liveness::Dead => {
                    dead.push(id.to_owned());
                    Ok(None)
                }
            })
            .collect();
        self.bury(&dead);
        states
    }

    /// Unique ids of all systems that a mirror is left of.
    pub fn unique_ids(&self) -> io::Result<BTreeSet<String>> {
        let mut ids = BTreeSet::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                let mirror: Mirror = serde_json::from_slice(&platform::read(&path)?)?;
                ids.insert(mirror.unique_id);
            }
        }
        Ok(ids)
    }

    /// The mirror of a system, if it ever had one.
    pub fn mirror(&self, id: &str) -> io::Result<Option<Mirror>> {
        match platform::read(&self.mirror_file(id)) {
            Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Ends what the processes of killed shims have left running, and forgets the systems.
    ///
    /// The kernel ended the shims' own children; this is for their children.
    fn bury(&self, dead: &[String]) {
        if dead.is_empty() {
            return;
        }
        let Ok(_lock) = self.lock() else { return };
        // Another may have been quicker, and a third have made a new one since.
        let dead: Vec<&str> = dead
            .iter()
            .filter(|id| matches!(platform::liveness(&self.live_file(id)), Ok(Liveness::Dead)))
            .map(String::as_str)
            .collect();
        self.bury_locked(&dead);
    }

    fn bury_locked(&self, dead: &[&str]) {
        let left: BTreeSet<String> = dead
            .iter()
            .filter_map(|id| self.mirror(id).ok().flatten())
            .map(|mirror| mirror.unique_id)
            .collect();
        platform::kill_processes_of_systems(&left);
        for id in dead {
            let _ = fs::remove_file(self.live_file(id));
        }
    }
}
