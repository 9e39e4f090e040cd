//! Each point at which a call or a shim can be struck.

use std::time::{Duration, Instant};

use runhcs_sim::platform::process_is_alive;
use runhcs_sim::{Action, Fault, Point};
use serde_json::{Value, json};

use crate::support::{Said, TestNode, wait_for};

const FOREVER: &str = "while :; do sleep 1; done";

fn fail() -> Action {
    Action::Fail {
        exit_code: 9,
        stderr: "struck".to_owned(),
    }
}

fn struck() -> Said {
    Said {
        code: 9,
        out: String::new(),
        err: "struck\n".to_owned(),
    }
}

#[test]
fn a_create_that_fails_at_any_point_leaves_nothing() {
    let node = TestNode::new();
    let bundle = node.write_bundle("c", &node.config("c", FOREVER));
    for point in [
        Point::Begin,
        Point::BeforeEffect,
        Point::RecordWritten,
        Point::ShimStarted,
        Point::PidFileWritten,
    ] {
        node.sim
            .inject(Fault::new("create", point, fail()))
            .unwrap();
        assert_eq!(
            node.run(&["create", "-b", &bundle, "c"]),
            struck(),
            "{point:?}"
        );
        assert_eq!(node.list(), Value::Null, "{point:?}");
        node.sim.clear_faults().unwrap();
    }
    node.ok(&["create", "-b", &bundle, "c"]);
}

#[test]
fn a_create_that_dies_with_its_shim_started_leaves_a_container_of_pid_minus_1() {
    let node = TestNode::new();
    let pid_file = node.path("c.pid");
    // An id of its own for each: the shim of a container that was deleted writes its end into whoever's record it is by then.
    for (id, point, has_pid_file) in [
        ("started", Point::ShimStarted, false),
        ("written", Point::PidFileWritten, true),
    ] {
        let bundle = node.write_bundle(id, &node.config(id, FOREVER));
        node.sim
            .inject(Fault::new("create", point, Action::Die).times(1))
            .unwrap();
        let args = [
            "create",
            "-b",
            &bundle,
            "--pid-file",
            pid_file.to_str().unwrap(),
            id,
        ];
        assert_eq!(node.run(&args).code, -1);
        assert_eq!(pid_file.exists(), has_pid_file);
        assert_eq!(
            (&node.list()[0]["pid"], &node.list()[0]["status"]),
            (&json!(-1), &json!("created"))
        );
        node.ok(&["delete", id]);
    }
    let shim: u32 = std::fs::read_to_string(pid_file).unwrap().parse().unwrap();
    wait_for("the shim's end", || (!process_is_alive(shim)).then_some(()));
}

#[test]
fn a_call_may_fail_after_its_effect() {
    let node = TestNode::new();
    node.create("c", FOREVER);
    node.sim
        .inject(Fault::new("start", Point::AfterEffect, fail()).times(1))
        .unwrap();
    assert_eq!(node.run(&["start", "c"]), struck());
    assert_eq!(node.list()[0]["status"], "running");
    node.sim
        .inject(Fault::new("kill", Point::BeforeEffect, fail()).times(1))
        .unwrap();
    assert_eq!(node.run(&["kill", "c"]), struck());
    assert_eq!(node.list()[0]["status"], "running");
    node.sim
        .inject(Fault::new("delete", Point::AfterEffect, fail()).times(1))
        .unwrap();
    assert_eq!(node.run(&["delete", "--force", "c"]), struck());
    assert_eq!(node.list(), Value::Null);
}

#[test]
fn output_can_be_garbage_or_cut_short() {
    let node = TestNode::new();
    let garbage = Action::Garbage {
        stdout: "<html>".to_owned(),
    };
    node.sim
        .inject(Fault::new("list", Point::Output, garbage).times(1))
        .unwrap();
    assert_eq!(node.run(&["list"]).out, "<html>");
    node.sim
        .inject(Fault::new(
            "list",
            Point::Output,
            Action::Truncate { bytes: 3 },
        ))
        .unwrap();
    assert_eq!(node.run(&["list", "-f", "json"]).out, "nul");
}

#[test]
fn a_call_can_be_slow_or_hang_for_one_container_only() {
    let node = TestNode::new();
    node.create("a1", FOREVER);
    node.create("b1", FOREVER);
    let slow = Fault::new("state", Point::Begin, Action::Delay { ms: 200 }).of_id("a*");
    node.sim.inject(slow).unwrap();
    let began = Instant::now();
    assert_eq!(node.run(&["state", "a1"]).code, 0);
    assert!(began.elapsed() >= Duration::from_millis(200));
    node.sim.clear_faults().unwrap();

    node.sim
        .inject(Fault::new("start", Point::BeforeEffect, Action::Hang).of_id("a*"))
        .unwrap();
    let mut hanging = node.command(&["start", "a1"]).spawn().unwrap();
    wait_for("its account", || {
        (node.sim.count("start").unwrap() == 1).then_some(())
    });
    node.ok(&["start", "b1"]);
    assert!(hanging.try_wait().unwrap().is_none());
    hanging.kill().unwrap();
    hanging.wait().unwrap();
    let calls = node.sim.calls().unwrap();
    let codes: Vec<Option<u32>> = calls
        .iter()
        .filter(|call| call.verb == "start")
        .map(|call| call.exit_code)
        .collect();
    assert_eq!(codes, [None, Some(0)]);
    node.sim.clear_faults().unwrap();
    node.ok(&["start", "a1"]);
}

#[test]
fn faults_are_counted_over_calls_at_the_same_time() {
    let node = TestNode::new();
    node.sim
        .inject(Fault::new("list", Point::Begin, fail()).skip(2).times(5))
        .unwrap();
    let calls: Vec<_> = (0..20)
        .map(|_| node.command(&["list", "-q"]).spawn().unwrap())
        .collect();
    let failed = calls
        .into_iter()
        .filter_map(|mut call| call.wait().unwrap().code())
        .filter(|c| *c == 9);
    assert_eq!(failed.count(), 5);
}

#[test]
fn a_shim_can_fail_before_it_is_ready_and_when_it_starts() {
    let node = TestNode::new();
    let bundle = node.write_bundle("c", &node.config("c", FOREVER));
    node.sim
        .inject(Fault::new("shim", Point::ShimReady, fail()).times(1))
        .unwrap();
    assert_eq!(
        node.run(&["create", "-b", &bundle, "c"]),
        Said::refused("struck\n")
    );
    assert_eq!(node.list(), Value::Null);
    node.sim
        .inject(Fault::new("shim", Point::ShimReady, Action::Die).times(1))
        .unwrap();
    let said = node.run(&["create", "-b", &bundle, "c"]);
    assert!(
        said.err.starts_with("unknown shim failure, exit code "),
        "{said:?}"
    );
    node.ok(&["create", "-b", &bundle, "c"]);
    node.sim
        .inject(Fault::new("shim", Point::ProcessStart, fail()).times(1))
        .unwrap();
    assert_eq!(node.run(&["start", "c"]), Said::refused("struck\n"));
    assert_eq!(node.list()[0]["status"], "stopped");
}
