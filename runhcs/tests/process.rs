//! How runhcs is run, seen with a script in its place: deadlines, what is killed and what is not,
//! streams, exit codes, and every way not to answer.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use runhcs::{
    CreateOpts, DeleteOpts, Error, ErrorKind, ExecOpts, ExitCode, OutputError, Program, Runhcs,
    StdioFiles,
};

/// Far more than any of this takes, and far less than the script hangs.
const SOON: Duration = Duration::from_secs(20);

fn client(behaviour: &str, value: impl AsRef<Path>) -> Runhcs {
    let fake = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/fake-runhcs");
    Runhcs {
        program: Program::path(fake).unwrap(),
        owner: Some(behaviour.into()),
        root: Some(value.as_ref().to_str().unwrap().into()),
        ..Runhcs::default()
    }
}

/// A folder, and a path in it for the script to write pids to.
fn pid_file() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pid");
    (folder, path)
}

fn pid(path: &Path, suffix: &str) -> String {
    let pid = written(path, suffix).unwrap();
    pid.trim().parse::<u32>().unwrap().to_string()
}

/// What the script wrote, once the line is complete.
fn written(path: &Path, suffix: &str) -> Option<String> {
    let path = format!("{}{suffix}", path.display());
    fs::read_to_string(path)
        .ok()
        .filter(|text| text.ends_with('\n'))
}

/// A shim that the script left behind on purpose, which ends with the test.
struct Shim(String);

impl Drop for Shim {
    fn drop(&mut self) {
        let pid = self.0.parse().ok().and_then(rustix::process::Pid::from_raw);
        pid.map(|pid| rustix::process::kill_process(pid, rustix::process::Signal::KILL));
    }
}

/// Does a process of this pid run? One that has ended but has a careless parent does not.
fn runs(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(") ").next().unwrap().starts_with(['Z', 'X']))
}

fn is_there(pid: &str) -> bool {
    Path::new("/proc").join(pid).exists()
}

async fn until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + SOON;
    while !condition() {
        assert!(Instant::now() < deadline, "it did not come true in time");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn answers_are_read() {
    assert!(client("print", "null").list().await.unwrap().is_empty());
    assert!(client("print", "null").ps("x").await.unwrap().is_empty());
    assert_eq!(client("print", "[484,7]").ps("x").await.unwrap(), [484, 7]);
    assert_eq!(
        client("print", r#"{"id":"x"}"#)
            .state("x")
            .await
            .unwrap()
            .id,
        "x"
    );
}

#[tokio::test]
async fn garbage_for_an_answer_is_bad_output_with_its_start() {
    for garbage in [" ", "ID PID", "[1,-2]", r#"[{"pid":1}]"#, "\u{1F980}"] {
        let error = client("print", garbage).list().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadOutput, "{garbage}");
        assert_eq!(error.exit_code(), Some(ExitCode::SUCCESS));
        let Error::BadOutput {
            source: OutputError::Json { start, .. },
            ..
        } = error
        else {
            panic!("{error}");
        };
        assert_eq!(start, garbage);
    }
}

#[tokio::test]
async fn an_answer_without_end_is_cut() {
    for behaviour in ["long", "endless"] {
        let started = Instant::now();
        let error = client(behaviour, "").list().await.unwrap_err();
        assert!(started.elapsed() < SOON);
        let Error::BadOutput {
            source: OutputError::TooLong { limit },
            ..
        } = error
        else {
            panic!("{error}");
        };
        assert_eq!(limit, 64 << 20);
    }
}

#[tokio::test]
async fn a_failure_keeps_command_exit_code_and_words() {
    let error = client("fail", "container is stopped")
        .start("a b")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotRunning);
    assert_eq!(error.exit_code().map(ExitCode::get), Some(1));
    assert_eq!(error.stderr(), "container is stopped\n");
    let command = error.command().unwrap();
    assert_eq!(command.args[4..], ["start", "a b"]);
    let message = error.to_string();
    assert!(message.contains(r#"start "a b""#), "{message}");
    assert!(
        message.ends_with("exit code 1: container is stopped"),
        "{message}"
    );
}

#[tokio::test]
async fn only_the_end_of_a_long_stderr_is_kept() {
    let error = client("fail-late", "ID 'x' was not found")
        .state("x")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.stderr().len(), 64 << 10);
    assert!(error.to_string().len() < 2048);
}

#[tokio::test]
async fn exec_hands_on_the_exit_code_of_the_process() {
    for code in [0, 1, 2, 3, 9, 255] {
        let client = client("exit", code.to_string());
        let exit = client
            .exec("x", "/p.json", &ExecOpts::default())
            .await
            .unwrap();
        assert_eq!(exit.get(), code);
    }
}

#[tokio::test]
async fn exec_that_fails_itself_is_an_error() {
    for (text, kind) in [
        ("container is stopped", ErrorKind::NotRunning),
        ("something new", ErrorKind::Failed),
    ] {
        let exec = client("fail", text)
            .exec("x", "/p.json", &ExecOpts::default())
            .await;
        assert_eq!(exec.unwrap_err().kind(), kind);
    }
    let detached = ExecOpts {
        detach: true,
        ..ExecOpts::default()
    };
    let exec = client("exit", "7").exec("x", "/p.json", &detached).await;
    assert_eq!(exec.unwrap_err().exit_code().map(ExitCode::get), Some(7));
}

#[tokio::test]
async fn streams_can_be_files_of_the_caller() {
    let folder = tempfile::tempdir().unwrap();
    let [stdout, stderr] = ["out", "err"].map(|name| folder.path().join(name));
    fs::write(&stderr, "container is stopped\n").unwrap();
    let stdio = StdioFiles {
        stdin: Some("/dev/zero".into()),
        stdout: Some(stdout.clone()),
        stderr: Some(stderr.clone()),
    };
    let opts = ExecOpts {
        stdio,
        ..ExecOpts::default()
    };
    let exit = client("output", "")
        .exec("x", "/p.json", &opts)
        .await
        .unwrap();
    assert_eq!(
        exit.get(),
        1,
        "the words of before and of the process are not runhcs'"
    );
    assert_eq!(fs::read_to_string(stdout).unwrap(), "out\n");
    assert_eq!(
        fs::read_to_string(stderr).unwrap(),
        "container is stopped\nerr\n"
    );

    let stdio = StdioFiles {
        stdin: Some(folder.path().join("none")),
        ..StdioFiles::default()
    };
    let opts = ExecOpts {
        stdio,
        ..ExecOpts::default()
    };
    let error = client("exit", "0")
        .exec("x", "/p.json", &opts)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Stdio { .. }), "{error}");
}

#[tokio::test]
async fn standard_input_is_empty() {
    client("input", "").pause("x").await.unwrap();
}

#[tokio::test]
async fn a_shim_that_holds_the_streams_delays_nothing_and_lives_on() {
    let (_folder, file) = pid_file();
    let mut client = client("shim", &file);
    client.timeout = Some(SOON);
    client.start("x").await.unwrap();
    let shim = Shim(pid(&file, ""));
    assert!(runs(&shim.0));
}

#[tokio::test]
async fn a_call_out_of_time_is_killed_with_its_children_but_not_its_shim() {
    let (_folder, file) = pid_file();
    let mut client = client("hang", &file);
    client.timeout = Some(Duration::from_secs(2));
    let started = Instant::now();
    let error = client
        .delete("x", &DeleteOpts { force: true })
        .await
        .unwrap_err();
    assert!(
        started.elapsed() < Duration::from_secs(4),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert_eq!(error.stderr(), "still waiting\n");
    assert!(!is_there(&pid(&file, "")), "a zombie is left");
    let (child, shim) = (pid(&file, ".child"), Shim(pid(&file, ".shim")));
    until(|| !runs(&child)).await;
    assert!(runs(&shim.0));
}

#[tokio::test]
async fn a_deadline_beyond_all_time_is_none() {
    let mut client = client("exit", "0");
    client.timeout = Some(Duration::MAX);
    client.start("x").await.unwrap();
}

#[tokio::test]
async fn a_call_that_is_dropped_is_killed_with_its_children() {
    let (_folder, file) = pid_file();
    let client = client("hang", &file);
    tokio::select! {
        result = client.start("x") => panic!("{result:?}"),
        () = until(|| written(&file, "").is_some()) => {}
    }
    let (child, shim) = (pid(&file, ".child"), Shim(pid(&file, ".shim")));
    let runhcs = pid(&file, "");
    until(|| !runs(&child) && !runs(&runhcs)).await;
    assert!(runs(&shim.0));
}

#[tokio::test]
async fn death_by_a_signal_is_told_from_an_exit_code() {
    let error = client("die", "").resume("x").await.unwrap_err();
    assert!(matches!(error, Error::Killed { signal: 9, .. }), "{error}");
    assert_eq!((error.kind(), error.exit_code()), (ErrorKind::Killed, None));
}

#[tokio::test]
async fn an_executable_that_is_not_there_or_not_one_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let [none, text, empty] = ["none", "text", "empty"].map(|name| folder.path().join(name));
    fs::write(&text, "text").unwrap();
    fs::write(&empty, [0; 64]).unwrap();
    fs::set_permissions(&empty, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    for (path, kind) in [
        (&none, ErrorKind::ExecutableNotFound),
        (&text.join("below"), ErrorKind::ExecutableNotFound),
        (&text, ErrorKind::NotExecutable),
        (&folder.path().to_owned(), ErrorKind::NotExecutable),
        (&empty, ErrorKind::NotExecutable),
    ] {
        let program = Program::path(path).unwrap();
        let error = Runhcs {
            program,
            ..Runhcs::default()
        }
        .list()
        .await
        .unwrap_err();
        assert_eq!(error.kind(), kind, "{error:?}");
    }
}

#[tokio::test]
async fn input_that_is_refused_starts_nothing() {
    let client = Runhcs {
        program: Program::path("/none").unwrap(),
        ..Runhcs::default()
    };
    for id in ["", "-x", "a\0b"] {
        assert_eq!(
            client.start(id).await.unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_calls_at_once_keep_their_answers_apart() {
    let calls: Vec<_> = (0..64_u32)
        .map(|n| tokio::spawn(async move { client("print", format!("[{n}]")).ps("x").await }))
        .collect();
    for (n, call) in (0..64).zip(calls) {
        assert_eq!(call.await.unwrap().unwrap(), [n]);
    }
}

#[test]
fn futures_can_move_between_threads() {
    fn is_send<T: Send>(_: &T) {}
    let client = Runhcs::default();
    is_send(&client.create("x", "bundle", &CreateOpts::default()));
    is_send(&client.list());
}
