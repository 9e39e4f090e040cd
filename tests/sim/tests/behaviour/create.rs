//! `create`, `run` and `create-scratch`: what they refuse, what they leave.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Said, TestNode};

const FOREVER: &str = "while :; do sleep 1; done";

/// Refuses a configuration with `text`, leaving nothing.
fn refuses(node: &TestNode, config: &str, text: &str) {
    let bundle = node.write_bundle("bad", &Value::Null);
    fs::write(node.path("bad").join("config.json"), config).unwrap();
    assert_eq!(
        node.run(&["create", "-b", &bundle, "c"]),
        Said::refused(text),
        "{config}"
    );
    assert_eq!(node.list(), Value::Null, "{config}");
}

#[test]
fn a_create_that_fails_leaves_nothing() {
    let node = TestNode::new();
    let missing = node.path("nobundle");
    let text = format!(
        "chdir {}: The system cannot find the file specified.",
        missing.display()
    );
    let args = ["create", "-b", missing.to_str().unwrap(), "c"];
    assert_eq!(node.run(&args), Said::refused(&text));
    let empty = node.path("empty");
    fs::create_dir(&empty).unwrap();
    let text = "JSON specification file config.json not found";
    let args = ["create", "-b", empty.to_str().unwrap(), "c"];
    assert_eq!(node.run(&args), Said::refused(text));
    for (config, text) in [
        (
            "{bad",
            "invalid character 'b' looking for beginning of object key string",
        ),
        ("", "EOF"),
        ("{", "unexpected EOF"),
        (
            "[]",
            "json: cannot unmarshal array into Go value of type specs.Spec",
        ),
        (
            r#"{"process":{"args":"cmd"}}"#,
            "json: cannot unmarshal string into Go struct field Process.process.args of type \
             []string",
        ),
        (
            r#"{"ociVersion":"1.0.2"}"#,
            "field 'Spec.Windows.Layerfolders' is not populated",
        ),
        (
            r#"{"linux":{}}"#,
            "must provide either Windows.LayerFolders or Root.Path",
        ),
    ] {
        refuses(&node, config, text);
    }
}

#[test]
fn layers_are_checked() {
    let node = TestNode::new();
    let layers = |layers: Value| json!({"windows": {"layerFolders": layers}}).to_string();
    let scratch = node.path("scratch");
    refuses(
        &node,
        &layers(json!([scratch])),
        "failed to mount container storage: need at least two layers - base and scratch",
    );
    refuses(
        &node,
        &layers(json!([node.path("gone"), node.path("other")])),
        "failed to CreateSandboxLayer: hcsshim::CreateScratchLayer failed in Win32: The system \
         cannot find the path specified. (0x3)",
    );
    let mut config = node.config("c", FOREVER);
    config["root"] = json!({"path": "rootfs"});
    let root = node.path("bad").join("rootfs");
    refuses(
        &node,
        &config.to_string(),
        &format!(
            r"invalid container spec - Root.Path '{}' must be a volume GUID path in the format '\\?\Volume{{GUID}}\'",
            root.display()
        ),
    );
}

#[test]
fn a_pid_file_that_cannot_be_written_undoes_the_container() {
    let node = TestNode::new();
    let bundle = node.write_bundle("c", &node.config("c", FOREVER));
    let pid_file = node.path("none").join("pid");
    let args = [
        "create",
        "-b",
        &bundle,
        "--pid-file",
        pid_file.to_str().unwrap(),
        "c",
    ];
    let temporary = node.path("none").join(".pid");
    let text = format!(
        "open {}: The system cannot find the path specified.",
        temporary.display()
    );
    assert_eq!(node.run(&args), Said::refused(&text));
    assert_eq!(node.list(), Value::Null);
    node.ok(&["create", "-b", &bundle, "c"]);
}

#[test]
fn a_pid_file_holds_the_shims_pid_and_nothing_else() {
    let node = TestNode::new();
    let bundle = node.write_bundle("c", &node.config("c", FOREVER));
    let pid_file = node.path("c.pid");
    node.ok(&[
        "create",
        "-b",
        &bundle,
        "--pid-file",
        pid_file.to_str().unwrap(),
        "c",
    ]);
    let pid = fs::read_to_string(&pid_file).unwrap();
    assert_eq!(pid, node.container("c").shim.to_string());
    assert!(!node.path(".c.pid").exists());
}

#[test]
fn a_configuration_that_crashes_runhcs_leaves_a_half_made_container() {
    let node = TestNode::new();
    let config = json!({"windows": {"layerFolders": []}});
    let bundle = node.write_bundle("c", &config);
    let said = node.run(&["create", "-b", &bundle, "c"]);
    assert_eq!(said.code, 2);
    assert!(
        said.err
            .starts_with("panic: runtime error: index out of range [-1]\n"),
        "{said:?}"
    );
    assert_eq!(node.list()[0]["pid"], -1);
}

#[test]
fn only_the_default_root_can_have_containers() {
    // runhcs does not tell its shim of another root.
    let node = TestNode::new();
    let bundle = node.write_bundle("c", &node.config("c", FOREVER));
    let args = ["--root", "other", "create", "-b", &bundle, "c"];
    assert_eq!(node.run(&args), Said::refused("ID 'c' was not found\n"));
    assert_eq!(
        node.run(&["--root", "other", "list", "-f", "json"]).out,
        "null\n"
    );
}

#[test]
fn linux_containers_run_and_pause() {
    let node = TestNode::new();
    let mut config = node.config("c", FOREVER);
    config["linux"] = json!({});
    let bundle = node.write_bundle("c", &config);
    node.ok(&["create", "-b", &bundle, "c"]);
    node.ok(&["start", "c"]);
    node.ok(&["pause", "c"]);
    node.ok(&["resume", "c"]);
    node.ok(&["kill", "c", "KILL"]);
    assert_eq!(node.wait_for_end("c"), 137);
}

#[test]
fn sandboxes_are_checked() {
    let node = TestNode::new();
    let annotate = |kind: &str, id: &str| {
        let mut config = node.config("c", FOREVER);
        config["annotations"] = json!({
            "io.kubernetes.cri.container-type": kind,
            "io.kubernetes.cri.sandbox-id": id,
        });
        config.to_string()
    };
    refuses(
        &node,
        &annotate("sandbox", "pod"),
        "sandbox ID must match ID",
    );
    refuses(
        &node,
        &annotate("container", "pod"),
        "ID 'pod' was not found",
    );
    node.create("plain", FOREVER);
    let bundle = node.write_bundle("bad", &Value::Null);
    fs::write(
        node.path("bad").join("config.json"),
        annotate("container", "plain"),
    )
    .unwrap();
    assert_eq!(
        node.run(&["create", "-b", &bundle, "c"]),
        Said::refused("container plain is not a sandbox")
    );
    assert_eq!(
        node.run(&[
            "create",
            "-b",
            &node.write_bundle("d", &node.config("d", FOREVER)),
            "--host",
            "plain",
            "d"
        ]),
        Said::refused("host container plain is not a VM host")
    );
}

#[test]
fn run_ends_with_the_containers_exit_code_and_leaves_nothing() {
    let node = TestNode::new();
    let bundle = node.write_bundle("x", &node.config("x", "exit 7"));
    assert_eq!(
        node.run(&["run", "-b", &bundle, "x"]),
        Said {
            code: 7,
            ..Said::silent()
        }
    );
    assert_eq!(node.list(), Value::Null);
    node.ok(&["run", "--detach", "-b", &bundle, "x"]);
    assert_eq!(node.wait_for_end("x"), 7);
    node.ok(&["delete", "x"]);
}

#[test]
fn the_scratch_layer_stays_mounted_after_delete() {
    let node = TestNode::new();
    node.create("c", FOREVER);
    let scratch = node.path("c").join("scratch");
    assert!(scratch.join("sandbox.vhdx").exists());
    assert_eq!(
        node.sim.mounted_layers().unwrap(),
        std::slice::from_ref(&scratch)
    );
    node.ok(&["delete", "c"]);
    assert_eq!(node.sim.mounted_layers().unwrap(), [scratch]);
}

#[test]
fn a_scratch_disk_is_as_long_as_it_is_large() {
    let node = TestNode::new();
    let path = |name: &str| node.path(name).to_str().unwrap().to_owned();
    let length = |name: &str| fs::metadata(node.path(name)).unwrap().len() >> 30;
    node.ok(&["create-scratch", "--destpath", &path("a")]);
    assert_eq!(length("a"), 20);
    node.ok(&["create-scratch", "--destpath", &path("b"), "--sizeGB", "40"]);
    assert_eq!(length("b"), 40);
    assert_eq!(
        node.run(&["create-scratch"]),
        Said::refused("'destpath' is required")
    );
    let text = format!(
        "failed to create ext4vhdx for 'createscratch-uvm': failed to create VHDx {}: failed to \
         create virtual disk: The file exists.",
        path("a")
    );
    assert_eq!(
        node.run(&["create-scratch", "--destpath", &path("a")]),
        Said::refused(&text)
    );
}

#[test]
fn a_scratch_cache_is_filled_and_used_at_the_default_size_only() {
    let node = TestNode::new();
    let path = |name: &str| node.path(name).to_str().unwrap().to_owned();
    let cache = path("cache");
    let create = |name: &str, size: &str| {
        let destination = path(name);
        let args = [
            "create-scratch",
            "--destpath",
            &destination,
            "--sizeGB",
            size,
            "--cache-path",
            &cache,
        ];
        node.ok(&args);
    };
    create("a", "40");
    assert!(!node.path("cache").exists());
    create("b", "0");
    assert!(node.path("cache").exists());
    fs::write(node.path("cache"), "from the cache").unwrap();
    create("c", "20");
    assert_eq!(
        fs::read_to_string(node.path("c")).unwrap(),
        "from the cache"
    );
    create("d", "21");
    assert_eq!(fs::metadata(node.path("d")).unwrap().len() >> 30, 21);
}
