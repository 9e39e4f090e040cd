//! The same things said in other ways: none of them gets by the policy at `kubectl apply`, and each is refused with words
//! that a person understands. The agent's own half is in `controller/src/agent/validate/host/tests.rs`.

use serde_json::{Value, json};

use super::strict::{ROOTS, Strict, refuses};

#[tokio::test]
async fn no_other_form_of_a_path_gets_by_its_root_at_apply() {
    let strict = Strict::with("forms-paths", &ROOTS).await;
    let vm = |path: Value| {
        json!({"spec": {
            "runtime": {"isolation": "HyperV"},
            "bundle": {"config": {"windows": {"hyperv": {"utilityVMPath": path}}}},
        }})
    };
    for outside in [
        "hcs\\mounts\\web",
        "\\hcs\\mounts\\web",
        "C:hcs\\mounts\\web",
        "C:\\hcs\\mounts2",
        "C:\\hcs\\mounts\\..",
        "C:\\hcs\\mounts\\web\\..\\..\\..\\Windows",
        "C:/hcs/mounts/../../Windows",
        "C:\\hcs\\mounts\\.. \\x",
        "C:\\hcs\\mounts\\...\\x",
        "C:\\hcs\\mounts\\..:x\\y",
        "C:\\HCS\\MOUNTS\\..\\x",
        "\\\\?\\C:\\hcs\\mounts\\web",
        "\\\\.\\C:\\hcs\\mounts\\web",
        "//?/C:/hcs/mounts/web",
        "\\??\\C:\\hcs\\mounts\\web",
        "\\\\localhost\\C$\\hcs\\mounts",
        "sandbox://hcs",
        "vhd://C:\\hcs\\mounts\\x.vhd",
        " C:\\hcs\\mounts\\web",
    ] {
        let mount = json!({"mounts": [{"destination": "C:\\data", "source": outside}]});
        refuses(
            &strict.config(mount).await,
            &["mounts[].source", "mountRoots", outside],
        );
        refuses(
            &strict.create(&vm(json!(outside))).await,
            &["utilityVMPath", outside],
        );
        let root = outside.replace("mounts", "layers");
        let said = strict.config(json!({"root": {"path": root}})).await;
        refuses(&said, &["root.path", &root, "leave it out"]);
    }
    for inside in [
        "C:\\hcs\\mounts",
        "c:/HCS/mounts/",
        "C:\\hcs\\mounts\\a..b",
        "C:\\hcs\\mounts\\.git",
    ] {
        let mount = json!({"mounts": [{"destination": "C:\\data", "source": inside}]});
        assert_eq!(strict.config(mount).await, "accepted", "{inside}");
        assert_eq!(
            strict.create(&vm(json!(inside))).await,
            "accepted",
            "{inside}"
        );
    }
}

#[tokio::test]
async fn no_other_spelling_of_a_key_gets_by_at_apply_however_deep() {
    let strict = Strict::with("forms-keys", &ROOTS).await;
    for (config, key) in [
        (json!({"root": {"Path": "C:\\"}}), "Path"),
        (
            json!({"windows": {"network": {"NetworkNamespace": "x"}}}),
            "NetworkNamespace",
        ),
        (
            json!({"windows": {"network": {"endpointli\u{17f}t": ["x"]}}}),
            "endpointli\u{17f}t",
        ),
        (
            json!({"windows": {"resources": {"Memory": {"limit": 1}}}}),
            "Memory",
        ),
        (
            json!({"windows": {"resources": {"memory": {"LIMIT": 1}}}}),
            "LIMIT",
        ),
        (
            json!({"windows": {"resources": {"cpu": {"Count": 1}}}}),
            "Count",
        ),
        (
            json!({"windows": {"networ\u{212a}": {"networkNamespace": "x"}}}),
            "networ\u{212a}",
        ),
    ] {
        refuses(
            &strict.config(config).await,
            &["the key ", key, "write it as"],
        );
    }
    let vm = json!({"spec": {
        "runtime": {"isolation": "HyperV"},
        "bundle": {"config": {"windows": {"hyperv": {"UtilityVmPath": "C:\\vm"}}}},
    }});
    refuses(&strict.create(&vm).await, &["the key UtilityVmPath"]);
    let own = json!({"größe": 1, "windows": {"x-größe": 1}, "annotations": {"Path": "x"}});
    assert_eq!(strict.config(own).await, "accepted");
}

#[tokio::test]
async fn parts_that_are_nothing_or_of_another_shape_are_told_apart_at_apply() {
    let limits = [("maxMemoryMb", "512"), ("maxCpus", "2")];
    let strict = Strict::with("forms-shapes", &[ROOTS.as_slice(), &limits].concat()).await;
    // As a program may write them: nothing, spelled out.
    let nothing = json!({
        "root": {"path": ""},
        "mounts": [{"destination": "C:\\data", "source": ""}],
        "windows": {
            "devices": [], "network": {"endpointList": [], "networkNamespace": ""},
        },
    });
    assert_eq!(strict.config(nothing).await, "accepted");
    for (config, words) in [
        (json!({"root": "C:\\"}), "root has to be an object"),
        (json!({"root": {"path": 1}}), "root.path has to be a text"),
        (json!({"mounts": "C:\\"}), "mounts has to be a list"),
        (
            json!({"mounts": ["C:\\"]}),
            "each of mounts has to be an object",
        ),
        (
            json!({"mounts": [{"source": ["C:\\"]}]}),
            "mounts[].source has to be a text",
        ),
        (
            json!({"windows": {"network": "x"}}),
            "windows.network has to be an object",
        ),
        (
            json!({"windows": {"network": {"networkNamespace": {"x": 1}}}}),
            "windows.network.networkNamespace has to be a text",
        ),
        (
            json!({"windows": {"devices": "x"}}),
            "windows.devices has to be a list",
        ),
        (
            json!({"windows": {"resources": "x"}}),
            "windows.resources has to be an object",
        ),
        (
            json!({"windows": {"resources": {"memory": "x"}}}),
            "windows.resources.memory has to be an object",
        ),
        (
            json!({"windows": {"resources": {"memory": {"limit": "1"}}}}),
            "windows.resources.memory.limit has to be a whole number",
        ),
        (
            json!({"windows": {"resources": {"memory": {"limit": -1}}}}),
            "windows.resources.memory.limit has to be a whole number",
        ),
        (
            json!({"windows": {"resources": {"cpu": {"count": 1.5}}}}),
            "windows.resources.cpu.count has to be a whole number",
        ),
    ] {
        refuses(
            &strict.config(config).await,
            &[words, "OCI runtime specification"],
        );
    }
}

#[tokio::test]
async fn nulls_are_nothing_to_the_policy_as_they_are_to_runhcs() {
    let strict = Strict::with("forms-nulls", &ROOTS).await;
    for (windows, more) in [
        (
            json!({"network": null, "resources": null, "devices": null, "credentialSpec": null}),
            json!({"root": null}),
        ),
        (
            json!({
                "network": {"endpointList": null, "networkNamespace": null, "networkSharedContainerName": null},
                "resources": {"memory": null, "cpu": {"count": null}},
            }),
            json!({"root": {"path": null}, "mounts": [{"destination": "C:\\data", "source": null}]}),
        ),
    ] {
        let mut config = more;
        config["windows"] = windows;
        assert_eq!(strict.config_with_nulls(&config).await, "accepted");
    }
}

#[tokio::test]
async fn sizes_that_hcsshim_would_not_heed_are_no_sizes_at_apply() {
    let limits = [("maxMemoryMb", "512"), ("maxCpus", "2")];
    let strict = Strict::with("forms-sizes", &[ROOTS.as_slice(), &limits].concat()).await;
    let unsaid = |runtime: Value, annotations: Value, resources: Value| {
        json!({"spec": {"runtime": runtime, "bundle": {"config": {
            "annotations": annotations, "windows": {"resources": resources},
        }}}})
    };
    let process = json!({"isolation": "Process"});
    let hyperv = json!({"isolation": "HyperV"});
    let (own, vm) = (
        "io.microsoft.container.memory.sizeinmb",
        "io.microsoft.virtualmachine.computetopology.memory.sizeinmb",
    );
    let cpus = json!({"memory": null});
    for (runtime, name, value) in [
        (&process, vm, "64"),
        (&hyperv, own, "64"),
        (&process, own, "+64"),
        (&process, own, "0"),
        (&hyperv, vm, "64MB"),
    ] {
        let object = unsaid(runtime.clone(), json!({name: value}), cpus.clone());
        refuses(
            &strict.create(&object).await,
            &["memory.limit: none", "maxMemoryMb"],
        );
    }
    for (runtime, name) in [(&process, own), (&hyperv, vm)] {
        let said = unsaid(runtime.clone(), json!({name: "00064"}), cpus.clone());
        assert_eq!(strict.create(&said).await, "accepted");
    }
    for limit in [0, 1, 1_048_575] {
        let object = unsaid(
            process.clone(),
            json!({}),
            json!({"memory": {"limit": limit}}),
        );
        refuses(&strict.create(&object).await, &["memory.limit: none"]);
    }
    for huge in [
        "513",
        "9999999999999999999",
        "00000000000000000000000000000513",
    ] {
        for name in [own, vm] {
            let object = unsaid(process.clone(), json!({name: huge}), json!({}));
            refuses(
                &strict.create(&object).await,
                &["MB", "maxMemoryMb", "is 512"],
            );
        }
    }
    let processors = unsaid(
        hyperv,
        json!({"io.microsoft.container.processor.count": "1"}),
        json!({"cpu": null}),
    );
    refuses(
        &strict.create(&processors).await,
        &["cpu.count: none", "maxCpus"],
    );
}

#[tokio::test]
async fn a_limit_that_is_no_number_allows_nothing_and_says_so() {
    for value in ["-1", "many", " 512"] {
        let limits = [("maxMemoryMb", value)];
        let strict = Strict::with("forms-limit", &[ROOTS.as_slice(), &limits].concat()).await;
        refuses(
            &strict.create(&json!({})).await,
            &["maxMemoryMb of ConfigMap", "is no whole number"],
        );
    }
}

#[tokio::test]
async fn a_config_larger_than_people_write_is_judged_to_its_last_entry() {
    let limits = [("maxMemoryMb", "512"), ("maxCpus", "2")];
    let strict = Strict::with("forms-large", &[ROOTS.as_slice(), &limits].concat()).await;
    let many = |count: usize, make: fn(usize) -> Value| (0..count).map(make).collect::<Vec<_>>();
    let mut config = json!({
        "process": {
            "args": many(1000, |i| json!(format!("argument-{i}"))),
            "env": many(1000, |i| json!(format!("NAME_{i}=a value of the usual length"))),
        },
        "mounts": many(1000, |i| json!({
            "destination": format!("C:\\data\\{i}"), "type": "bind", "options": ["ro"],
            "source": format!("C:\\hcs\\mounts\\{i}\\a folder with a name of the usual length"),
        })),
        "windows": {"layerFolders": many(128, |i| json!(format!("C:\\hcs\\layers\\{i:064}")))},
    });
    assert_eq!(strict.config(config.clone()).await, "accepted");
    config["mounts"][999]["source"] = json!("C:\\Windows");
    refuses(
        &strict.config(config.clone()).await,
        &["mounts[].source", "C:\\Windows", "mountRoots"],
    );
    config["mounts"][999] = json!({"Source": "C:\\Windows"});
    refuses(&strict.config(config).await, &["the key Source"]);
}
