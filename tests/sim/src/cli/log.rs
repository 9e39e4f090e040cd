//! The log that `--log` asks for: opened as runhcs does, with what failed in it.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use super::flags::Parsed;
use crate::failure::Failure;
use crate::outcome::Outcome;
use crate::platform::{error_text, open_error_text};

/// An open log, or none.
#[derive(Debug)]
pub struct Log {
    file: Option<File>,
    json: bool,
}

impl Log {
    /// Opens what the flags name, for append.
    pub fn open(global: &Parsed) -> Result<Self, Failure> {
        let path = global.value("log").unwrap_or("nul");
        let mut file = None;
        if !path.is_empty() && !path.eq_ignore_ascii_case("nul") {
            let path = PathBuf::from(path);
            let opened = File::options().create(true).append(true).open(&path);
            file = Some(opened.map_err(|error| {
                // The system's own words: this is before anything else has happened.
                let reason = if cfg!(windows) {
                    error_text(&error)
                } else {
                    open_error_text(&path, &error)
                };
                Failure::File {
                    operation: "open",
                    path,
                    reason,
                }
            })?);
        }
        match global.value("log-format").unwrap_or("text") {
            "text" => Ok(Self { file, json: false }),
            "json" => Ok(Self { file, json: true }),
            other => Err(Failure::LogFormat(other.to_owned())),
        }
    }

    /// Notes why a call failed.
    pub fn failed(&self, outcome: &Outcome) {
        let Some(mut file) = self.file.as_ref().filter(|_| !outcome.stderr.is_empty()) else {
            return;
        };
        // A log that cannot be written must not change what the call does.
        let _ = file.write_all(line(&outcome.stderr, self.json).as_bytes());
    }
}

/// Puts the log's line before a failure's text: until the log is open, that is where it goes.
pub fn failed_without_log(mut outcome: Outcome) -> Outcome {
    let line = line(&outcome.stderr, false);
    outcome.stderr.splice(0..0, line.into_bytes());
    outcome
}

fn line(text: &[u8], json: bool) -> String {
    let text = String::from_utf8_lossy(text);
    let time = chrono::Utc::now().format("%Y-%m-%dT%H:%M:%SZ").to_string();
    if json {
        format!(
            "{}\n",
            serde_json::json!({"level": "error", "msg": text, "time": time})
        )
    } else {
        format!("time={time:?} level=error msg={text:?}\n")
    }
}
