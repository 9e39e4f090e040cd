//! Every verb in every state: output, errors and exit codes as recorded from the real runhcs.

use crate::support::{Said, TestNode, wait_for};
use runhcs_sim::{PauseProcessIsolation, Settings};
use serde_json::{Value, json};

const FOREVER: &str = "while :; do sleep 1; done";
const PAUSE_INVALID: &str = "hcs::System::Pause c: The requested virtual machine or container \
    operation is not valid in the current state.";
const RESUME_INVALID: &str = "hcs::System::Resume c: The requested virtual machine or container \
    operation is not valid in the current state.";
const STOPPED: &str = "container is stopped";

fn allow_pause(node: &TestNode) {
    let settings = Settings {
        pause_process_isolation: PauseProcessIsolation::Allow,
        ..Settings::default()
    };
    node.sim.set_settings(&settings).unwrap();
}

fn refuses(node: &TestNode, cases: &[(&[&str], &str)]) {
    for (args, text) in cases {
        assert_eq!(node.run(args), Said::refused(text), "{args:?}");
    }
}

#[test]
fn an_unknown_container_is_not_found_by_any_verb() {
    let node = TestNode::new();
    for verb in ["state", "start", "kill", "pause", "resume", "ps", "delete"] {
        assert_eq!(
            node.run(&[verb, "nope"]),
            Said::refused("ID 'nope' was not found"),
            "{verb}"
        );
    }
    let not_found = "ID 'nope' was not found";
    refuses(
        &node,
        &[
            (&["delete", "--force", "nope"], not_found),
            (&["exec", "nope", "cmd"], not_found),
            (&["resize-tty", "nope", "80", "25"], not_found),
        ],
    );
}

#[test]
fn a_node_without_containers_lists_nothing() {
    let node = TestNode::new();
    let table = "ID          PID         STATUS      BUNDLE      CREATED     OWNER\n";
    assert_eq!(node.run(&["list"]).out, table);
    for args in [
        ["-f", "json"],
        ["--format", "json"],
        ["-format", "json"],
        ["--f", "json"],
    ] {
        let said = node.run(&["list", args[0], args[1]]);
        assert_eq!((said.code, said.out.as_str()), (0, "null\n"));
    }
    assert_eq!(node.run(&["list", "--format=json"]).out, "null\n");
    assert_eq!(node.run(&["list", "-q"]), Said::silent());
    assert_eq!(
        node.run(&["list", "-f", "xml"]),
        Said::refused("invalid format option")
    );
}

#[test]
fn wrong_usage_prints_help_and_fails() {
    let node = TestNode::new();
    for args in [
        &["state"][..],
        &["state", ""],
        &["state", "a", "b"],
        &["list", "x"],
    ] {
        let said = node.run(args);
        assert_eq!(
            (said.code, said.err.as_str()),
            (1, "invalid command usage\n"),
            "{args:?}"
        );
        assert!(
            said.out
                .starts_with(&format!("NAME:\n   runhcs {} - ", args[0])),
            "{}",
            said.out
        );
    }
    let unknown = node.run(&["bogus"]);
    assert_eq!(
        (unknown.code, unknown.err.as_str()),
        (3, "No help topic for 'bogus'\n")
    );
    let flag = node.run(&["list", "--nope"]);
    assert_eq!(flag.err, "flag provided but not defined: -nope\n");
    assert!(
        flag.out
            .starts_with("Incorrect Usage: flag provided but not defined: -nope\n\nNAME")
    );
    let global = node.run(&["--nope", "list"]);
    assert!(
        global
            .out
            .starts_with("Incorrect Usage. flag provided but not defined: -nope\n\n")
    );
    let format = node.run(&["--log-format", "xml", "list"]);
    assert_eq!(
        (format.code, format.err.as_str()),
        (1, "unknown log-format \"xml\"\n")
    );
}

#[test]
fn a_created_container_does_as_recorded() {
    let node = TestNode::new();
    let bundle = node.create("c", FOREVER);
    assert_eq!(
        node.run(&["ps", "c"]),
        Said {
            out: "null\n".to_owned(),
            ..Said::silent()
        }
    );
    refuses(
        &node,
        &[
            (&["pause", "c"], PAUSE_INVALID),
            (&["resume", "c"], RESUME_INVALID),
            (&["kill", "c"], STOPPED),
            (&["exec", "c", "cmd"], STOPPED),
            (
                &["resize-tty", "c", "80", "25"],
                "state 'pid' is not present for ID 'c'",
            ),
            (
                &["create", "-b", &bundle, "c"],
                "container c already exists",
            ),
            (
                &["create", "-b", &bundle, "C"],
                "container C already exists",
            ),
        ],
    );
    let shim = node.container("c").shim;
    assert_eq!(node.list()[0]["pid"], shim);
    node.ok(&["delete", "c"]);
    assert_eq!(node.list(), Value::Null);
}

#[test]
fn a_running_container_does_as_recorded() {
    let node = TestNode::new();
    let bundle = node.start("c", FOREVER);
    let init = node.container("c").processes[0].pid;
    refuses(
        &node,
        &[
            (&["start", "c"], "cannot start an already running container"),
            (&["resume", "c"], RESUME_INVALID),
            (
                &["pause", "c"],
                "hcs::System::Pause c: The request is not supported.",
            ),
            (
                &["delete", "c"],
                "cannot delete container c that is not stopped: running",
            ),
            (
                &["create", "-b", &bundle, "c"],
                "container c already exists",
            ),
            (&["kill", "c", "BOGUS"], "invalid signal value"),
            (&["exec", "c"], "process args cannot be empty"),
            (
                &["resize-tty", "--pid", "99999", "c", "80", "25"],
                "state 'pid-99999' is not present for ID 'c'",
            ),
            (&["ps", "--format", "table", "c"], "invalid format option"),
        ],
    );
    let pids: Vec<u32> = serde_json::from_str(&node.run(&["ps", "c"]).out).unwrap();
    assert_eq!(pids[0], init);
    for size in [["0", "25"], ["80", "65536"], ["x", "1"]] {
        assert_eq!(
            node.run(&["resize-tty", "c", size[0], size[1]]).err,
            "invalid command usage\n"
        );
    }
    node.ok(&["resize-tty", "c", "80", "25"]);
    let size = node.container("c").terminal_size.unwrap();
    assert_eq!((size.width, size.height), (80, 25));
}

#[test]
fn a_paused_container_does_as_recorded() {
    let node = TestNode::new();
    allow_pause(&node);
    node.start("c", FOREVER);
    node.ok(&["pause", "c"]);
    refuses(
        &node,
        &[
            (
                &["start", "c"],
                "cannot start a container in the 'paused' state",
            ),
            (&["pause", "c"], PAUSE_INVALID),
            (&["kill", "c"], STOPPED),
            (&["exec", "c", "cmd"], STOPPED),
            (
                &["delete", "c"],
                "cannot delete container c that is not stopped: paused",
            ),
        ],
    );
    assert!(node.run(&["ps", "c"]).out.starts_with('['));
    node.ok(&["resize-tty", "c", "90", "30"]);
    assert_eq!(node.list()[0]["status"], "paused");
    node.ok(&["resume", "c"]);
    assert_eq!(node.list()[0]["status"], "running");
    node.ok(&["pause", "c"]);
    node.ok(&["delete", "--force", "c"]);
}

#[test]
fn a_stopped_container_does_as_recorded() {
    let node = TestNode::new();
    let bundle = node.start("c", FOREVER);
    node.ok(&["kill", "c"]);
    assert_eq!(node.wait_for_end("c"), 0xC000_013A);
    for verb in ["pause", "resume", "kill", "ps"] {
        assert_eq!(node.run(&[verb, "c"]), Said::refused(STOPPED), "{verb}");
    }
    refuses(
        &node,
        &[
            (&["start", "c"], "cannot start a container that has stopped"),
            (&["exec", "c", "cmd"], STOPPED),
            (&["resize-tty", "c", "80", "25"], STOPPED),
            (
                &["create", "-b", &bundle, "c"],
                "container c already exists",
            ),
        ],
    );
    assert_eq!(
        (&node.list()[0]["pid"], &node.list()[0]["status"]),
        (&json!(0), &json!("stopped"))
    );
    node.ok(&["delete", "c"]);
    assert_eq!(
        node.run(&["delete", "c"]),
        Said::refused("ID 'c' was not found")
    );
}

#[test]
fn state_and_list_print_as_recorded() {
    let node = TestNode::new();
    let bundle = node.create("c", FOREVER);
    let container = node.container("c");
    let (shim, created) = (container.shim, &container.created);
    let state = node.run(&["state", "c"]);
    assert_eq!(
        state.out,
        format!(
            "{{\n  \"ociVersion\": \"1.0.2\",\n  \"id\": \"c\",\n  \"pid\": {shim},\n  \"status\": \
             \"created\",\n  \"bundle\": \"{bundle}\",\n  \"rootfs\": \"\",\n  \"created\": \
             \"{created}\",\n  \"annotations\": {{\n    \"app\": \"c\"\n  }},\n  \"owner\": \
             \"\"\n}}"
        )
    );
    assert_eq!(
        node.run(&["list", "-f", "json"]).out,
        format!(
            "[{{\"ociVersion\":\"1.0.2\",\"id\":\"c\",\"pid\":{shim},\"status\":\"created\",\
             \"bundle\":\"{bundle}\",\"rootfs\":\"\",\"created\":\"{created}\",\
             \"annotations\":{{\"app\":\"c\"}},\"owner\":\"\"}}]\n"
        )
    );
    let table = node.run(&["list"]).out;
    let row = format!("c           {shim:<12}created     {bundle}   {created}   ");
    assert_eq!(table.lines().nth(1), Some(row.as_str()));
    assert_eq!(node.run(&["list", "-q"]).out, "c\n");
}

#[test]
fn exec_does_as_recorded() {
    let node = TestNode::new();
    node.start("c", FOREVER);
    assert_eq!(node.run(&["exec", "c", "sh", "-c", "exit 3"]).code, 3);
    let file = node.path("exec.txt");
    let script = format!("echo $FOO $PWD $COMPUTERNAME > {}", file.display());
    let args = [
        "exec", "--env", "FOO=zip", "--cwd", "/usr", "c", "sh", "-c", &script,
    ];
    node.ok(&args);
    assert_eq!(std::fs::read_to_string(file).unwrap(), "zip /usr web-0\n");
    let missing = "hcs::System::CreateProcess: nosuch.exe c: The system cannot find the file \
                   specified.\n";
    for args in [
        &["exec", "c", "nosuch.exe"][..],
        &["exec", "--detach", "c", "nosuch.exe"],
    ] {
        assert_eq!(node.run(args), Said::refused(missing), "{args:?}");
    }
    let folder = "hcs::System::CreateProcess: sh -c exit c: The directory name is invalid.\n";
    let args = ["exec", "--cwd", "/nosuch", "c", "sh", "-c", "exit"];
    assert_eq!(node.run(&args), Said::refused(folder));
    assert_eq!(
        node.run(&["exec", "--tty", "c", "sh", "-c", "exit 4"]).code,
        4
    );
}

#[test]
fn exec_takes_a_process_document() {
    let node = TestNode::new();
    node.start("c", FOREVER);
    let document = |name: &str, value: &Value| {
        let path = node.path(name);
        std::fs::write(&path, value.to_string()).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let args = json!(["sh", "-c", "exit 9"]);
    let good = document("p.json", &json!({"args": args, "cwd": "C:\\", "user": {}}));
    assert_eq!(node.run(&["exec", "-p", &good, "c"]).code, 9);
    let no_cwd = document("q.json", &json!({"args": args}));
    assert_eq!(
        node.run(&["exec", "-p", &no_cwd, "c"]).err,
        "cwd property must not be empty\n"
    );
    let relative = document("r.json", &json!({"args": args, "cwd": "x"}));
    assert_eq!(
        node.run(&["exec", "-p", &relative, "c"]).err,
        "cwd must be an absolute path\n"
    );
    let no_args = document("s.json", &json!({"cwd": "C:\\"}));
    assert_eq!(
        node.run(&["exec", "-p", &no_args, "c"]).err,
        "args must not be empty\n"
    );
    let missing = node.path("none.json");
    let text = format!(
        "open {}: The system cannot find the file specified.",
        missing.display()
    );
    assert_eq!(
        node.run(&["exec", "-p", missing.to_str().unwrap(), "c"]),
        Said::refused(&text)
    );
}

#[test]
fn a_detached_exec_has_a_shim_and_a_terminal_of_its_own() {
    let node = TestNode::new();
    node.start("c", FOREVER);
    let pid_file = node.path("e.pid");
    let gate = node.path("gate");
    let script = format!(
        "while [ ! -e {} ]; do sleep 0.01; done; exit 5",
        gate.display()
    );
    let pid_file_text = pid_file.to_str().unwrap();
    node.ok(&[
        "exec",
        "--detach",
        "--pid-file",
        pid_file_text,
        "c",
        "sh",
        "-c",
        &script,
    ]);
    let shim = std::fs::read_to_string(&pid_file).unwrap();
    assert!(shim.bytes().all(|byte| byte.is_ascii_digit()), "{shim}");
    let process = node.container("c").processes[1].clone();
    assert_eq!(process.shim.to_string(), shim);
    node.ok(&["resize-tty", "--pid", &shim, "c", "132", "43"]);
    let size = node.container("c").processes[1].size.unwrap();
    assert_eq!((size.width, size.height), (132, 43));
    std::fs::write(gate, "").unwrap();
    let code = wait_for("the process's end", || {
        node.container("c").processes[1].exit_code
    });
    assert_eq!(code, 5);
    let gone = format!("state 'pid-{shim}' is not present for ID 'c'");
    wait_for("the shim's end", || {
        (node.run(&["resize-tty", "--pid", &shim, "c", "1", "1"]) == Said::refused(&gone))
            .then_some(())
    });
}

#[test]
fn odd_ids_are_as_good_as_any() {
    let node = TestNode::new();
    let bundle = node.write_bundle("b", &node.config("b", FOREVER));
    let ids = [
        "m/1 @x",
        "..",
        "ünï",
        "a\"b'c",
        "con",
        "x.",
        &"long".repeat(60),
    ];
    for id in ids {
        node.ok(&["create", "-b", &bundle, id]);
        node.ok(&["start", id]);
    }
    let mut listed: Vec<String> = node
        .run(&["list", "-q"])
        .out
        .lines()
        .map(str::to_owned)
        .collect();
    listed.sort();
    let mut expected: Vec<String> = ids.iter().map(|&id| id.to_owned()).collect();
    expected.sort();
    assert_eq!(listed, expected);
    for id in ids {
        node.ok(&["delete", "--force", id]);
    }
    assert_eq!(node.list(), Value::Null);
}

#[test]
fn an_id_that_looks_like_a_flag_is_read_as_one_twice() {
    let node = TestNode::new();
    let bundle = node.write_bundle("b", &node.config("b", FOREVER));
    let first = node.run(&["create", "-b", &bundle, "-x"]);
    assert_eq!(first.err, "flag provided but not defined: -x\n");
    let second = node.run(&["create", "-b", &bundle, "--", "-x"]);
    assert!(
        second
            .err
            .starts_with("Incorrect Usage: flag provided but not defined: -x\n\nNAME:\n"),
        "{second:?}"
    );
    assert_eq!(node.list(), Value::Null);
}
