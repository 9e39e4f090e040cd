//! The command lines are go-runhcs': 260 calls recorded from it must come out the same, and no
//! line, however wrong, stops the example that reads them.

#[path = "../examples/argv/recorded.rs"]
mod recorded;

use std::path::Path;

use proptest::prelude::*;
use runhcs::{Command, CreateOpts, InputError, Runhcs, Signal};
use serde_json::{Value, json};

const RECORDED: &str = include_str!("data/go-runhcs-argv.jsonl");

#[test]
fn all_recorded_calls_have_the_command_line_that_go_runhcs_built() {
    let mut count = 0;
    for line in RECORDED.lines() {
        let expected: Value = serde_json::from_str(line).unwrap();
        match recorded::argv(line.as_bytes(), Path::new("/")) {
            Ok(argv) => assert_eq!(json!(argv), expected["argv"], "{line}"),
            Err(error) => assert_eq!(error.to_string(), expected["error"], "{line}"),
        }
        count += 1;
    }
    assert_eq!(count, 260);
}

#[test]
fn lines_that_are_no_calls_are_errors() {
    for line in [
        "",
        "null",
        "[]",
        "{",
        r#"{"method":"List","in":{}}"#,
        r#"{"client":{},"in":{}}"#,
        r#"{"client":{},"method":"List"}"#,
        r#"{"client":{},"method":"Bogus","in":{}}"#,
        r#"{"client":{"debug":1},"method":"List","in":{}}"#,
        r#"{"client":{"logFormat":"xml"},"method":"List","in":{}}"#,
        r#"{"client":{},"method":"Start","in":{}}"#,
        r#"{"client":{},"method":"Start","in":{"id":7}}"#,
        r#"{"client":{},"method":"Start","in":{"id":"\ud800"}}"#,
        r#"{"client":{},"method":"ResizeTTY","in":{"id":"x","width":65536,"height":1}}"#,
        r#"{"client":{},"method":"Delete","in":{"id":"x","opts":{"forse":true}}}"#,
        r#"{"client":{},"method":"Delete","in":{"id":"x","opts":[true]}}"#,
        r#"{"client":{},"method":"Start","in":["x"]}"#,
        r#"{"client":[],"method":"Start","in":{"id":"x"}}"#,
        r#"[{},"Start",{"id":"x"}]"#,
    ] {
        assert!(
            recorded::argv(line.as_bytes(), Path::new("/")).is_err(),
            "{line}"
        );
    }
    assert!(recorded::argv(b"\xFF", Path::new("/")).is_err());
}

#[test]
fn ids_that_runhcs_would_misread_are_refused() {
    let argv = |id| Runhcs::default().argv(&Command::Start { id }, Path::new("/"));
    assert_eq!(argv(""), Err(InputError::EmptyId));
    assert!(matches!(argv("-x"), Err(InputError::IdLikeFlag { id }) if id == "-x"));
    assert!(matches!(argv("a\0b"), Err(InputError::Nul { argument }) if argument == "a\0b"));
    assert_eq!(argv("a\"b ü").unwrap(), ["start", "a\"b ü"]);
}

#[test]
fn a_signal_that_reads_as_a_flag_is_refused() {
    let signal = &Signal::raw("-9");
    let argv = Runhcs::default().argv(&Command::Kill { id: "x", signal }, Path::new("/"));
    assert!(matches!(argv, Err(InputError::SignalLikeFlag { signal }) if signal == "-9"));
}

#[test]
fn relative_files_are_joined_and_safe_pipes_are_left_alone() {
    let pipe = r"\\.\pipe\ProtectedPrefix\Administrators\a\..\b.";
    let opts = CreateOpts {
        pid_file: Some("shim.pid".into()),
        shim_log: Some(pipe.into()),
        vm_log: Some(r"..\vm.log".into()),
        vm_console: Some("as it is".into()),
        ..CreateOpts::default()
    };
    let bundle = Path::new("relative");
    let command = Command::Create {
        id: "x",
        bundle,
        opts: &opts,
    };
    let argv = Runhcs::default().argv(&command, Path::new(r"C:\hcs\run"));
    let expected = [
        "create",
        "--bundle",
        "relative",
        "--pid-file",
        r"C:\hcs\run\shim.pid",
        "--shim-log",
        pipe,
        "--vm-log",
        r"C:\hcs\vm.log",
        "--vm-console",
        "as it is",
        "x",
    ];
    assert_eq!(argv.unwrap(), expected);
}

#[cfg(unix)]
#[test]
fn a_path_that_is_not_unicode_is_refused() {
    use std::os::unix::ffi::OsStrExt;
    let destpath = Path::new(std::ffi::OsStr::from_bytes(b"/\xFF"));
    let command = Command::CreateScratch {
        destpath,
        opts: &runhcs::CreateScratchOpts::default(),
    };
    let argv = Runhcs::default().argv(&command, Path::new("/"));
    assert!(matches!(argv, Err(InputError::NotUnicode { path }) if path == destpath));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        let names = "(id|bundle|opts|signal|width|height|destpath|pid|pidFile|x)";
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(names, inner, 0..6).prop_map(Value::from_iter),
        ]
    })
}

proptest! {
    #[test]
    fn no_line_makes_it_panic(line in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = recorded::argv(&line, Path::new("/"));
    }

    #[test]
    fn no_call_makes_it_panic(
        client in any_json(),
        method in "(Create|CreateScratchWithOpts|Delete|Exec|Kill|List|ResizeTTY|Start|.{0,5})",
        input in any_json(),
    ) {
        let line = json!({ "client": client, "method": method, "in": input }).to_string();
        let _ = recorded::argv(line.as_bytes(), Path::new("/"));
    }
}
