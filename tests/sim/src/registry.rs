//! The records of containers: what runhcs keeps in volatile registry keys.
//!
//! A record outlives its system and its shim, and anybody may write into it, as into the registry:
//! an old shim that is slow to die writes its end into the record of a new container of the same
//! id. One file a record, so that one call costs one read and `list` one for each container.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::names;
use crate::node::{Node, write_atomically, write_exclusively};
use crate::platform;
use crate::spec::Spec;

/// How many files guard the records; two records may share one.
const LOCKS: u64 = 32;

/// The values below one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Id as `create` was given it; the key itself does not tell cases apart.
    pub id: String,
    /// Value of `--owner`.
    pub owner: String,
    /// The bundle's absolute path.
    pub bundle: String,
    /// `root.path`, made absolute; empty if none was given.
    pub rootfs: String,
    /// RFC 3339, to 100 ns, UTC.
    pub created: String,
    /// A GUID of this container alone; names its shim's pipe.
    pub unique_id: String,
    /// The sandbox that it is or lies in; empty if none.
    #[serde(default)]
    pub sandbox_id: String,
    /// The container whose VM it runs in; empty without a VM.
    #[serde(default)]
    pub host_id: String,
    /// Whether it has a VM of its own.
    #[serde(default)]
    pub is_host: bool,
    /// Pid of the shim: absent until `create` knows it, 0 once it has ended by itself.
    pub shim: Option<i64>,
    /// Pid of the init process, absent until it was made.
    pub init: Option<u32>,
    /// By a shim's pid, the pid of the process that it stands for.
    #[serde(default)]
    pub processes: BTreeMap<u32, u32>,
    /// `config.json`.
    pub spec: Spec,
}

/// The part of a record that is shown; reading it spares reading the rest.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// As in [`Record`].
    pub id: String,
    /// As in [`Record`].
    pub bundle: String,
    /// As in [`Record`].
    pub rootfs: String,
    /// As in [`Record`].
    pub created: String,
    /// As in [`Record`].
    pub unique_id: String,
    /// As in [`Record`].
    pub shim: Option<i64>,
    /// The part of `config.json` that is shown.
    pub spec: SpecSummary,
}

/// The part of `config.json` that is shown.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SpecSummary {
    /// `ociVersion`.
    pub version: String,
    /// `annotations`.
    pub annotations: BTreeMap<String, String>,
}

impl From<Record> for Summary {
    fn from(record: Record) -> Self {
        let Spec {
            version,
            annotations,
            ..
        } = record.spec;
        Self {
            id: record.id,
            bundle: record.bundle,
            rootfs: record.rootfs,
            created: record.created,
            unique_id: record.unique_id,
            shim: record.shim,
            spec: SpecSummary {
                version,
                annotations,
            },
        }
    }
}

/// The records of one root.
#[derive(Debug, Clone)]
pub struct Registry {
    folder: PathBuf,
    locks: PathBuf,
}

impl Registry {
    /// The records of `root` on `node`.
    pub fn open(node: &Node, root: &str) -> Self {
        Self {
            folder: node.root(root),
            locks: node.locks(),
        }
    }

    /// The records in one folder of `node`.
    pub fn in_folder(node: &Node, folder: PathBuf) -> Self {
        Self {
            folder,
            locks: node.locks(),
        }
    }

    fn path(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{}.json", names::file_name(id)))
    }

    /// Reads a record.
    pub fn get(&self, id: &str) -> Result<Record, Failure> {
        match platform::read(&self.path(id)) {
            Ok(text) => parse(&text).map_err(Failure::simulator("reading a record")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(Failure::NotFound(id.to_owned()))
            }
            Err(error) => Err(Failure::simulator("reading a record")(error)),
        }
    }

    /// What `list` needs of all records, in the order of their keys.
    pub fn list(&self) -> io::Result<Vec<Summary>> {
        let mut records = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            match platform::read(&path) {
                Ok(text) => records.push(serde_json::from_slice(&text)?),
                // Deleted since the folder was read.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        records
            .sort_by_cached_key(|record: &Summary| names::path_escape(&record.id).to_uppercase());
        Ok(records)
    }

    /// Makes a record, unless there is one of this id.
    pub fn create(&self, record: &Record) -> Result<(), Failure> {
        match write_exclusively(&self.path(&record.id), &serialize(record)) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(Failure::AlreadyExists(record.id.clone()))
            }
            Err(error) => Err(Failure::simulator("writing a record")(error)),
        }
    }

    /// Changes the record of `id`, whichever container's it is by now.
    pub fn change(&self, id: &str, change: impl FnOnce(&mut Record)) -> Result<(), Failure> {
        let _lock = self.lock(id)?;
        let mut record = self.get(id)?;
        change(&mut record);
        write_atomically(&self.path(id), &serialize(&record))
            .map_err(Failure::simulator("writing a record"))
    }

    /// Removes a record.
    pub fn remove(&self, id: &str) -> Result<(), Failure> {
        let _lock = self.lock(id)?;
        match fs::remove_file(self.path(id)) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(Failure::NotFound(id.to_owned()))
            }
            Err(error) => Err(Failure::simulator("removing a record")(error)),
        }
    }

    /// Keeps others from changing the record until dropped.
    fn lock(&self, id: &str) -> Result<File, Failure> {
        let number = names::fnv(names::file_name(id).as_bytes()) % LOCKS;
        let path = self.locks.join(format!("records-{number}"));
        let locked = || {
            let file = File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .open(&path)?;
            file.lock()?;
            Ok(file)
        };
        locked().map_err(Failure::simulator("locking a record"))
    }
}

fn parse(text: &[u8]) -> io::Result<Record> {
    Ok(serde_json::from_slice(text)?)
}

fn serialize(record: &Record) -> Vec<u8> {
    serde_json::to_vec(record).unwrap_or_default()
}
