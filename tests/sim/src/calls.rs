//! The account of all calls: one line each, appended in one write.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::node::Node;
use crate::platform;

/// One line of `calls.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallRecord {
    /// When it began: RFC 3339, UTC.
    pub time: String,
    /// The verb, empty if there was none.
    pub verb: String,
    /// The container's id, empty if none was given.
    pub id: String,
    /// All arguments, without the program.
    pub argv: Vec<String>,
    /// Exit code; `None` if it did not get to its end, or has not yet.
    pub exit_code: Option<u32>,
    /// How long it took.
    pub duration_ms: f64,
    /// Its pid.
    pub pid: u32,
}

/// The running call.
#[derive(Debug)]
pub struct Call {
    file: PathBuf,
    began: Instant,
    time: String,
    argv: Vec<String>,
    /// The verb, once known.
    pub verb: String,
    /// The container's id, once known.
    pub id: String,
}

impl Call {
    /// Begins the account of a call.
    pub fn begin(node: &Node, argv: &[String]) -> Self {
        Self {
            file: node.calls_file(),
            began: Instant::now(),
            time: now(),
            argv: argv.to_vec(),
            verb: String::new(),
            id: String::new(),
        }
    }

    /// Writes the line of a call that may not get to its end. A later line replaces it.
    pub fn record_unfinished(&self) {
        self.record(None);
    }

    /// Writes the line of a call that has come to its end.
    pub fn record_finished(&self, exit_code: u32) {
        self.record(Some(exit_code));
    }

    fn record(&self, exit_code: Option<u32>) {
        let record = CallRecord {
            time: self.time.clone(),
            verb: self.verb.clone(),
            id: self.id.clone(),
            argv: self.argv.clone(),
            exit_code,
            duration_ms: (self.began.elapsed().as_secs_f64() * 1e6).round() / 1e3,
            pid: std::process::id(),
        };
        // An account that cannot be kept must not change what the call does.
        if let Ok(mut line) = serde_json::to_vec(&record) {
            line.push(b'\n');
            let _ = platform::append(&self.file, &line);
        }
    }
}

/// All calls in a `calls.jsonl`, in the order in which they began to be told.
pub fn read(path: &Path) -> io::Result<Vec<CallRecord>> {
    let mut text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    // A reader can see the beginning of a line whose writer has not come to its end.
    text.truncate(
        text.iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1),
    );
    let mut calls: Vec<CallRecord> = Vec::new();
    let mut unfinished: Vec<usize> = Vec::new();
    for line in text
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        let call: CallRecord = serde_json::from_slice(line)?;
        let same =
            |&&index: &&usize| calls[index].pid == call.pid && calls[index].time == call.time;
        if let Some(&index) = unfinished.iter().find(same) {
            calls[index] = call;
        } else {
            if call.exit_code.is_none() {
                unfinished.push(calls.len());
            }
            calls.push(call);
        }
    }
    Ok(calls)
}

/// Now, in UTC, as Go prints times: to 100 ns, which is as fine as Windows' clock, without zeros
/// at the end.
pub fn now() -> String {
    let now = chrono::Utc::now();
    let text = now.format("%Y-%m-%dT%H:%M:%S").to_string();
    let fraction = format!("{:07}", now.timestamp_subsec_nanos() / 100);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() {
        format!("{text}Z")
    } else {
        format!("{text}.{fraction}Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_was_told_twice_counts_once() {
        let folder = tempfile::tempdir().unwrap();
        let node = Node::at(folder.path());
        let call = Call::begin(&node, &["list".to_owned()]);
        call.record_unfinished();
        call.record_finished(0);
        let other = Call::begin(&node, &["ps".to_owned()]);
        other.record_unfinished();
        let calls = read(&node.calls_file()).unwrap();
        let codes: Vec<Option<u32>> = calls.iter().map(|call| call.exit_code).collect();
        assert_eq!(codes, [Some(0), None]);
    }

    #[test]
    fn a_line_that_is_just_being_written_does_not_count_yet() {
        let folder = tempfile::tempdir().unwrap();
        let node = Node::at(folder.path());
        Call::begin(&node, &["list".to_owned()]).record_finished(0);
        let whole = fs::read(node.calls_file()).unwrap();
        fs::write(node.calls_file(), [&whole[..], &whole[..40]].concat()).unwrap();
        assert_eq!(read(&node.calls_file()).unwrap().len(), 1);
    }

    #[test]
    fn no_line_of_calls_at_the_same_time_is_lost() {
        const EACH: usize = 200;
        let folder = tempfile::tempdir().unwrap();
        let node = Node::at(folder.path());
        std::thread::scope(|scope| {
            for id in ["a", "longer"] {
                let node = &node;
                scope.spawn(move || {
                    for _ in 0..EACH {
                        let call = Call::begin(node, &["state".to_owned(), id.to_owned()]);
                        call.record_finished(0);
                    }
                });
            }
        });
        assert_eq!(read(&node.calls_file()).unwrap().len(), 2 * EACH);
    }
}
