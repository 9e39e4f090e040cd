//! Rules of the bundle: its two sources, and what an inline configuration must and must not say.

use serde_json::{Value, json};

use super::ask::{Server, lcow};

fn config(change: Value) -> Value {
    let mut spec = json!({ "bundle": {} });
    spec["bundle"]["config"] = change;
    spec
}

#[tokio::test]
async fn a_bundle_has_exactly_one_source() {
    let server = Server::shared().await;
    let path = "C:\\bundles\\web";
    server.accepts(json!({})).await;
    server
        .accepts(json!({ "bundle": { "config": null, "path": path } }))
        .await;
    let message = "exactly one of bundle.config and bundle.path must be set";
    server
        .refuses(json!({ "bundle": { "path": path } }), message)
        .await;
    server
        .refuses(json!({ "bundle": { "config": null } }), message)
        .await;
    server
        .refuses(json!({ "bundle": null }), "spec.bundle: Required value")
        .await;
    let stored = server.stored("changes-bundle", json!({})).await;
    stored
        .may_become(json!({ "bundle": { "config": null, "path": path } }))
        .await;
    stored
        .may_not_become(json!({ "bundle": { "path": path } }), message)
        .await;
    stored.delete().await;
}

#[tokio::test]
async fn a_configuration_says_what_to_run() {
    let server = Server::shared().await;
    for process in [
        json!({ "args": ["cmd", ""] }),
        json!({ "args": null, "commandLine": "cmd /c dir" }),
        json!({ "args": [], "commandLine": "cmd" }),
    ] {
        server.accepts(config(json!({ "process": process }))).await;
    }
    let missing = config(json!({ "process": null }));
    server
        .refuses(missing, "spec.bundle.config.process: Required value")
        .await;
    for process in [
        json!({ "args": null }),
        json!({ "args": [] }),
        json!({ "args": [""] }),
        json!({ "args": null, "commandLine": " \t" }),
    ] {
        let change = config(json!({ "process": process }));
        server
            .refuses(change, "bundle.config.process needs args or a commandLine")
            .await;
    }
    let number = config(json!({ "process": { "args": [1] } }));
    server
        .refuses(number, "spec.bundle.config.process.args[0]: Invalid value")
        .await;
}

#[tokio::test]
async fn the_lists_and_texts_of_a_process_are_bounded() {
    let server = Server::shared().await;
    let process = |process: Value| config(json!({ "process": process }));
    for field in ["args", "env"] {
        server
            .accepts(process(json!({ field: vec!["A=b"; 1024] })))
            .await;
        let many = process(json!({ field: vec!["A=b"; 1025] }));
        let path = format!("spec.bundle.config.process.{field}");
        server
            .refuses(
                many,
                &format!("{path}: Too many: 1025: must have at most 1024"),
            )
            .await;
        server
            .accepts(process(json!({ field: ["x".repeat(32_767)] })))
            .await;
        let long = process(json!({ field: ["x".repeat(32_768)] }));
        server
            .refuses(
                long,
                &format!("{path}[0]: Too long: may not be more than 32767"),
            )
            .await;
    }
    for (field, most) in [("commandLine", 32_767), ("cwd", 1024)] {
        server
            .accepts(process(json!({ field: "x".repeat(most) })))
            .await;
        let long = process(json!({ field: "x".repeat(most + 1) }));
        let path = format!("spec.bundle.config.process.{field}");
        server
            .refuses(
                long,
                &format!("{path}: Too long: may not be more than {most}"),
            )
            .await;
    }
    server.accepts(process(json!({ "terminal": true }))).await;
    let text = process(json!({ "terminal": "yes" }));
    server
        .refuses(text, "spec.bundle.config.process.terminal: Invalid value")
        .await;
}

#[tokio::test]
async fn a_windows_container_has_at_least_two_layers() {
    let server = Server::shared().await;
    let layers = |layers: &[&str]| config(json!({ "windows": { "layerFolders": layers } }));
    server.accepts(layers(&["C:\\a", "D:\\b", "C:\\c"])).await;
    let message = "windows.layerFolders needs at least two folders";
    server.refuses(layers(&["C:\\a"]), message).await;
    server.refuses(layers(&[]), message).await;
    server
        .refuses(
            config(json!({ "windows": { "layerFolders": null } })),
            message,
        )
        .await;
    server
        .refuses(config(json!({ "windows": null })), message)
        .await;
    // For Linux, the scratch is a layer that the agent adds, and a root file system will do too.
    let linux = json!({ "runtime": lcow(), "bundle": { "config": { "windows": null } } });
    server.accepts(linux).await;
    let many: Vec<String> = (0..129)
        .map(|layer| format!("C:\\layers\\{layer}"))
        .collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    server.accepts(layers(&many[..128])).await;
    server
        .refuses(
            layers(&many),
            "layerFolders: Too many: 129: must have at most 128",
        )
        .await;
}

#[tokio::test]
async fn a_linux_section_needs_os_linux() {
    let server = Server::shared().await;
    let linux = config(json!({ "linux": { "resources": {} } }));
    server
        .refuses(linux.clone(), "bundle.config.linux needs runtime.os Linux")
        .await;
    let mut lcow_one = linux;
    lcow_one["runtime"] = lcow();
    server.accepts(lcow_one).await;
}

#[tokio::test]
async fn a_hyperv_section_needs_hyperv_isolation() {
    let server = Server::shared().await;
    let hyperv = config(json!({ "windows": { "hyperv": { "utilityVMPath": "C:\\vm" } } }));
    let message = "bundle.config.windows.hyperv needs runtime.isolation HyperV";
    server.refuses(hyperv.clone(), message).await;
    let mut isolated = hyperv;
    isolated["runtime"] = json!({ "isolation": "HyperV" });
    server.accepts(isolated).await;
}

#[tokio::test]
async fn hooks_are_refused() {
    let server = Server::shared().await;
    server.accepts(config(json!({ "hostname": "web" }))).await;
    let hooks = config(json!({ "hooks": { "prestart": [] } }));
    server
        .refuses(hooks, "bundle.config.hooks are not allowed")
        .await;
}

#[tokio::test]
async fn annotations_that_reach_beyond_the_container_are_refused() {
    let server = Server::shared().await;
    let annotated = |key: &str| config(json!({ "annotations": { key: "x" } }));
    for key in [
        "example.com/owner",
        "io.microsoft.container.memory.sizeinmb",
        "io.microsoft.virtualmachine.computetopology.memory.sizeinmb",
        "io.kubernetes.cri",
        "",
    ] {
        server.accepts(annotated(key)).await;
    }
    for key in [
        "io.kubernetes.cri.sandbox-id",
        "io.kubernetes.cri.container-type",
        "IO.Kubernetes.CRI.sandbox-id",
        "io.kubernetes.cri-o.SandboxID",
        "io.kubernetes.cri-o.ContainerType",
        "io.kubernetes.docker.type",
        "io.kubernetes.sandbox.id",
        "io.microsoft.virtualmachine.lcow.bootfilesrootpath",
        "io.microsoft.virtualmachine.devices.assigned",
        "io.microsoft.virtualmachine.storage.scratch.encrypted",
        "io.microsoft.virtualmachine.console.pipe",
        "hcs-operator.dev/uid",
        "hcs-operator.dev/",
    ] {
        server
            .refuses(
                annotated(key),
                "annotations must not reach beyond the container",
            )
            .await;
    }
    let number = config(json!({ "annotations": { "a": 1 } }));
    server
        .refuses(number, "spec.bundle.config.annotations.a: Invalid value")
        .await;
    let many = |count: usize| {
        let all: serde_json::Map<String, Value> = (0..count)
            .map(|key| (format!("k{key}"), json!("")))
            .collect();
        config(json!({ "annotations": all }))
    };
    server.accepts(many(256)).await;
    server.refuses(many(257), "must have at most 256").await;
    let value = |length: usize| config(json!({ "annotations": { "a": "x".repeat(length) } }));
    server.accepts(value(65_536)).await;
    server
        .refuses(value(65_537), "Too long: may not be more than 65536")
        .await;
}
