//! A node as a whole: reboots, many calls at once, its account, what its shims hold.

use std::io::Read;
use std::process::Stdio;
use std::time::{Duration, Instant};

use runhcs_sim::platform::process_is_alive;
use runhcs_sim::{Action, Fault, Point, Settings, ShimStdio};
use serde_json::Value;

use crate::support::{Said, TestNode, wait_for_file};

const FOREVER: &str = "while :; do sleep 1; done";

#[test]
fn a_reboot_forgets_all_containers_and_ends_all_processes() {
    let node = TestNode::new();
    let file = node.path("pid");
    let bundle = node.start(
        "a",
        &format!(
            "setsid sleep 1000 & echo $! > {}; {FOREVER}",
            file.display()
        ),
    );
    node.create("b", FOREVER);
    let child: u32 = wait_for_file(&file).trim().parse().unwrap();
    node.sim
        .inject(Fault::new("state", Point::Begin, Action::Hang).times(1))
        .unwrap();
    let mut hanging = node.command(&["state", "a"]).spawn().unwrap();
    let (before, shim) = (node.sim.boot_id().unwrap(), node.container("a").shim);
    node.sim.reboot().unwrap();
    assert_ne!(node.sim.boot_id().unwrap(), before);
    assert!(!process_is_alive(child));
    assert!(!process_is_alive(u32::try_from(shim).unwrap()));
    assert!(!hanging.wait().unwrap().success());
    assert_eq!(node.list(), Value::Null);
    assert!(node.sim.mounted_layers().unwrap().is_empty());
    assert!(node.path("a").join("scratch").join("sandbox.vhdx").exists());
    node.ok(&["create", "-b", &bundle, "a"]);
    node.ok(&["start", "a"]);
}

#[test]
fn many_creates_at_once_all_succeed() {
    const MANY: usize = 60;
    let node = TestNode::new();
    let bundle = node.write_bundle("m", &node.config("m", "sleep 1000"));
    let each = |verb: &[&str]| {
        let calls: Vec<_> = (0..MANY)
            .map(|number| {
                let id = format!("m{number}");
                let mut args = verb.to_vec();
                args.push(&id);
                node.command(&args).spawn().unwrap()
            })
            .collect();
        for mut call in calls {
            assert!(call.wait().unwrap().success(), "{verb:?}");
        }
    };
    each(&["create", "-b", &bundle]);
    each(&["start"]);
    let list = node.list();
    let running = list
        .as_array()
        .unwrap()
        .iter()
        .filter(|c| c["status"] == "running");
    assert_eq!(running.count(), MANY);
    each(&["delete", "--force"]);
    assert_eq!(node.list(), Value::Null);
}

#[test]
fn of_creates_of_one_id_at_once_one_succeeds() {
    let node = TestNode::new();
    let bundle = node.write_bundle("m", &node.config("m", FOREVER));
    let args = ["create", "-b", &bundle, "m"];
    let calls: Vec<_> = (0..20)
        .map(|_| node.command(&args).spawn().unwrap())
        .collect();
    let succeeded = calls
        .into_iter()
        .filter_map(|mut call| call.wait().unwrap().success().then_some(()));
    assert_eq!(succeeded.count(), 1);
}

#[test]
fn every_call_is_told_with_its_arguments_and_exit_code() {
    let node = TestNode::new();
    node.sim.forget_calls().unwrap();
    node.run(&["list", "-f", "json"]);
    node.run(&["state", "nope"]);
    node.start("c", FOREVER);
    let calls = node.sim.calls().unwrap();
    let told: Vec<(&str, &str, Option<u32>)> = calls
        .iter()
        .map(|call| (call.verb.as_str(), call.id.as_str(), call.exit_code))
        .collect();
    assert_eq!(
        told,
        [
            ("list", "", Some(0)),
            ("state", "nope", Some(1)),
            ("create", "c", Some(0)),
            ("start", "c", Some(0)),
        ]
    );
    assert_eq!(calls[0].argv, ["list", "-f", "json"]);
    assert_eq!(node.sim.count("create").unwrap(), 1);
}

/// Runs a call with a pipe for its output; what was read, and whether it ended in time.
fn read_to_end(node: &TestNode, args: &[&str]) -> (String, Duration) {
    let mut command = node.command(args);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let began = Instant::now();
    let mut text = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    child.wait().unwrap();
    (text, began.elapsed())
}

#[test]
fn a_shim_holds_the_streams_and_the_container_writes_there() {
    let node = TestNode::new();
    let bundle = node.write_bundle("c", &node.config("c", "sleep 0.3; echo from inside"));
    let mut command = node.command(&["create", "-b", &bundle, "c"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    assert!(child.wait().unwrap().success());
    node.ok(&["start", "c"]);
    let mut text = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(text, "from inside\n");
    node.start("d", FOREVER);
    assert_eq!(
        node.run(&["exec", "d", "sh", "-c", "echo hello"]).out,
        "hello\n"
    );
}

#[test]
fn streams_can_be_lost_as_with_v0_11_7() {
    let node = TestNode::new();
    let settings = Settings {
        shim_stdio: ShimStdio::Lost,
        ..Settings::default()
    };
    node.sim.set_settings(&settings).unwrap();
    let bundle = node.write_bundle("c", &node.config("c", &format!("echo lost; {FOREVER}")));
    let (text, _) = read_to_end(&node, &["create", "-b", &bundle, "c"]);
    assert_eq!(text, "");
    let (text, _) = read_to_end(&node, &["start", "c"]);
    assert_eq!(text, "");
    assert_eq!(
        node.run(&["exec", "c", "sh", "-c", "echo hello"]),
        Said::silent()
    );
}

#[test]
fn a_log_gets_what_failed() {
    let node = TestNode::new();
    let log = node.path("log");
    let text = log.to_str().unwrap();
    node.run(&["--log", text, "--log-format", "json", "state", "nope"]);
    let line: Value = serde_json::from_str(&std::fs::read_to_string(&log).unwrap()).unwrap();
    assert_eq!(line["msg"], "ID 'nope' was not found\n");
    let missing = node.path("none").join("log");
    let said = node.run(&["--log", missing.to_str().unwrap(), "list"]);
    let expected = format!(
        "open {}: The system cannot find the path specified.\n",
        missing.display()
    );
    assert_eq!(said.code, 1);
    assert!(
        said.err.starts_with("time=\"20") && said.err.ends_with(&expected),
        "{said:?}"
    );
}

/// A thousand containers take a while to make, so only when asked: figures for the documentation.
#[test]
#[ignore = "makes 1,000 containers"]
fn list_and_create_are_quick_with_a_thousand_containers() {
    const MANY: usize = 1000;
    let node = TestNode::new();
    let bundle = node.write_bundle("m", &node.config("m", "sleep 1000"));
    let mut times = Vec::new();
    for number in 0..MANY {
        let began = Instant::now();
        node.ok(&["create", "-b", &bundle, &format!("m{number}")]);
        times.push(began.elapsed());
    }
    let mean = |times: &[Duration]| times.iter().sum::<Duration>() / 100;
    let (first, last) = (mean(&times[..100]), mean(&times[MANY - 100..]));
    let mut lists: Vec<Duration> = (0..21)
        .map(|_| {
            let began = Instant::now();
            node.run(&["list", "--format", "json"]);
            began.elapsed()
        })
        .collect();
    lists.sort();
    println!(
        "create: first 100 {first:?}, last 100 {last:?}; list: median {:?}",
        lists[10]
    );
    assert!(last < first * 3, "create slows down: {first:?}, {last:?}");
}

#[test]
fn an_attempt_that_is_made_while_another_lives_is_noted() {
    let node = TestNode::new();
    for id in ["hc-one-1", "hc-two-1"] {
        node.create(id, FOREVER);
    }
    assert_eq!(node.sim.overlaps().unwrap(), None);
    node.ok(&["delete", "hc-two-1"]);
    node.create("hc-two-2", FOREVER);
    assert_eq!(node.sim.overlaps().unwrap(), None);
    node.create("hc-one-2", FOREVER);
    let noted = node.sim.overlaps().unwrap().unwrap();
    assert_eq!(noted, "hc-one-1 lives while hc-one-2 is made\n");
}

#[test]
fn calls_that_come_to_a_fault_are_counted_whether_it_strikes_or_not() {
    let node = TestNode::new();
    let mut fault = Fault::new("list", Point::Begin, Action::Delay { ms: 0 }).times(1);
    fault.key = "counted".to_owned();
    node.sim.inject(fault).unwrap();
    assert_eq!(node.sim.met("counted").unwrap(), 0);
    for _ in 0..2 {
        node.list();
    }
    assert_eq!(node.sim.met("counted").unwrap(), 2);
}
