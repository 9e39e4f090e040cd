//! What the node's runhcs can do, found out by asking it rather than by its version.
//!
//! Versions of runhcs are known whose `create` or `start` never works, while `list` does. Before
//! the first container, a `create` of a bundle whose layers are not there shows how far it gets:
//! a runhcs that works fails at the layers, and leaves nothing. What no harmless call tells is
//! learned from the calls that containers need anyhow.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hcs_crds::Reason;
use runhcs::{CreateOpts, DeleteOpts, ErrorKind, Help, Runhcs};
use serde_json::json;
use tokio::sync::watch;

use super::context::Context;
use super::disk;
use super::runtime::{Call, CallError, Reply, Runtime, end_of};

mod pausing;

use pausing::Notes;
pub use pausing::Pausing;

/// The container that is never made. Its form is not that of an agent's container.
pub const PROBE_ID: &str = "hcs-operator-probe";
/// Deadline of each call of the probe, if the client's own is longer.
const DEADLINE: Duration = Duration::from_secs(30);
/// How much of what runhcs says is kept, in bytes.
const SAID: usize = 512;
/// What to do about a runhcs that cannot work; `docs/windows.md` has the whole of it.
const REMEDY: &str = "install runhcs v0.11.7 on the node, see docs/windows.md of hcs-operator";

/// Why a runhcs cannot do something, whatever it is asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Defect {
    /// hcsshim v0.13.0 and later: `create` hands on no layers.
    #[error("the node's runhcs cannot create any container, as v0.13.0 and later: {REMEDY}")]
    NoLayersHandedOn,
    /// hcsshim v0.12.0 to v0.12.9: the shim crashes as soon as its process runs.
    #[error("the node's runhcs cannot start any container, as v0.12: {REMEDY}")]
    ShimCrashes,
    /// A verb that the agent needs is not there.
    #[error("the node's runhcs has no {verb}: {REMEDY}")]
    NoVerb {
        /// The verb.
        verb: &'static str,
    },
    /// A flag that the agent needs is not there.
    #[error("the node's runhcs does not take the flags of {verb}: {REMEDY}")]
    NoFlag {
        /// The verb.
        verb: &'static str,
    },
}

impl Defect {
    /// The defect that runhcs' words show, if they do.
    pub fn shown_by(said: &str) -> Option<Self> {
        if said.contains("invalid layer type <nil>") {
            Some(Self::NoLayersHandedOn)
        } else if said.contains("unknown shim failure, exit code 2") {
            Some(Self::ShimCrashes)
        } else {
            None
        }
    }
}

/// The reason of a failure: Unsupported where what runhcs said shows that no try can succeed.
pub fn unsupported_or(otherwise: Reason, said: Option<&str>) -> Reason {
    match said.and_then(Defect::shown_by) {
        Some(_) => Reason::Unsupported,
        None => otherwise,
    }
}

/// Whether runhcs can do something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Ability {
    /// It was not asked yet, or its answer does not tell.
    #[default]
    Unknown,
    /// As far as it was asked.
    Works,
    /// It cannot.
    Broken(Defect),
}

/// What the node's runhcs can do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Whether it was asked at all.
    pub probed: bool,
    /// What it prints as its version, which is the OCI specification's: `spec: 1.0.2-dev`.
    pub version: Option<String>,
    /// Whether it makes containers.
    pub create: Ability,
    /// Whether it starts them; known from the first start on.
    pub start: Ability,
    /// Whether it makes scratch disks.
    pub create_scratch: Ability,
    /// Whether `create-scratch` takes `--use-virtual-memory`; none if it was not answered.
    pub virtual_memory: Option<bool>,
    /// Whether Windows pauses containers with process isolation; known from the first try on.
    pub pausing: Pausing,
    /// What it said where its answer does not tell, for a person.
    pub unclear: Option<String>,
}

impl Capabilities {
    /// What keeps every container of the node from running.
    pub fn defect(&self) -> Option<&Defect> {
        [&self.create, &self.start]
            .into_iter()
            .find_map(|ability| match ability {
                Ability::Broken(defect) => Some(defect),
                _ => None,
            })
    }

    fn learn(&mut self, call: &Call, result: &Result<Reply, CallError>) {
        let ability = match call {
            Call::Create { .. } => &mut self.create,
            Call::Start(_) => &mut self.start,
            _ => return,
        };
        match result {
            Ok(_) => *ability = Ability::Works,
            Err(error) => {
                if let Some(defect) = Defect::shown_by(&error.message) {
                    *ability = Ability::Broken(defect);
                }
            }
        }
    }
}

/// What is known so far, to read and to wait for.
#[derive(Debug, Default)]
pub struct Known {
    now: watch::Sender<Capabilities>,
    notes: Notes,
    pause_tried: AtomicBool,
}

impl Known {
    /// What a node's agent knows, with what earlier ones noted in its data folder in this boot.
    pub fn of(data: &Path, boot_id: &str) -> Self {
        Self {
            notes: Notes::of(data, boot_id),
            ..Self::default()
        }
    }

    /// What is known, and what comes to be.
    pub fn subscribe(&self) -> watch::Receiver<Capabilities> {
        self.now.subscribe()
    }

    /// Whether the first probe is through.
    pub fn is_probed(&self) -> bool {
        self.now.borrow().probed
    }

    /// Whether a pause of process isolation is still to be tried; said yes to only once, whatever comes of it.
    pub fn may_try_to_pause(&self) -> bool {
        let open = {
            let known = self.now.borrow();
            known.probed && known.pausing == Pausing::NotTried
        };
        open && !self.pause_tried.swap(true, Ordering::Relaxed)
    }

    /// Takes in how that try went.
    pub fn learn_pausing(&self, told: Pausing) {
        self.change(|known| known.pausing = told);
        let known = self.now.borrow();
        self.notes.write(known.version.as_ref(), &known.pausing);
    }

    /// Takes in how a container's own call went.
    pub fn learn(&self, call: &Call, result: &Result<Reply, CallError>) {
        self.change(|known| known.learn(call, result));
    }

    /// Takes in a probe. Starts are not probed: what is known of them stays for the same runhcs.
    fn found(&self, mut found: Capabilities) {
        found.probed = true;
        found.pausing = self.notes.read(found.version.as_ref());
        self.change(|known| {
            if known.version == found.version {
                found.start = known.start.clone();
                if found.pausing == Pausing::NotTried {
                    found.pausing = known.pausing.clone();
                }
            }
            *known = found;
        });
    }

    fn change(&self, change: impl FnOnce(&mut Capabilities)) {
        self.now.send_if_modified(|known| {
            let before = known.clone();
            change(known);
            let changed = *known != before;
            if changed {
                log(known);
            }
            changed
        });
    }
}

fn log(known: &Capabilities) {
    let version = known.version.as_deref().unwrap_or_default();
    if let Some(defect) = known.defect() {
        tracing::error!(version, "{defect}");
    } else {
        let unclear = known.unclear.as_deref().unwrap_or_default();
        tracing::info!(version, create = ?known.create, start = ?known.start, unclear, "what runhcs can do");
    }
}

/// Probes at start, and again at the interval as long as it cannot be said that `create` works.
pub async fn keep<R: Runtime>(ctx: Arc<Context<R>>, interval: Duration) {
    let folder = ctx.data.join("probe");
    let mut known = ctx.capabilities.subscribe();
    loop {
        ctx.capabilities.found(ctx.runtime.probe(&folder).await);
        let doubt = known.wait_for(|known| known.create != Ability::Works);
        if doubt.await.is_err() {
            return;
        }
        tokio::time::sleep(interval).await;
    }
}

/// Asks runhcs what it can do. `folder` is made for the time of the probe; no container is.
pub async fn probe(client: &Runhcs, folder: &Path) -> Capabilities {
    let client = Runhcs {
        timeout: Some(client.timeout.map_or(DEADLINE, |own| own.min(DEADLINE))),
        ..client.clone()
    };
    let help = match client.help(None).await {
        Ok(help) => help,
        Err(error) => return unclear(&error),
    };
    let scratch = client.help(Some("create-scratch")).await.ok();
    let create = match write_bundle(folder) {
        Ok(()) => create(&client, folder).await,
        Err(error) => Err(format!("failed to write to {}: {error}", folder.display())),
    };
    let _ = disk::remove_folder(folder);
    judge(&help, scratch.as_ref(), create)
}

fn unclear(error: &runhcs::Error) -> Capabilities {
    Capabilities {
        unclear: Some(words(error)),
        ..Capabilities::default()
    }
}

fn judge(help: &Help, scratch: Option<&Help>, create: Result<Ability, String>) -> Capabilities {
    let verb = |verb| (!help.has_verb(verb)).then_some(Defect::NoVerb { verb });
    let needed = ["create", "start", "kill", "delete", "list", "ps"];
    let missing = needed.into_iter().find_map(verb).map(Ability::Broken);
    let (create, unclear) = match (missing, create) {
        (Some(broken), _) => (broken, None),
        (None, Ok(ability)) => (ability, None),
        (None, Err(said)) => (Ability::Unknown, Some(said)),
    };
    let virtual_memory = scratch.map(|help| help.has_flag("--use-virtual-memory"));
    Capabilities {
        probed: true,
        version: help.version.clone(),
        create,
        start: Ability::Unknown,
        create_scratch: verb("create-scratch").map_or(Ability::Works, Ability::Broken),
        virtual_memory,
        pausing: Pausing::NotTried,
        unclear,
    }
}

/// A bundle that is all right but for its layers, which are not there.
fn write_bundle(folder: &Path) -> io::Result<()> {
    let layer = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let config = json!({
        "ociVersion": "1.0.2",
        "process": {"args": ["cmd.exe"], "cwd": r"C:\"},
        "windows": {"layerFolders": [layer("no-base"), layer("no-scratch")]},
    });
    disk::write_unsynced(&folder.join("config.json"), config.to_string().as_bytes())
}

async fn create(client: &Runhcs, folder: &Path) -> Result<Ability, String> {
    let opts = CreateOpts {
        pid_file: Some(folder.join("shim.pid")),
        ..CreateOpts::default()
    };
    let Err(error) = client.create(PROBE_ID, folder, &opts).await else {
        remove(client).await;
        return Ok(Ability::Works);
    };
    if error.exit_code().is_none() || error.kind() == ErrorKind::AlreadyExists {
        remove(client).await;
    }
    judge_create(error.kind(), error.stderr()).ok_or_else(|| words(&error))
}

/// Removes what should not be there: this create came too far, or an earlier one was cut off.
async fn remove(client: &Runhcs) {
    let removed = client.delete(PROBE_ID, &DeleteOpts { force: true }).await;
    tracing::debug!(?removed, "removed what the probe had left");
}

/// What a create says of itself by how it fails; none if that does not tell.
fn judge_create(kind: ErrorKind, said: &str) -> Option<Ability> {
    match (Defect::shown_by(said), kind) {
        (Some(defect), _) => Some(Ability::Broken(defect)),
        // It got to the layers, and says that they are not there.
        (None, ErrorKind::StorageFailed) => Some(Ability::Works),
        (None, ErrorKind::Usage) => Some(Ability::Broken(Defect::NoFlag { verb: "create" })),
        _ => None,
    }
}

fn words(error: &runhcs::Error) -> String {
    let said = end_of(error.stderr(), SAID);
    if said.is_empty() {
        error.to_string()
    } else {
        said
    }
}

#[cfg(test)]
mod tests;
