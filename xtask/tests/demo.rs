//! `cargo xtask demo`: that it shows what it promises, and that Ctrl-C leaves nothing running.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};

fn demo(dir: &std::path::Path) -> Command {
    let mut demo = Command::new(env!("CARGO_BIN_EXE_xtask"));
    demo.arg("demo")
        .arg("--dir")
        .arg(dir)
        .stdout(Stdio::piped())
        .process_group(0);
    demo
}

#[test]
fn ctrl_c_in_the_demo_leaves_nothing_running() {
    let dir = tempfile::tempdir().unwrap();
    let mut demo = demo(dir.path()).spawn().unwrap();
    let mut output = BufReader::new(demo.stdout.take().unwrap());
    let mut shown = String::new();
    while !shown.contains("until Ctrl-C") {
        let read = output.read_line(&mut shown).unwrap();
        assert!(read > 0, "it ended before it was ready: {shown}");
    }
    assert!(shown.contains("are Ready"), "{shown}");
    assert!(!hcs_tests::process::concerned_with(dir.path()).is_empty());
    // As a terminal does: to the whole foreground group.
    let group = Pid::from_raw(i32::try_from(demo.id()).unwrap()).unwrap();
    kill_process_group(group, Signal::INT).unwrap();
    output.read_to_string(&mut shown).unwrap();
    assert!(demo.wait().unwrap().success(), "{shown}");
    let left = hcs_tests::process::concerned_with(dir.path());
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn the_walk_shows_each_state() {
    let dir = tempfile::tempdir().unwrap();
    let output = demo(dir.path()).arg("--once").output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{shown}");
    let states = [
        "created",
        "running",
        "paused",
        "running again",
        "resized",
        "stopped",
        "deleted",
    ];
    for state in states {
        assert!(shown.contains(&format!("== {state}")), "{state}: {shown}");
    }
    assert!(hcs_tests::process::concerned_with(dir.path()).is_empty());
}
