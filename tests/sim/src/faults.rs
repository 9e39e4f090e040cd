//! Faults that tests ask for: a call that is slow, hangs, fails, dies or prints nonsense at a
//! named point.
//!
//! They lie in `faults.json` of the state folder; without that file a call pays one failed open.
//! How often each has struck is counted in a file of its own, under a lock, so that "the second
//! call" and "at most twice" hold for calls at the same time too.

use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::calls::Call;
use crate::failure::Failure;
use crate::names;
use crate::node::{Node, write_atomically};
use crate::outcome::Outcome;
use crate::platform;

/// How often a held call looks for its file.
const LOOK: Duration = Duration::from_millis(5);

/// Where in a call a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Point {
    /// Any verb: before it looks at anything.
    Begin,
    /// `create`, `run`: the record is written, there is no system and no shim.
    RecordWritten,
    /// `create`, `run`, `exec`: the shim lives, the pid file is not written.
    ShimStarted,
    /// `create`, `run`: the pid file is written, the record does not know the shim's pid.
    PidFileWritten,
    /// Verbs that change something: all is checked, nothing is done.
    BeforeEffect,
    /// Verbs that change something: all is done, nothing is printed.
    AfterEffect,
    /// Any verb: just before it prints. [`Action::Garbage`] and [`Action::Truncate`] act here,
    /// whatever point they name.
    Output,
    /// Verb `shim`: before it tells `create` that it is ready.
    ShimReady,
    /// Verb `shim`: `start` has reached it, init is not made.
    ProcessStart,
    /// Verb `shim`: init has ended, the system has not: a slow shutdown.
    ProcessEnded,
    /// Verb `shim`: the system has ended, the record does not know it: an old shim that is slow
    /// to die.
    SystemEnded,
}

/// What happens there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Action {
    /// It goes on this much later.
    Delay {
        /// Milliseconds.
        ms: u64,
    },
    /// It never goes on.
    Hang,
    /// It goes on once this file is there.
    Hold {
        /// The file.
        until: PathBuf,
    },
    /// It fails, and cleans up as after any failure.
    Fail {
        /// Exit code.
        exit_code: u32,
        /// Text on standard error, without a line break at its end.
        stderr: String,
    },
    /// The process ends at once, as if killed: nothing printed, nothing cleaned up.
    Die,
    /// The call ends well, and prints this instead.
    Garbage {
        /// Standard output.
        stdout: String,
    },
    /// Standard output ends after so many bytes.
    Truncate {
        /// How many.
        bytes: usize,
    },
}

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fault {
    /// Names the file that counts it; given by [`Faults::add`] if empty.
    #[serde(default)]
    pub key: String,
    /// Verb that it strikes (`shim` for a container's shim); any if absent.
    #[serde(default)]
    pub verb: Option<String>,
    /// Glob (`*`, `?`) of the container ids that it strikes; any if absent.
    #[serde(default)]
    pub id: Option<String>,
    /// So many matching calls pass unharmed first.
    #[serde(default)]
    pub skip: u64,
    /// It strikes so many calls; all if absent.
    #[serde(default)]
    pub times: Option<u64>,
    /// Where it strikes.
    pub point: Point,
    /// What happens.
    pub action: Action,
}

impl Fault {
    /// A fault that strikes every call of `verb` for any id.
    pub fn new(verb: &str, point: Point, action: Action) -> Self {
        Self {
            key: String::new(),
            verb: Some(verb.to_owned()),
            id: None,
            skip: 0,
            times: None,
            point,
            action,
        }
    }

    /// The same for ids that match a glob only.
    #[must_use]
    pub fn of_id(mut self, glob: impl Into<String>) -> Self {
        self.id = Some(glob.into());
        self
    }

    /// The same at most `times` times.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    /// The same, sparing the first `skip` calls.
    #[must_use]
    pub fn skip(mut self, skip: u64) -> Self {
        self.skip = skip;
        self
    }

    fn matches(&self, verb: &str, id: &str) -> bool {
        self.verb.as_deref().is_none_or(|wanted| wanted == verb)
            && self
                .id
                .as_deref()
                .is_none_or(|glob| matches_glob(glob.as_bytes(), id.as_bytes()))
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct FaultFile {
    faults: Vec<Fault>,
}

/// The faults of a node.
#[derive(Debug, Clone)]
pub struct Faults {
    file: PathBuf,
    counters: PathBuf,
}

impl Faults {
    /// The faults of `node`.
    pub fn open(node: &Node) -> Self {
        Self {
            file: node.faults_file(),
            counters: node.state().join("faults"),
        }
    }

    /// Adds a fault, counted from now on.
    pub fn add(&self, mut fault: Fault) -> io::Result<()> {
        fs::create_dir_all(&self.counters)?;
        let _lock = self.lock("all")?;
        let mut all = self.read()?;
        if fault.key.is_empty() {
            fault.key = names::unique_id();
        }
        all.faults.push(fault);
        write_atomically(&self.file, &serde_json::to_vec_pretty(&all)?)
    }

    /// Forgets all faults. Calls that already hang go on hanging.
    pub fn clear(&self) -> io::Result<()> {
        match fs::remove_file(&self.file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn read(&self) -> io::Result<FaultFile> {
        match platform::read(&self.file) {
            Ok(text) => Ok(serde_json::from_slice(&text)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(FaultFile::default()),
            Err(error) => Err(error),
        }
    }

    fn lock(&self, name: &str) -> io::Result<File> {
        let path = self.counters.join(format!("{name}.count"));
        let file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)?;
        file.lock()?;
        Ok(file)
    }

    /// Counts a matching call; whether the fault strikes it.
    fn strikes(&self, fault: &Fault) -> io::Result<bool> {
        if fault.skip == 0 && fault.times.is_none() {
            return Ok(true);
        }
        fs::create_dir_all(&self.counters)?;
        let mut file = self.lock(&names::file_name(&fault.key))?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let passed: u64 = text.trim().parse().unwrap_or(0);
        file.rewind()?;
        write!(file, "{}", passed + 1)?;
        let within = fault
            .times
            .is_none_or(|times| passed < fault.skip.saturating_add(times));
        Ok(passed >= fault.skip && within)
    }

    /// How many calls have come to a fault that is counted, struck or not.
    pub fn met(&self, key: &str) -> io::Result<u64> {
        let path = self
            .counters
            .join(format!("{}.count", names::file_name(key)));
        match fs::read_to_string(path) {
            Ok(text) => Ok(text.trim().parse().unwrap_or(0)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Lets the faults strike that are meant for this point of a call.
    pub fn strike(
        &self,
        point: Point,
        verb: &str,
        id: &str,
        call: Option<&Call>,
    ) -> Result<(), Failure> {
        let all = self
            .read()
            .map_err(Failure::simulator("reading faults.json"))?;
        for fault in all
            .faults
            .iter()
            .filter(|f| f.point == point && f.matches(verb, id))
        {
            let changes_output = matches!(
                fault.action,
                Action::Garbage { .. } | Action::Truncate { .. }
            );
            let strikes = || {
                self.strikes(fault)
                    .map_err(Failure::simulator("counting a fault"))
            };
            if !changes_output && strikes()? {
                act(&fault.action, call)?;
            }
        }
        Ok(())
    }

    /// Changes the output of a call as faults ask.
    pub fn distort(&self, outcome: &mut Outcome, verb: &str, id: &str) -> Result<(), Failure> {
        let all = self
            .read()
            .map_err(Failure::simulator("reading faults.json"))?;
        for fault in all.faults.iter().filter(|f| f.matches(verb, id)) {
            if !matches!(
                fault.action,
                Action::Garbage { .. } | Action::Truncate { .. }
            ) || !self
                .strikes(fault)
                .map_err(Failure::simulator("counting a fault"))?
            {
                continue;
            }
            match &fault.action {
                Action::Garbage { stdout } => *outcome = Outcome::printed(stdout.as_bytes()),
                Action::Truncate { bytes } => outcome.stdout.truncate(*bytes),
                _ => {}
            }
        }
        Ok(())
    }
}

fn act(action: &Action, call: Option<&Call>) -> Result<(), Failure> {
    let may_be_killed = matches!(
        action,
        Action::Delay { .. } | Action::Hang | Action::Hold { .. } | Action::Die
    );
    if let Some(call) = call.filter(|_| may_be_killed) {
        // It may be killed before it could tell.
        call.record_unfinished();
    }
    match action {
        Action::Delay { ms } => std::thread::sleep(Duration::from_millis(*ms)),
        Action::Hang => loop {
            std::thread::park();
        },
        Action::Hold { until } => {
            while !until.exists() {
                std::thread::sleep(LOOK);
            }
        }
        Action::Fail { exit_code, stderr } => {
            return Err(Failure::Injected {
                text: stderr.clone(),
                exit_code: *exit_code,
            });
        }
        Action::Die => platform::die(),
        Action::Garbage { .. } | Action::Truncate { .. } => {}
    }
    Ok(())
}

/// Whether `text` matches a pattern in which `*` stands for anything and `?` for one byte.
fn matches_glob(glob: &[u8], text: &[u8]) -> bool {
    match (glob.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => {
            (0..=text.len()).any(|skipped| matches_glob(rest, &text[skipped..]))
        }
        (Some((b'?', rest)), Some((_, text))) => matches_glob(rest, text),
        (Some((a, rest)), Some((b, text))) if a == b => matches_glob(rest, text),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match() {
        for (glob, text, matches) in [
            ("*", "anything", true),
            ("hc-*-2", "hc-12-2", true),
            ("hc-*-2", "hc-12-3", false),
            ("?", "", false),
            ("a?c", "abc", true),
        ] {
            assert_eq!(
                matches_glob(glob.as_bytes(), text.as_bytes()),
                matches,
                "{glob} {text}"
            );
        }
    }

    #[test]
    fn a_fault_skips_and_strikes_as_often_as_told() {
        let folder = tempfile::tempdir().unwrap();
        let faults = Faults::open(&Node::at(folder.path()));
        let fail = Action::Fail {
            exit_code: 5,
            stderr: "no".to_owned(),
        };
        faults
            .add(Fault::new("kill", Point::Begin, fail).skip(1).times(2))
            .unwrap();
        let struck: Vec<bool> = (0..5)
            .map(|_| faults.strike(Point::Begin, "kill", "c", None).is_err())
            .collect();
        assert_eq!(struck, [false, true, true, false, false]);
        assert!(faults.strike(Point::Begin, "list", "", None).is_ok());
    }

    #[test]
    fn the_file_has_the_documented_form() {
        let text = r#"{"faults":[{"verb":"create","id":"hc-*","times":1,"point":"shim-started",
            "action":{"fail":{"exitCode":3,"stderr":"x"}}},{"point":"begin","action":"hang"}]}"#;
        let file: FaultFile = serde_json::from_str(text).unwrap();
        assert_eq!(file.faults[0].point, Point::ShimStarted);
        assert_eq!(file.faults[1].action, Action::Hang);
    }
}
