//! `cargo xtask up` and `down`, as a person types them.
// Clippy allows these in test functions, and all of this is tests.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output};

fn xtask(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xtask"))
        .current_dir(folder)
        .args(args)
        .output()
        .unwrap()
}

fn succeeds(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{}\n{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}

/// Takes the folder down however the test ends.
struct Up<'a>(&'a Path);

impl Drop for Up<'_> {
    fn drop(&mut self) {
        xtask(self.0, &["down", "--dir", "some where"]);
    }
}

#[test]
fn up_gives_an_api_server_and_nodes_and_down_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("some where");
    let guard = Up(folder.path());
    succeeds(&xtask(
        folder.path(),
        &["up", "--dir", "some where", "--nodes", "2"],
    ));

    let kubectl = |args: &[&str]| {
        let mut kubectl = Command::new(dir.join("bin/kubectl"));
        succeeds(
            &kubectl
                .env("KUBECONFIG", dir.join("kubeconfig"))
                .args(args)
                .output()
                .unwrap(),
        )
    };
    assert_eq!(
        kubectl(&["get", "nodes", "-o", "name"]),
        "node/node-1\nnode/node-2\n"
    );
    assert_eq!(kubectl(&["get", "hcs"]), "");
    for node in ["node-1", "node-2"] {
        let runhcs = dir.join("nodes").join(node).join("runhcs");
        let list = Command::new(runhcs)
            .args(["list", "--format", "json"])
            .output()
            .unwrap();
        assert_eq!(succeeds(&list).trim(), "null");
    }

    let second = xtask(folder.path(), &["up", "--dir", "some where"]);
    assert!(!second.status.success());
    let message = String::from_utf8_lossy(&second.stderr);
    assert!(message.contains("is up already"), "{message}");

    let container = dir.join("container.json");
    let layers = dir.join("nodes/node-1/layers");
    for layer in ["base", "scratch"] {
        std::fs::create_dir_all(layers.join(layer)).unwrap();
    }
    let object = serde_json::json!({
        "apiVersion": "hcs-operator.dev/v1alpha1", "kind": "HcsContainer",
        "metadata": {"name": "web"},
        "spec": {"nodeName": "node-1", "bundle": {"config": {
            "ociVersion": "1.0.2",
            "process": {"args": ["/bin/sleep", "1000"], "cwd": "/"},
            "windows": {"layerFolders": [layers.join("base"), layers.join("scratch")]},
        }}},
    });
    std::fs::write(&container, object.to_string()).unwrap();
    kubectl(&["apply", "-f", container.to_str().unwrap()]);
    kubectl(&["wait", "--for=condition=Ready", "hcs/web", "--timeout=60s"]);

    assert!(!hcs_tests::process::concerned_with(&dir).is_empty());
    succeeds(&xtask(folder.path(), &["down", "--dir", "some where"]));
    let left = hcs_tests::process::concerned_with(&dir);
    assert!(left.is_empty(), "{left:?}");
    succeeds(&xtask(folder.path(), &["down", "--dir", "some where"]));
    drop(guard);
}

#[test]
fn down_of_a_folder_that_never_was_is_fine() {
    let folder = tempfile::tempdir().unwrap();
    let output = xtask(folder.path(), &["down", "--dir", "never"]);
    assert!(succeeds(&output).contains("Nothing is running"));
}
