//! What runhcs prints is understood: every answer and every error of a recorded session with the
//! real v0.11.7, and those that it is known to print elsewhere.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use chrono::{DateTime, Utc};
use proptest::prelude::*;
use runhcs::{ContainerState, ErrorKind, ShimPid, Status};

/// A command of the transcript: verb, exit code, standard output and error.
#[derive(Default)]
struct Run {
    verb: String,
    json: bool,
    code: u32,
    out: String,
    err: String,
}

fn transcript() -> Vec<Run> {
    let mut runs = Vec::<Run>::new();
    for line in include_str!("data/transcript.txt").lines() {
        if let Some(command) = line.strip_prefix("$ runhcs ") {
            let verb = command.split(' ').next().unwrap_or_default().to_owned();
            let json = verb == "state" || verb == "ps" || command == "list -f json";
            runs.push(Run {
                verb,
                json,
                ..Run::default()
            });
        } else if let Some(run) = runs.last_mut() {
            let line = line.trim_start();
            if let Some(rest) = line.strip_prefix("rc=") {
                run.code = rest.split(' ').next().unwrap().parse().unwrap();
            } else if let Some(out) = line.strip_prefix("out: ") {
                run.out.extend([out, "\n"]);
            } else if let Some(err) = line.strip_prefix("err: ") {
                run.err.extend([err, "\n"]);
            }
        }
    }
    runs
}

#[test]
fn every_error_of_the_recorded_session_has_a_kind() {
    let failed: Vec<_> = transcript()
        .into_iter()
        .filter(|run| !run.err.is_empty())
        .collect();
    assert!(failed.len() > 60, "{}", failed.len());
    for run in failed {
        let kind = ErrorKind::classify(&run.verb, &run.err);
        assert_ne!(kind, ErrorKind::Failed, "{}: {}", run.verb, run.err);
    }
}

#[test]
fn every_answer_of_the_recorded_session_can_be_read() {
    let answers: Vec<_> = transcript()
        .into_iter()
        .filter(|run| run.json && run.code == 0)
        .collect();
    assert!(answers.len() >= 20, "{}", answers.len());
    for Run { verb, out, .. } in answers {
        match verb.as_str() {
            "state" => drop(serde_json::from_str::<ContainerState>(&out).unwrap()),
            "list" => drop(serde_json::from_str::<Option<Vec<ContainerState>>>(&out).unwrap()),
            _ => drop(serde_json::from_str::<Option<Vec<u32>>>(&out).unwrap()),
        }
    }
}

use ErrorKind as K;

const NOSUCH: &str =
    "hcs::System::CreateProcess: nosuch.exe c: The system cannot find the file specified.\n\n";
const INVALID: &str = "hcs::System::Pause c: The requested virtual machine or container operation is not valid in the current state.\n";

/// What was called, what runhcs said, and what it means.
const ERRORS: &[(&str, &str, ErrorKind)] = &[
    ("state", "ID 'nope' was not found\n", K::NotFound),
    ("create", "container c already exists\n", K::AlreadyExists),
    ("create", "container a b already exists\n", K::AlreadyExists),
    ("kill", "container is stopped\n", K::NotRunning),
    (
        "delete",
        "cannot delete container c that is not stopped: running\n",
        K::NotStopped,
    ),
    (
        "start",
        "cannot start an already running container\n",
        K::AlreadyRunning,
    ),
    (
        "start",
        "cannot start a container in the 'paused' state\n",
        K::CannotStartPaused,
    ),
    (
        "start",
        "cannot start a container in the 'unknown' state\n",
        K::InvalidState,
    ),
    (
        "start",
        "cannot start a container that has stopped\n",
        K::CannotStartStopped,
    ),
    ("pause", INVALID, K::InvalidState),
    (
        "pause",
        "hcs::System::Pause c: The request is not supported.\n",
        K::NotSupported,
    ),
    (
        "resize-tty",
        "state 'pid' is not present for ID 'c'\n",
        K::StateMissing,
    ),
    (
        "exec",
        "state 'pid-99999' is not present for ID 'c'\n",
        K::StateMissing,
    ),
    (
        "kill",
        "hcs::System::OpenProcess w: Element not found.\n",
        K::ProcessGone,
    ),
    ("exec", NOSUCH, K::ProgramNotFound),
    ("start", NOSUCH, K::ProgramNotFound),
    (
        "exec",
        "hcs::System::CreateProcess: cmd /c exit c: The directory name is invalid.",
        K::DirectoryNotFound,
    ),
    (
        "create",
        "JSON specification file config.json not found\n",
        K::BundleInvalid,
    ),
    (
        "create",
        "chdir C:\\nobundle: File not found.\n",
        K::BundleInvalid,
    ),
    (
        "create",
        "invalid character 'b' looking for beginning of object key string",
        K::BundleInvalid,
    ),
    (
        "exec",
        "invalid character 'b' looking for beginning of object key string",
        K::ProcessInvalid,
    ),
    (
        "create",
        "field 'Spec.Windows.Layerfolders' is not populated\n",
        K::BundleInvalid,
    ),
    ("exec", "process args cannot be empty\n", K::ProcessInvalid),
    (
        "exec",
        "cwd property must not be empty\n",
        K::ProcessInvalid,
    ),
    (
        "create",
        "failed to mount container storage: need at least two layers - base and scratch\n",
        K::StorageFailed,
    ),
    (
        "create",
        "failed to mount container storage: invalid layer type <nil>\n",
        K::StorageFailed,
    ),
    (
        "create",
        "open C:\\none\\.pid: The system cannot find the path specified.\n",
        K::FileNotFound,
    ),
    ("kill", "invalid signal value\n", K::InvalidSignal),
    (
        "start",
        "unknown shim failure, exit code 2\n",
        K::ShimFailed,
    ),
    ("bogus", "No help topic for 'bogus'\n", K::Usage),
    ("state", "invalid command usage\n", K::Usage),
    ("list", "invalid format option\n", K::Usage),
    (
        "create",
        "hcs::CreateComputeSystem d: A virtual machine or container with the specified identifier already exists.",
        K::HcsAlreadyExists,
    ),
    (
        "create",
        "hcs::CreateComputeSystem c: The virtual machine or container exited unexpectedly.\n[Event Detail: …]",
        K::UnexpectedExit,
    ),
    (
        "start",
        "panic: runtime error\n\ngoroutine 1 [running]:\n",
        K::Crashed,
    ),
    ("list", "open nul: Access is denied.", K::AccessDenied),
    ("start", "something new\n", K::Failed),
    ("start", "", K::Failed),
];

#[test]
fn each_error_text_has_its_kind() {
    for (verb, text, kind) in ERRORS {
        assert_eq!(ErrorKind::classify(verb, text), *kind, "{verb}: {text}");
    }
}

#[test]
fn a_listed_container_keeps_all_that_runhcs_says_of_it() {
    let listed = r#"[{"ociVersion":"1.0.2","id":"c","pid":836,"status":"created","bundle":"Z:\\WORK\\c","rootfs":"","created":"2026-11-24T04:05:15.676391Z","annotations":{"app":"c"},"owner":""}]"#;
    let list: Option<Vec<ContainerState>> = serde_json::from_str(listed).unwrap();
    let state = list.unwrap().remove(0);
    assert_eq!(state.oci_version, "1.0.2");
    assert_eq!(state.id, "c");
    assert_eq!(state.pid.get(), Some(836));
    assert_eq!(state.status, Status::Created);
    assert_eq!(state.bundle, r"Z:\WORK\c");
    assert_eq!(
        state.created,
        "2026-11-24T04:05:15.676391Z"
            .parse::<DateTime<Utc>>()
            .unwrap()
    );
    assert_eq!(state.annotations["app"], "c");
}

#[test]
fn what_runhcs_leaves_out_is_empty() {
    let state: ContainerState = serde_json::from_str(r#"{"id":"c","annotations":null}"#).unwrap();
    assert_eq!(state.status, Status::Unknown(String::new()));
    assert_eq!(state.pid, ShimPid::Gone);
    assert!(state.annotations.is_empty());
    assert!(
        serde_json::from_str::<ContainerState>("{}").is_err(),
        "an id is needed"
    );
}

#[test]
fn pids_tell_a_shim_from_none() {
    let pid = |text| serde_json::from_str::<ShimPid>(text).unwrap();
    assert_eq!(pid("0"), ShimPid::Gone);
    assert_eq!(pid("-1"), ShimPid::HalfMade);
    assert_eq!(pid("4294967295").get(), Some(u32::MAX));
    assert_eq!(pid("4294967296"), ShimPid::Invalid(4_294_967_296));
}

#[test]
fn labels_are_unique_and_camel_case() {
    let mut labels: Vec<_> = ErrorKind::ALL.iter().map(|kind| kind.label()).collect();
    assert!(
        labels
            .iter()
            .all(|label| label.bytes().all(|byte| byte.is_ascii_alphabetic()))
    );
    labels.sort_unstable();
    labels.dedup();
    assert_eq!(labels.len(), ErrorKind::ALL.len());
}

proptest! {
    #[test]
    fn no_answer_makes_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = serde_json::from_slice::<Option<Vec<ContainerState>>>(&bytes);
    }

    #[test]
    fn no_field_makes_the_parser_panic(
        pid in any::<i64>(), status in ".*", created in "[0-9:.TZ+-]{0,30}", note in ".*",
    ) {
        let text = serde_json::json!({
            "id": "c", "pid": pid, "status": status, "created": created, "annotations": {"a": note},
        })
        .to_string();
        if let Ok(state) = serde_json::from_str::<ContainerState>(&text) {
            prop_assert_eq!(state.status.as_str(), status);
        }
    }

    #[test]
    fn no_error_text_makes_the_classifier_panic(text in ".{0,100}", start in 0..40_usize) {
        const WORDS: &str = "ID 'container state hcs::System::CreateProcess open ' was not found";
        let words = WORDS.get(start..).unwrap_or_default();
        let _ = ErrorKind::classify("exec", &format!("{words}{text}{words}"));
    }
}
