//! How containers and shims end, and what is to be seen of it.

use std::fs;
use std::process::{Command, Stdio};

use runhcs_sim::platform::process_is_alive;
use runhcs_sim::{Action, Fault, Point, Settings};
use serde_json::{Value, json};

use crate::support::{Said, TestNode, wait_for, wait_for_file};

const FOREVER: &str = "while :; do sleep 1; done";
/// `STATUS_CONTROL_C_EXIT`.
const CONTROL_C_EXIT: u32 = 0xC000_013A;
const NO_PROCESS: &str = "hcs::System::OpenProcess w: Element not found.";

#[test]
fn a_shim_ends_with_the_exit_code_of_init() {
    let node = TestNode::new();
    node.start("x", "exit 7");
    assert_eq!(node.wait_for_end("x"), 7);
}

#[test]
fn a_signal_ends_with_control_c_exit_unless_it_is_handled() {
    let node = TestNode::new();
    let ready = node.path("ready");
    let script = format!("trap 'exit 3' TERM; echo > {}; {FOREVER}", ready.display());
    node.start("handles", &script);
    wait_for_file(&ready);
    node.ok(&["kill", "handles"]);
    assert_eq!(node.wait_for_end("handles"), 3);
    node.start("ends", FOREVER);
    node.ok(&["kill", "ends", "CtrlShutdown"]);
    assert_eq!(node.wait_for_end("ends"), 0xC000_013A);
}

#[test]
fn what_a_signal_does_can_be_said_in_the_environment() {
    let node = TestNode::new();
    let with = |name: &str, value: &str| {
        let mut config = node.config(name, FOREVER);
        config["process"]["env"] = json!([format!("RUNHCS_SIM_ON_SIGNAL={value}")]);
        let bundle = node.write_bundle(name, &config);
        node.ok(&["create", "-b", &bundle, name]);
        node.ok(&["start", name]);
        node.ok(&["kill", name, "TERM"]);
    };
    with("ends", "3221226505");
    assert_eq!(node.wait_for_end("ends"), 0xC000_0409);
    with("ignores", "ignore");
    assert_eq!(
        node.container("ignores").processes[0].signals,
        ["CtrlShutdown"]
    );
    assert_eq!(node.container("ignores").status, "running");
    node.ok(&["kill", "ignores", "9"]);
    assert_eq!(node.wait_for_end("ignores"), u32::MAX);
}

#[test]
fn a_terminal_has_its_first_size_and_is_killed_by_any_signal() {
    let node = TestNode::new();
    let mut config = node.config("y", FOREVER);
    config["process"]["terminal"] = json!(true);
    config["process"]["consoleSize"] = json!({"height": 30, "width": 100});
    let bundle = node.write_bundle("y", &config);
    node.ok(&["create", "-b", &bundle, "y"]);
    node.ok(&["start", "y"]);
    let size = || {
        node.container("y")
            .terminal_size
            .map(|size| (size.width, size.height))
    };
    assert_eq!(size(), Some((100, 30)));
    node.ok(&["resize-tty", "y", "120", "40"]);
    assert_eq!(size(), Some((120, 40)));
    node.ok(&["kill", "y"]);
    assert_eq!(node.wait_for_end("y"), u32::MAX);
}

#[test]
fn force_ends_with_process_aborted_and_delete_of_a_created_one_with_1() {
    let node = TestNode::new();
    let code = |id: &str, args: &[&str]| {
        let mirror = node
            .sim
            .state_dir()
            .join("systems")
            .join(format!("c-{id}.json"));
        node.ok(args);
        let mirror: Value = serde_json::from_str(&fs::read_to_string(mirror).unwrap()).unwrap();
        mirror["shimExitCode"].as_u64().unwrap()
    };
    node.start("running", FOREVER);
    assert_eq!(code("running", &["delete", "--force", "running"]), 1067);
    node.create("created", FOREVER);
    assert_eq!(code("created", &["delete", "created"]), 1);
    assert_eq!(node.list(), Value::Null);
}

#[test]
fn a_program_that_is_not_there_stops_the_container_with_1() {
    let node = TestNode::new();
    let mut config = node.config("x", "");
    config["process"]["args"] = json!(["nosuch.exe", "a b", "200"]);
    let bundle = node.write_bundle("x", &config);
    node.ok(&["create", "-b", &bundle, "x"]);
    let text = "hcs::System::CreateProcess: nosuch.exe \"a b\" 200 x: The system cannot find the \
                file specified.\n";
    assert_eq!(node.run(&["start", "x"]), Said::refused(text));
    assert_eq!(node.list()[0]["pid"], 0);
    assert_eq!(node.wait_for_end("x"), 1);
    node.ok(&["delete", "x"]);
}

#[test]
fn a_container_may_outlive_its_init_process() {
    let node = TestNode::new();
    node.start("w", FOREVER);
    let go_on = node.path("go-on");
    let hold = Action::Hold {
        until: go_on.clone(),
    };
    node.sim
        .inject(Fault::new("shim", Point::ProcessEnded, hold))
        .unwrap();
    node.ok(&["kill", "w"]);
    wait_for("the end of init", || {
        node.container("w").processes[0].exit_code
    });
    assert_eq!(node.list()[0]["status"], "running");
    assert_ne!(node.list()[0]["pid"], 0);
    assert_eq!(node.run(&["kill", "w"]), Said::refused(NO_PROCESS));
    assert_eq!(
        node.run(&["resize-tty", "w", "80", "25"]),
        Said::refused(NO_PROCESS)
    );
    let text = "cannot delete container w that is not stopped: running";
    assert_eq!(node.run(&["delete", "w"]), Said::refused(text));
    assert_eq!(node.run(&["exec", "w", "sh", "-c", "exit 6"]).code, 6);
    fs::write(go_on, "").unwrap();
    assert_eq!(node.wait_for_end("w"), 0xC000_013A);
}

#[test]
fn a_node_can_shut_its_containers_down_slowly() {
    let node = TestNode::new();
    let settings = Settings {
        shutdown_delay_ms: 300,
        ..Settings::default()
    };
    node.sim.set_settings(&settings).unwrap();
    node.start("w", "exit 4");
    wait_for("the end of init", || {
        node.container("w").processes[0].exit_code
    });
    assert_eq!(node.list()[0]["status"], "running");
    assert_eq!(node.run(&["ps", "w"]).out, "null\n");
    assert_eq!(node.wait_for_end("w"), 4);
}

#[test]
fn descendants_end_with_the_container() {
    let node = TestNode::new();
    let file = node.path("pid");
    // The grandchild leaves its parent and its group, and is not told.
    let script = format!(
        "(setsid sleep 1000 & echo $! > {}) ; {FOREVER}",
        file.display()
    );
    node.start("z", &script);
    let child: u32 = wait_for_file(&file).trim().parse().unwrap();
    let pids: Vec<u32> = serde_json::from_str(&node.run(&["ps", "z"]).out).unwrap();
    assert!(pids.contains(&child), "{child} {pids:?}");
    node.ok(&["kill", "z"]);
    node.wait_for_end("z");
    assert!(!process_is_alive(child));
}

#[test]
fn a_paused_container_stands_still() {
    let node = TestNode::new();
    let settings = Settings {
        pause_process_isolation: runhcs_sim::PauseProcessIsolation::Allow,
        ..Settings::default()
    };
    node.sim.set_settings(&settings).unwrap();
    let file = node.path("ticks");
    node.start(
        "c",
        &format!("while :; do echo >> {}; sleep 0.01; done", file.display()),
    );
    wait_for_file(&file);
    node.ok(&["pause", "c"]);
    let length = || fs::metadata(&file).unwrap().len();
    let before = length();
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert_eq!(length(), before);
    node.ok(&["resume", "c"]);
    wait_for("further ticks", || (length() > before).then_some(()));
}

#[test]
fn a_killed_shim_takes_its_container_with_it_and_leaves_its_pid() {
    let node = TestNode::new();
    let file = node.path("pid");
    node.start(
        "d",
        &format!("sleep 1000 & echo $! > {}; {FOREVER}", file.display()),
    );
    let child: u32 = wait_for_file(&file).trim().parse().unwrap();
    let init = node.container("d").processes[0].pid;
    let shim = node.container("d").shim;
    node.sim.kill_shim("d").unwrap();
    wait_for("the end of init", || {
        (!process_is_alive(init)).then_some(())
    });
    wait_for("stopped", || {
        (node.list()[0]["status"] == "stopped").then_some(())
    });
    assert!(!process_is_alive(child));
    assert_eq!(node.list()[0]["pid"], shim);
    assert_eq!(
        node.run(&["kill", "d"]),
        Said::refused("container is stopped")
    );
    assert_eq!(
        node.run(&["start", "d"]),
        Said::refused("cannot start a container that has stopped")
    );
    node.ok(&["delete", "d"]);
}

#[test]
fn an_old_shim_clobbers_a_new_container_of_the_same_id() {
    let node = TestNode::new();
    let bundle = node.start("d", FOREVER);
    let old_shim = u32::try_from(node.container("d").shim).unwrap();
    let go_on = node.path("go-on");
    let hold = Action::Hold {
        until: go_on.clone(),
    };
    node.sim
        .inject(Fault::new("shim", Point::SystemEnded, hold).times(1))
        .unwrap();
    node.ok(&["delete", "--force", "d"]);
    node.ok(&["create", "-b", &bundle, "d"]);
    assert_eq!(node.list()[0]["status"], "created");
    fs::write(go_on, "").unwrap();
    wait_for("the old shim's end", || {
        (!process_is_alive(old_shim)).then_some(())
    });
    assert_eq!(
        (&node.list()[0]["pid"], &node.list()[0]["status"]),
        (&json!(0), &json!("stopped"))
    );
    node.ok(&["delete", "d"]);
    let text = "hcs::CreateComputeSystem d: A virtual machine or container with the specified \
                identifier already exists.";
    assert_eq!(
        node.run(&["create", "-b", &bundle, "d"]),
        Said::refused(text)
    );
}

#[test]
fn a_create_that_dies_leaves_a_half_made_container() {
    let node = TestNode::new();
    let bundle = node.write_bundle("d", &node.config("d", FOREVER));
    node.sim
        .inject(Fault::new("create", Point::RecordWritten, Action::Die).times(1))
        .unwrap();
    assert_eq!(node.run(&["create", "-b", &bundle, "d"]).code, -1);
    assert_eq!(
        (&node.list()[0]["pid"], &node.list()[0]["status"]),
        (&json!(-1), &json!("stopped"))
    );
    assert_eq!(
        node.run(&["start", "d"]),
        Said::refused("cannot start a container that has stopped")
    );
    let text = "container d already exists";
    assert_eq!(
        node.run(&["create", "-b", &bundle, "d"]),
        Said::refused(text)
    );
    node.ok(&["delete", "d"]);
}

#[test]
fn what_a_shell_makes_its_background_jobs_ignore_ends_a_container() {
    for signal in ["CtrlC", "CtrlBreak", "CtrlClose", "CtrlShutdown"] {
        let node = TestNode::new();
        let bundle = node.write_bundle("c", &node.config("c", "exec sleep 1000"));
        let create = node.command(&["create", "--bundle", &bundle, "c"]);
        let status = Command::new("sh")
            .args(["-c", "trap '' HUP INT QUIT TERM; exec \"$0\" \"$@\""])
            .arg(create.get_program())
            .args(create.get_args())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(status.unwrap().success());
        node.ok(&["start", "c"]);
        node.ok(&["kill", "c", signal]);
        assert_eq!(node.wait_for_end("c"), CONTROL_C_EXIT, "{signal}");
    }
}
