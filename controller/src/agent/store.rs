//! The records on disk, one file an object: `<data>/records/<uid>.json`.

use std::collections::HashMap;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hcs_crds::HcsContainer;
use tokio::sync::OwnedMutexGuard;

use super::disk;
use super::record::{ObjectId, Record};

/// Extension of a record that could not be read.
const SET_ASIDE: &str = "unreadable";

/// A record that could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder cannot be listed or made.
    #[error("failed to open the records in {path:?}")]
    Open {
        /// The folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A record cannot be written.
    #[error("failed to write the record {path:?}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// A record as its one user at a time holds it.
pub type Held = OwnedMutexGuard<Record>;

#[derive(Clone, Debug)]
struct Slot {
    object: ObjectId,
    record: Arc<tokio::sync::Mutex<Record>>,
}

impl Slot {
    fn new(record: Record) -> Self {
        Self {
            object: record.object.clone(),
            record: Arc::new(tokio::sync::Mutex::new(record)),
        }
    }
}

/// All records, in memory and on disk.
#[derive(Debug)]
pub struct Records {
    folder: PathBuf,
    by_uid: Mutex<HashMap<String, Slot>>,
    /// Digests of what is on disk.
    saved: Mutex<HashMap<String, u64>>,
    unreadable: Vec<PathBuf>,
    /// The newest resourceVersion of an object of this node that any agent here has seen: kept with each record that is
    /// saved anyway, and no reason to save one.
    seen: AtomicU64,
}

impl Records {
    /// Reads all records. One that cannot be read is set aside as `<name>.unreadable`, and the
    /// container goes on from what runhcs and the API server know of it.
    pub fn open(folder: PathBuf) -> Result<Self, StoreError> {
        let error = |source| StoreError::Open {
            path: folder.clone(),
            source,
        };
        disk::make_folder(&folder).map_err(error)?;
        let (mut by_uid, mut unreadable) = (HashMap::new(), Vec::new());
        let mut seen = 0;
        for entry in fs::read_dir(&folder).map_err(error)? {
            let path = entry.map_err(error)?.path();
            match path.extension().and_then(|e| e.to_str()) {
                Some("json") => {}
                // What a crash left between write and rename.
                Some("tmp") => {
                    let _ = disk::remove_file(&path);
                    continue;
                }
                _ => continue,
            }
            match read(&path) {
                Ok(record) => {
                    seen = seen.max(record.seen);
                    by_uid.insert(record.object.uid.clone(), Slot::new(record));
                }
                Err(reason) => {
                    tracing::error!(path = %path.display(), %reason, "record set aside: unreadable");
                    let _ = disk::rename(&path, &path.with_extension(SET_ASIDE));
                    unreadable.push(path);
                }
            }
        }
        Ok(Self {
            folder,
            by_uid: Mutex::new(by_uid),
            saved: Mutex::default(),
            unreadable,
            seen: AtomicU64::new(seen),
        })
    }

    /// An object of the node was seen with this resourceVersion.
    pub fn saw(&self, version: u64) {
        self.seen.fetch_max(version, Ordering::Relaxed);
    }

    /// The newest of them.
    pub fn seen(&self) -> u64 {
        self.seen.load(Ordering::Relaxed)
    }

    /// The API server's store goes on from this version, which may be an older one.
    pub fn goes_on_from(&self, version: u64) {
        self.seen.store(version, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Slot>> {
        self.by_uid.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is a record of this uid on disk.
    pub fn has_file(&self, uid: &str) -> bool {
        self.path(uid).exists()
    }

    /// Where the object's record lies if it was there and could not be read.
    pub fn set_aside(&self, uid: &str) -> Option<PathBuf> {
        let path = self.path(uid);
        self.unreadable
            .contains(&path)
            .then(|| path.with_extension(SET_ASIDE))
    }

    /// The object's record, made new if there is none; held until dropped.
    pub async fn hold(&self, object: &ObjectId) -> Held {
        loop {
            let record = {
                let mut records = self.lock();
                let entry = records.entry(object.uid.clone());
                Arc::clone(
                    &entry
                        .or_insert_with(|| Slot::new(Record::new(object.clone())))
                        .record,
                )
            };
            let held = record.lock_owned().await;
            if self.has(&object.uid, &held) {
                return held;
            }
        }
    }

    /// The record of a uid, held until dropped; none if there is none.
    pub async fn hold_existing(&self, uid: &str) -> Option<Held> {
        loop {
            let record = self.lock().get(uid).map(|slot| Arc::clone(&slot.record))?;
            let held = record.lock_owned().await;
            if self.has(uid, &held) {
                return Some(held);
            }
        }
    }

    /// Whether a record is the uid's still: whoever held it before may have removed it. Saved, a removed one would be a file
    /// that nobody knows of.
    fn has(&self, uid: &str, held: &Held) -> bool {
        let records = self.lock();
        let current = records.get(uid);
        current.is_some_and(|slot| Arc::ptr_eq(&slot.record, Held::mutex(held)))
    }

    /// Whose record a uid's is.
    pub fn object_of(&self, uid: &str) -> Option<ObjectId> {
        self.lock().get(uid).map(|slot| slot.object.clone())
    }

    /// The uids of all records.
    pub fn uids(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    /// Whether another object of this one's name has a record.
    pub fn has_other(&self, object: &HcsContainer) -> bool {
        let (name, namespace) = (&object.metadata.name, &object.metadata.namespace);
        let is_other = |of: &ObjectId| {
            name.as_ref() == Some(&of.name)
                && namespace.as_ref() == Some(&of.namespace)
                && object.metadata.uid.as_ref() != Some(&of.uid)
        };
        self.lock().values().any(|slot| is_other(&slot.object))
    }

    /// All records as they are now; those in use are waited for.
    pub async fn snapshot(&self) -> Vec<Record> {
        let records: Vec<_> = self
            .lock()
            .values()
            .map(|slot| Arc::clone(&slot.record))
            .collect();
        let mut copies = Vec::with_capacity(records.len());
        for record in records {
            copies.push(record.lock().await.clone());
        }
        copies
    }

    /// Writes a record so that a crash leaves either the old or the new one, whole. What is on
    /// disk already is not written again.
    pub async fn save(&self, record: &Record) -> Result<(), StoreError> {
        let uid = &record.object.uid;
        let path = self.path(uid);
        let error = |source| StoreError::Write {
            path: path.clone(),
            source,
        };
        let bytes = serde_json::to_vec(record).map_err(|e| error(e.into()))?;
        let digest = digest(&bytes);
        if self.saved().get(uid) == Some(&digest) && path.exists() {
            return Ok(());
        }
        // In front of the record's own fields, which have none of this name.
        let mut whole = format!("{{\"seen\":{},", self.seen()).into_bytes();
        whole.extend_from_slice(bytes.get(1..).unwrap_or_default());
        let written = disk::write_beside(path.clone(), whole).await;
        written.map_err(error)?;
        self.saved().insert(uid.clone(), digest);
        Ok(())
    }

    fn saved(&self) -> MutexGuard<'_, HashMap<String, u64>> {
        self.saved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes a record, on disk and in memory. One whose file stays is known still, to be removed by the next sweep.
    pub fn remove(&self, uid: &str) -> Result<(), StoreError> {
        let path = self.path(uid);
        let error = |source| StoreError::Write {
            path: path.clone(),
            source,
        };
        disk::remove_written_alone(&path).map_err(error)?;
        self.lock().remove(uid);
        self.saved().remove(uid);
        Ok(())
    }

    fn path(&self, uid: &str) -> PathBuf {
        // A uid is the API server's; one that is no plain name never becomes part of a path.
        let plain: String = uid
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
            .collect();
        self.folder.join(format!("{plain}.json"))
    }
}

fn digest(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

fn read(path: &Path) -> Result<Record, io::Error> {
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(uid: &str) -> ObjectId {
        ObjectId::new(uid, "n", "web")
    }

    #[tokio::test]
    async fn a_record_is_found_again_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let records = Records::open(dir.path().into()).unwrap();
        let mut held = records.hold(&object("u-1")).await;
        held.attempt = 7;
        records.save(&held).await.unwrap();
        drop(records);
        let records = Records::open(dir.path().into()).unwrap();
        assert_eq!(records.hold_existing("u-1").await.unwrap().attempt, 7);
        drop(records.remove("u-1"));
        assert!(Records::open(dir.path().into()).unwrap().uids().is_empty());
    }

    #[tokio::test]
    async fn a_record_that_was_removed_while_it_was_waited_for_does_not_come_back_unknown() {
        let dir = tempfile::tempdir().unwrap();
        let records = Records::open(dir.path().into()).unwrap();
        let id = object("u-1");
        let mut held = records.hold(&id).await;
        held.attempt = 7;
        records.save(&held).await.unwrap();
        let remove = async {
            records.remove("u-1").unwrap();
            drop(held);
        };
        let (held, ()) = tokio::join!(biased; records.hold(&id), remove);
        assert_eq!(held.attempt, 0, "it is another one");
        records.save(&held).await.unwrap();
        assert_eq!(
            records.uids(),
            ["u-1"],
            "who looks for what is left finds it"
        );
    }

    #[tokio::test]
    async fn nobody_gets_a_record_that_was_removed_while_it_was_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let records = Records::open(dir.path().into()).unwrap();
        let held = records.hold(&object("u-1")).await;
        let remove = async {
            records.remove("u-1").unwrap();
            drop(held);
        };
        let (found, ()) = tokio::join!(biased; records.hold_existing("u-1"), remove);
        assert!(found.is_none());
    }

    #[tokio::test]
    async fn an_unreadable_record_is_set_aside_and_the_others_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let records = Records::open(dir.path().into()).unwrap();
        let held = records.hold(&object("u-1")).await;
        records.save(&held).await.unwrap();
        fs::write(dir.path().join("u-2.json"), "{\"half").unwrap();
        fs::write(dir.path().join("x.tmp"), "left").unwrap();
        let records = Records::open(dir.path().into()).unwrap();
        assert_eq!(records.uids(), ["u-1"]);
        let aside = dir.path().join("u-2.unreadable");
        assert_eq!(records.set_aside("u-2").as_deref(), Some(&*aside));
        assert_eq!(records.set_aside("u-1"), None);
        assert!(aside.exists());
        assert!(!dir.path().join("x.tmp").exists());
    }

    #[tokio::test]
    async fn the_newest_version_seen_is_known_to_the_next_agent_and_no_reason_to_write() {
        let dir = tempfile::tempdir().unwrap();
        let records = Records::open(dir.path().into()).unwrap();
        let held = records.hold(&object("u-1")).await;
        records.saw(7);
        records.saw(5);
        records.save(&held).await.unwrap();
        records.saw(9);
        records.save(&held).await.unwrap();
        assert_eq!(records.seen(), 9);
        let next = Records::open(dir.path().into()).unwrap();
        assert_eq!(next.seen(), 7);
        next.goes_on_from(3);
        assert_eq!(next.seen(), 3);
    }

    #[tokio::test]
    async fn a_folder_that_was_deleted_is_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let records = Records::open(dir.path().join("records")).unwrap();
        fs::remove_dir(dir.path().join("records")).unwrap();
        let held = records.hold(&object("u-1")).await;
        records.save(&held).await.unwrap();
        assert!(dir.path().join("records/u-1.json").exists());
    }

    #[tokio::test]
    async fn what_a_save_has_left_goes_with_the_next_one_and_with_the_record() {
        let dir = tempfile::tempdir().unwrap();
        let records = Records::open(dir.path().into()).unwrap();
        let mut held = records.hold(&object("u-1")).await;
        let left = dir.path().join("u-1.json.tmp");
        fs::write(&left, "{\"half").unwrap();
        records.save(&held).await.unwrap();
        assert!(!left.exists());
        held.attempt = 2;
        records.save(&held).await.unwrap();
        fs::write(&left, "{\"half").unwrap();
        records.remove("u-1").unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_record_whose_file_cannot_be_removed_is_known_still() {
        let dir = tempfile::tempdir().unwrap();
        let records = Records::open(dir.path().into()).unwrap();
        let file = dir.path().join("u-1.json");
        let held = records.hold(&object("u-1")).await;
        fs::create_dir(&file).unwrap();
        records.remove("u-1").unwrap_err();
        assert_eq!(records.uids(), ["u-1"]);
        fs::remove_dir(&file).unwrap();
        drop(held);
        records.remove("u-1").unwrap();
        assert_eq!(records.uids(), [""; 0]);
    }

    #[test]
    fn a_uid_never_leaves_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let records = Records::open(dir.path().into()).unwrap();
        assert_eq!(records.path("../../x"), dir.path().join("x.json"));
    }
}
