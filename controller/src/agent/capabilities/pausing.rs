//! Whether Windows pauses containers with process isolation, and what the next agent knows of it.
//!
//! No harmless call tells, and no object may ask for it. So it is tried once, on a container that ignored its signal
//! and is about to be removed by force: whatever comes of it, nothing of that container goes on. The answer holds for
//! the boot and the runhcs that gave it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use runhcs::ErrorKind;
use serde::{Deserialize, Serialize};

use crate::agent::disk;
use crate::agent::runtime::{CallError, Reply};

/// Its file in the data folder.
const FILE: &str = "pausing.json";

/// What is known of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "answer", content = "said")]
pub enum Pausing {
    /// It was not tried.
    #[default]
    NotTried,
    /// A container was paused.
    Works,
    /// Windows refuses it, in these words.
    Refused(String),
    /// It failed in a way that does not tell, in these words. The next agent tries again.
    Unclear(String),
}

impl Pausing {
    /// What the answer of a try tells.
    pub fn told_by(answer: &Result<Reply, CallError>) -> Self {
        match answer {
            Ok(_) => Self::Works,
            Err(error) if error.kind == ErrorKind::NotSupported => {
                Self::Refused(error.message.clone())
            }
            Err(error) => Self::Unclear(error.message.clone()),
        }
    }
}

/// An answer, and what it holds for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Noted {
    boot_id: String,
    runhcs: Option<String>,
    pausing: Pausing,
}

/// Where answers are kept, and for which boot.
#[derive(Clone, Debug, Default)]
pub struct Notes {
    place: Option<(PathBuf, String)>,
}

impl Notes {
    /// Those in a data folder.
    pub fn of(data: &Path, boot_id: &str) -> Self {
        Self {
            place: Some((data.join(FILE), boot_id.to_owned())),
        }
    }

    /// What is known of this runhcs in this boot. What cannot be read is not known, which costs one more try.
    pub fn read(&self, runhcs: Option<&String>) -> Pausing {
        let Some((file, boot_id)) = &self.place else {
            return Pausing::NotTried;
        };
        let noted = fs::read(file).and_then(|text| Ok(serde_json::from_slice::<Noted>(&text)?));
        match noted {
            Ok(noted) if noted.boot_id == *boot_id && noted.runhcs.as_ref() == runhcs => {
                noted.pausing
            }
            Ok(_) => Pausing::NotTried,
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::warn!(file = %file.display(), %error, "whether a pause works is not known any more");
                }
                Pausing::NotTried
            }
        }
    }

    /// Notes an answer for the next agent, if it tells.
    pub fn write(&self, runhcs: Option<&String>, pausing: &Pausing) {
        let (Some((file, boot_id)), Pausing::Works | Pausing::Refused(_)) = (&self.place, pausing)
        else {
            return;
        };
        let noted = Noted {
            boot_id: boot_id.clone(),
            runhcs: runhcs.cloned(),
            pausing: pausing.clone(),
        };
        // Without fsync: what makes the system forget the file ends the boot as well.
        let written = serde_json::to_vec(&noted)
            .map_err(io::Error::from)
            .and_then(|text| disk::write_unsynced(file, &text));
        if let Err(error) = written {
            tracing::warn!(file = %file.display(), %error, "the next agent does not know whether a pause works");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fails(kind: ErrorKind) -> Result<Reply, CallError> {
        let message = "runhcs pause: it says so".to_owned();
        Err(CallError { kind, message })
    }

    #[test]
    fn only_windows_own_refusal_says_that_a_pause_does_not_work() {
        let said = || "runhcs pause: it says so".to_owned();
        assert_eq!(Pausing::told_by(&Ok(Reply::Done)), Pausing::Works);
        let refused = Pausing::told_by(&fails(ErrorKind::NotSupported));
        assert_eq!(refused, Pausing::Refused(said()));
        for kind in [
            ErrorKind::InvalidState,
            ErrorKind::TimedOut,
            ErrorKind::NotFound,
        ] {
            assert_eq!(Pausing::told_by(&fails(kind)), Pausing::Unclear(said()));
        }
    }

    #[test]
    fn an_answer_is_known_to_the_next_agent_until_the_boot_or_runhcs_is_another() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = ("1.0.2-dev".to_owned(), "1.2.0".to_owned());
        let refused = Pausing::Refused("The request is not supported.".into());
        for told in [refused, Pausing::Works] {
            Notes::of(dir.path(), "boot-1").write(Some(&old), &told);
            let next = Notes::of(dir.path(), "boot-1");
            assert_eq!(next.read(Some(&old)), told);
            assert_eq!(next.read(Some(&new)), Pausing::NotTried);
            assert_eq!(next.read(None), Pausing::NotTried);
            let rebooted = Notes::of(dir.path(), "boot-2");
            assert_eq!(rebooted.read(Some(&old)), Pausing::NotTried);
        }
    }

    #[test]
    fn an_answer_that_does_not_tell_and_a_file_that_cannot_be_read_cost_one_more_try() {
        let dir = tempfile::tempdir().unwrap();
        let notes = Notes::of(dir.path(), "boot");
        notes.write(None, &Pausing::Unclear("runhcs has crashed".into()));
        assert_eq!(notes.read(None), Pausing::NotTried);
        assert!(!dir.path().join(FILE).exists());
        fs::write(dir.path().join(FILE), "{\"bootId\":").unwrap();
        assert_eq!(notes.read(None), Pausing::NotTried);
    }
}
