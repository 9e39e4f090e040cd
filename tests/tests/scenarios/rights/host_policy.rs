//! What a spec may ask of its node, as the API server says it: each rule both ways, with its message, under parameters
//! that a binding of the scenario's own brings for its namespace alone.

use kube::ResourceExt as _;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::strict::{ROOTS, Strict, refuses};

#[tokio::test]
async fn a_path_is_refused_at_apply_unless_it_lies_below_its_root() {
    let strict = Strict::with("policy-roots", &ROOTS).await;
    let layers = |last: &str| json!({"windows": {"layerFolders": ["C:\\hcs\\layers\\base", last]}});
    for inside in [
        "C:\\hcs\\layers\\web",
        "c:/HCS/Layers/web",
        "D:\\layers\\web",
    ] {
        assert_eq!(strict.config(layers(inside)).await, "accepted", "{inside}");
    }
    for outside in ["C:\\hcs\\layers2\\web", "C:\\Windows", "D:\\lay", "C:\\hcs"] {
        refuses(
            &strict.config(layers(outside)).await,
            &[
                "windows.layerFolders",
                outside,
                "layerRoots (C:\\hcs\\layers;D:\\layers\\)",
                "let an administrator",
            ],
        );
    }
    let mount = |source: &str| json!({"mounts": [{"destination": "C:\\data", "source": source}]});
    assert_eq!(strict.config(mount("C:\\hcs\\mounts\\a")).await, "accepted");
    for outside in [
        "C:\\",
        "C:\\hcs\\mounts\\..\\..\\Windows",
        "\\\\server\\share",
        "\\\\.\\pipe\\docker_engine",
    ] {
        refuses(
            &strict.config(mount(outside)).await,
            &["mounts[].source", "mountRoots"],
        );
    }
    let vm = json!({"spec": {
        "runtime": {"isolation": "HyperV"},
        "bundle": {"config": {"windows": {"hyperv": {"utilityVMPath": "C:\\vm"}}}},
    }});
    refuses(&strict.create(&vm).await, &["utilityVMPath", "C:\\vm"]);
    let root = |path: &str| json!({"root": {"path": path}});
    refuses(
        &strict
            .config(root(
                "\\\\?\\Volume{0b9d3a2e-0000-0000-0000-100000000000}\\",
            ))
            .await,
        &["root.path"],
    );
    refuses(
        &strict.config(root("C:\\hcs\\layers\\..\\..")).await,
        &["root.path"],
    );
    assert_eq!(
        strict.config(root("C:\\hcs\\layers\\base")).await,
        "accepted"
    );
    let bundle = |path: &str| json!({"spec": {"bundle": {"config": null, "path": path}}});
    assert_eq!(
        strict.create(&bundle("C:\\hcs\\bundles\\web")).await,
        "accepted"
    );
    refuses(
        &strict.create(&bundle("C:\\hcs\\bundle")).await,
        &["spec.bundle.path", "bundleRoots"],
    );
    let cache = |file: &str| {
        json!({"spec": {
            "runtime": {"os": "Linux", "isolation": "HyperV"}, "scratch": {"cacheFile": file},
        }})
    };
    assert_eq!(
        strict.create(&cache("C:\\hcs\\cache\\20.vhdx")).await,
        "accepted"
    );
    refuses(
        &strict.create(&cache("C:\\pagefile.sys")).await,
        &["spec.scratch.cacheFile", "cacheRoots"],
    );
}

#[tokio::test]
async fn a_key_that_only_runhcs_would_understand_is_refused_at_apply() {
    let strict = Strict::with("policy-keys", &ROOTS).await;
    for config in [
        json!({"Mounts": [{"Source": "C:\\", "Destination": "C:\\host"}]}),
        json!({"mount\u{17f}": []}),
        json!({"HOOKS": {}}),
        json!({"windows": {"LayerFolders": ["C:\\Windows"]}}),
        json!({"windows": {"Devices": [{"id": "x"}]}}),
        json!({"mounts": [{"Source": "C:\\", "destination": "C:\\host"}]}),
    ] {
        refuses(
            &strict.config(config).await,
            &["would be read as another one by runhcs"],
        );
    }
    assert_eq!(
        strict
            .config(json!({"hostname": "web", "x-own": {"Mounts": 1}}))
            .await,
        "accepted"
    );
}

#[tokio::test]
async fn what_takes_hold_of_the_host_is_refused_at_apply_unless_it_is_listed() {
    let denied = Strict::with("policy-host", &ROOTS).await;
    let listed = [
        ROOTS.as_slice(),
        &[("hostAccess", "Devices; Credentials; Network")],
    ]
    .concat();
    let listed = Strict::with("policy-host-open", &listed).await;
    for (windows, word) in [
        (
            json!({"devices": [{"id": "x", "idType": "class"}]}),
            "windows.devices (Devices)",
        ),
        (
            json!({"credentialSpec": {"CmsPlugins": []}}),
            "windows.credentialSpec (Credentials)",
        ),
        (
            json!({"network": {"networkNamespace": "x"}}),
            "windows.network (Network)",
        ),
        (
            json!({"network": {"endpointList": ["x"]}}),
            "windows.network (Network)",
        ),
        (
            json!({"network": {"networkSharedContainerName": "x"}}),
            "windows.network (Network)",
        ),
    ] {
        let config = json!({"windows": windows});
        refuses(
            &denied.config(config.clone()).await,
            &[word, "hostAccess", "remove it"],
        );
        assert_eq!(listed.config(config).await, "accepted");
    }
    let nothing = json!({"windows": {"devices": [], "network": {"DNSSearchList": ["x"]}}});
    assert_eq!(denied.config(nothing).await, "accepted");
}

#[tokio::test]
async fn runtimes_inline_configs_and_sizes_are_refused_at_apply_by_their_limits() {
    let limits = [
        ("allowedRuntimes", "Process;Linux"),
        ("maxMemoryMb", "512"),
        ("maxCpus", "2"),
        ("maxScratchGb", "40"),
    ];
    let strict = Strict::with("policy-limits", &[ROOTS.as_slice(), &limits].concat()).await;
    assert_eq!(strict.create(&json!({})).await, "accepted");
    let hyperv = json!({"spec": {"runtime": {"isolation": "HyperV"}}});
    refuses(
        &strict.create(&hyperv).await,
        &["spec.runtime: HyperV", "allowedRuntimes (Process, Linux)"],
    );
    let memory = |bytes: u64| json!({"windows": {"resources": {"memory": {"limit": bytes}}}});
    refuses(
        &strict.config(memory(536_870_913)).await,
        &["memory.limit: 513 MB", "maxMemoryMb", "is 512"],
    );
    let none = json!({"windows": {"resources": {"memory": null}}});
    refuses(&strict.config(none).await, &["memory.limit: none"]);
    let annotation = json!({"annotations": {"io.microsoft.container.memory.sizeinmb": "4096"}});
    refuses(&strict.config(annotation).await, &["4096 MB"]);
    let cpus = json!({"windows": {"resources": {"cpu": {"count": 3}}}});
    refuses(
        &strict.config(cpus).await,
        &["cpu.count: 3", "maxCpus", "is 2"],
    );
    let scratch = |size: u32| {
        json!({"spec": {
            "runtime": {"os": "Linux", "isolation": "HyperV"}, "scratch": {"sizeGB": size},
        }})
    };
    assert_eq!(strict.create(&scratch(40)).await, "accepted");
    refuses(
        &strict.create(&scratch(41)).await,
        &["spec.scratch.sizeGB: 41", "maxScratchGb", "is 40"],
    );
    let bundles = [ROOTS.as_slice(), &[("allowInlineConfig", "false")]].concat();
    let bundles = Strict::with("policy-inline", &bundles).await;
    refuses(
        &bundles.create(&json!({})).await,
        &[
            "spec.bundle.config",
            "allowInlineConfig",
            "use spec.bundle.path",
        ],
    );
}

#[tokio::test]
async fn what_was_there_before_a_stricter_policy_can_be_stopped_labelled_and_deleted() {
    let strict = Strict::with("policy-after", &ROOTS).await;
    // Made while it asked for no container, as what was there before a policy.
    let object = json!({
        "apiVersion": "hcs-operator.dev/v1alpha1", "kind": "HcsContainer", "metadata": {"name": "old"},
        "spec": {
            "nodeName": "no-node", "desiredState": "Stopped", "bundle": {"path": "/hcs/bundles/web"},
        },
    });
    let object: DynamicObject = serde_json::from_value(object).unwrap();
    let api = strict.objects();
    api.create(&PostParams::default(), &object).await.unwrap();
    let patch = |change: Value| {
        let api = api.clone();
        async move {
            api.patch("old", &PatchParams::default(), &Patch::Merge(&change))
                .await
        }
    };
    let run = patch(json!({"spec": {"desiredState": "Running"}}))
        .await
        .unwrap_err();
    refuses(&run.to_string(), &["spec.bundle.path"]);
    patch(json!({"metadata": {"labels": {"a": "b"}, "finalizers": ["example.com/keep"]}}))
        .await
        .unwrap();
    patch(json!({"spec": {"desiredState": "Deleted"}}))
        .await
        .unwrap();
    api.delete("old", &DeleteParams::default()).await.unwrap();
    let left = patch(json!({"metadata": {"finalizers": null}}))
        .await
        .unwrap();
    assert_eq!(left.name_any(), "old");
}

#[tokio::test]
async fn as_installed_no_root_is_allowed() {
    let strict = Strict::with("policy-default", &[("layerRoots", "")]).await;
    refuses(
        &strict.create(&json!({})).await,
        &["windows.layerFolders", "layerRoots ()"],
    );
    let map = std::fs::read_to_string(
        hcs_tests::binaries::workspace().join("manifests/policy/kustomization.yaml"),
    );
    let map: Value = serde_yaml_ng::from_str(&map.unwrap()).unwrap();
    let literals = map["configMapGenerator"][0]["literals"].as_array().unwrap();
    assert_eq!(literals.len(), 4);
    assert!(
        literals
            .iter()
            .all(|literal| literal.as_str().unwrap().ends_with("Roots=")),
        "{literals:?}"
    );
}
