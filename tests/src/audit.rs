//! The writes that the API server was really asked for, from its audit log: who wrote which object, how often. The
//! API server logs each before it answers.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use serde::Deserialize;

use crate::{Error, Result};

/// One write request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The user's name: `system:serviceaccount:<namespace>:<name>` of a service account.
    pub user: String,
    /// The program's name for itself.
    pub user_agent: String,
    /// `create`, `update`, `patch`, `delete` or `deletecollection`.
    pub verb: String,
    /// The plural: `hcscontainers`, `events`.
    pub resource: String,
    /// `status`, or empty.
    pub subresource: String,
    /// Empty for cluster-wide objects.
    pub namespace: String,
    /// Empty where the API server makes the name.
    pub name: String,
    /// The node that the user's token is bound to, or empty.
    pub node: String,
    /// The HTTP status of the answer.
    pub code: u16,
    /// When the API server received it.
    pub received: DateTime<Utc>,
}

/// The audit log, from a position on.
#[derive(Debug, Clone)]
pub struct Audit {
    file: PathBuf,
    from: u64,
}

impl Audit {
    pub(crate) fn new(file: PathBuf) -> Self {
        Self { file, from: 0 }
    }

    /// The same log, but only what is written to it from now on.
    #[must_use]
    pub fn from_now(&self) -> Self {
        let from = std::fs::metadata(&self.file).map_or(0, |file| file.len());
        Self {
            file: self.file.clone(),
            from,
        }
    }

    /// All writes so far, in the order in which they were answered.
    pub fn writes(&self) -> Result<Vec<Write>> {
        let failed = |source| Error::file("read", &self.file, source);
        let mut reader = BufReader::new(File::open(&self.file).map_err(failed)?);
        if let Some(before) = self.from.checked_sub(1) {
            // The mark may be amid a line, that of a write before it.
            reader.seek(SeekFrom::Start(before)).map_err(failed)?;
            reader.skip_until(b'\n').map_err(failed)?;
        }
        let (mut writes, mut line) = (Vec::new(), String::new());
        while reader.read_line(&mut line).map_err(failed)? > 0 && line.ends_with('\n') {
            let event: Event = serde_json::from_str(&line).map_err(|source| Error::Json {
                path: self.file.clone(),
                source,
            })?;
            writes.push(event.into());
            line.clear();
        }
        Ok(writes)
    }

    /// How many writes there are that `wanted` says yes to.
    pub fn count(&self, wanted: impl Fn(&Write) -> bool) -> Result<usize> {
        Ok(self.writes()?.iter().filter(|write| wanted(write)).count())
    }
}

/// The part of `audit.k8s.io/v1` `Event` that matters here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    verb: String,
    user: User,
    #[serde(default)]
    user_agent: String,
    #[serde(default)]
    object_ref: ObjectRef,
    #[serde(default)]
    response_status: ResponseStatus,
    request_received_timestamp: DateTime<Utc>,
}

#[derive(Deserialize)]
struct User {
    username: String,
    #[serde(default)]
    extra: std::collections::BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ObjectRef {
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ResponseStatus {
    code: u16,
}

impl From<Event> for Write {
    fn from(event: Event) -> Self {
        let extra = event
            .user
            .extra
            .get("authentication.kubernetes.io/node-name");
        Self {
            node: extra
                .and_then(|names| names.first())
                .cloned()
                .unwrap_or_default(),
            user: event.user.username,
            user_agent: event.user_agent,
            verb: event.verb,
            resource: event.object_ref.resource,
            subresource: event.object_ref.subresource,
            namespace: event.object_ref.namespace,
            name: event.object_ref.name,
            code: event.response_status.code,
            received: event.request_received_timestamp,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"kind":"Event","verb":"patch","user":{"username":"system:serviceaccount:a:b","extra":{"authentication.kubernetes.io/node-name":["n1"]}},"userAgent":"x","objectRef":{"resource":"hcscontainers","subresource":"status","namespace":"ns","name":"web"},"responseStatus":{"code":200},"requestReceivedTimestamp":"2026-01-01T00:00:00.000000Z"}"#;

    #[test]
    fn only_whole_lines_written_after_the_mark_are_counted() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("audit.log");
        std::fs::write(&file, format!("{LINE}\n")).unwrap();
        let all = Audit::new(file.clone());
        let later = all.from_now();
        std::fs::write(&file, format!("{LINE}\n{LINE}\n{}", &LINE[..40])).unwrap();
        assert_eq!(all.writes().unwrap().len(), 2);
        let writes = later.writes().unwrap();
        assert_eq!(writes.len(), 1);
        assert_eq!(
            (writes[0].node.as_str(), writes[0].subresource.as_str()),
            ("n1", "status")
        );
    }

    #[test]
    fn a_mark_amid_a_line_counts_from_the_next_line_on() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("audit.log");
        std::fs::write(&file, format!("{LINE}\n{}", &LINE[..40])).unwrap();
        let later = Audit::new(file.clone()).from_now();
        assert_eq!(later.writes().unwrap(), []);
        std::fs::write(&file, format!("{LINE}\n{LINE}\n{LINE}\n")).unwrap();
        assert_eq!(later.writes().unwrap().len(), 1);
    }
}
