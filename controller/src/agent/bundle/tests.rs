//! What is read, what is refused, and what the agent's own config.json says.

use hcs_crds::{Bundle, HcsContainerSpec, Runtime, Scratch, Tty};

use super::*;
use crate::agent::record::{ObjectId, ScratchMade};
use crate::agent::validate::paths::Roots;

struct Host {
    dir: tempfile::TempDir,
    policy: HostPolicy,
}

fn host() -> Host {
    let dir = tempfile::tempdir().unwrap();
    for folder in ["bundles/web", "layers/base", "layers/scratch", "mounts/a"] {
        fs::create_dir_all(dir.path().join(folder)).unwrap();
    }
    let roots = |name: &str| Roots {
        setting: "--x-roots",
        folders: vec![dir.path().join(name)],
    };
    let policy = HostPolicy::of_roots(
        roots("bundles"),
        roots("layers"),
        roots("caches"),
        roots("mounts"),
    );
    Host { dir, policy }
}

impl Host {
    fn path(&self, below: &str) -> String {
        self.dir.path().join(below).to_string_lossy().into_owned()
    }

    fn config(&self) -> Value {
        json!({
            "process": {"args": ["run"], "cwd": "/"},
            "annotations": {"app": "web"},
            "windows": {"layerFolders": [self.path("layers/base"), self.path("layers/scratch")]},
        })
    }

    fn write_config(&self, text: &str) -> HcsContainer {
        fs::write(self.path("bundles/web/config.json"), text).unwrap();
        object(Bundle {
            config: None,
            path: Some(self.path("bundles/web")),
        })
    }
}

fn object(bundle: Bundle) -> HcsContainer {
    HcsContainer::new(
        "web",
        HcsContainerSpec {
            bundle,
            ..HcsContainerSpec::default()
        },
    )
}

fn inline(config: &Value) -> HcsContainer {
    object(Bundle {
        config: config.as_object().cloned().map(Into::into),
        path: None,
    })
}

fn record() -> Record {
    let id = ObjectId::new("u", "n", "web");
    let mut record = Record::new(id);
    record.begin_attempt(super::super::record::Applied::default(), "boot");
    record
}

fn error(result: Result<Prepared, BundleError>) -> String {
    result.map_or_else(|error| error.to_string(), |_| "prepared".into())
}

fn written(host: &Host, object: &HcsContainer, record: &Record) -> Value {
    let prepared = prepare(object, &host.policy).unwrap();
    let folder = host.dir.path().join("own/hc-u-1");
    write(prepared, object, record, &folder).unwrap();
    serde_json::from_slice(&fs::read(folder.join("config.json")).unwrap()).unwrap()
}

#[test]
fn a_bundle_on_disk_is_copied_with_the_agents_annotations_and_its_root_resolved() {
    let host = host();
    fs::create_dir(host.path("bundles/web/rootfs")).unwrap();
    let mut config = host.config();
    config["root"] = json!({"path": "rootfs"});
    let config = written(&host, &host.write_config(&config.to_string()), &record());
    assert_eq!(config["annotations"]["app"], "web");
    assert_eq!(config["annotations"]["hcs-operator.dev/uid"], "u");
    assert_eq!(config["annotations"]["hcs-operator.dev/attempt"], "1");
    assert_eq!(config["ociVersion"], OCI_VERSION);
    let root = Path::new(config["root"]["path"].as_str().unwrap());
    assert_eq!(root, host.dir.path().join("bundles/web/rootfs"));
}

#[test]
fn a_terminal_a_vm_and_a_scratch_go_into_the_config() {
    let host = host();
    let mut object = inline(&host.config());
    object.spec.tty = Some(Tty {
        width: 120,
        height: 30,
    });
    object.spec.runtime = Runtime {
        os: Os::Linux,
        isolation: Isolation::HyperV,
    };
    object.spec.scratch = Some(Scratch::default());
    let mut record = record();
    let path = host
        .dir
        .path()
        .join("scratch/u/sandbox.vhdx")
        .to_string_lossy()
        .into_owned();
    record.scratch = Some(ScratchMade { size_gb: 20, path });
    let config = written(&host, &object, &record);
    assert_eq!(
        config["process"]["consoleSize"],
        json!({"height": 30, "width": 120})
    );
    assert_eq!(config["process"]["terminal"], true);
    assert_eq!(config["windows"]["hyperv"], json!({}));
    assert_eq!(config["linux"], json!({}));
    let layers = config["windows"]["layerFolders"].as_array().unwrap();
    assert_eq!(
        Path::new(layers[2].as_str().unwrap()),
        host.dir.path().join("scratch/u")
    );
}

#[test]
fn bundles_that_cannot_be_run_are_refused_with_their_path_and_the_reason() {
    let host = host();
    let policy = &host.policy;
    let refused = |text: &str| error(prepare(&host.write_config(text), policy));
    assert!(refused("{ nope").contains("is not JSON: key must be a string at line 1"));
    assert!(refused("{}").contains("process is missing"));
    assert!(refused("[1]").contains("not an OCI runtime spec"));
    let huge = format!("\"{}\"", "x".repeat(1_600_000));
    assert!(refused(&huge).contains("larger than"));
    fs::remove_file(host.path("bundles/web/config.json")).unwrap();
    let bundle = |path: String| {
        object(Bundle {
            config: None,
            path: Some(path),
        })
    };
    let no_config = error(prepare(&bundle(host.path("bundles/web")), policy));
    assert!(no_config.ends_with("has no config.json"), "{no_config}");
    fs::create_dir(host.path("bundles/web/config.json")).unwrap();
    let folder = error(prepare(&bundle(host.path("bundles/web")), policy));
    assert!(folder.ends_with("has no config.json"), "{folder}");
    let missing = error(prepare(&bundle(host.path("bundles/none")), policy));
    assert!(missing.ends_with("does not exist"), "{missing}");
    let outside = error(prepare(&bundle(host.path("layers/base")), policy));
    assert!(outside.contains("lies below no allowed root"), "{outside}");
}

#[test]
fn layers_and_mounts_outside_the_roots_or_missing_are_refused() {
    let host = host();
    let mut config = host.config();
    config["windows"]["layerFolders"] = json!([host.path("layers/base"), host.path("layers/none")]);
    assert!(error(prepare(&inline(&config), &host.policy)).contains("does not exist"));
    let mut config = host.config();
    config["mounts"] = json!([{"source": host.path("bundles"), "destination": "/m"}]);
    assert!(error(prepare(&inline(&config), &host.policy)).contains("below no allowed root"));
    config["mounts"][0]["source"] = json!(host.path("mounts/a"));
    assert_eq!(error(prepare(&inline(&config), &host.policy)), "prepared");
}

#[test]
fn a_root_that_is_not_the_bundles_own_or_a_layer_is_refused() {
    let host = host();
    fs::create_dir(host.path("elsewhere")).unwrap();
    let rooted = |path: &str| {
        let mut config = host.config();
        config["root"] = json!({"path": path});
        config
    };
    let volume = r"\\?\Volume{0b9d3a2e-0000-0000-0000-100000000000}\";
    for path in [
        volume,
        "/",
        "rootfs",
        &host.path("elsewhere"),
        &host.path("mounts/a"),
    ] {
        let refused = error(prepare(&inline(&rooted(path)), &host.policy));
        assert!(refused.starts_with("spec.bundle: root.path: "), "{refused}");
    }
    let above = host.write_config(&rooted("../../elsewhere").to_string());
    let refused = error(prepare(&above, &host.policy));
    assert!(
        refused.contains("root.path") && refused.contains("relative"),
        "{refused}"
    );
    for path in ["", &host.path("layers/base")] {
        assert_eq!(
            error(prepare(&inline(&rooted(path)), &host.policy)),
            "prepared"
        );
    }
}

#[test]
fn what_the_settings_deny_is_denied_in_bundles_of_the_node_as_well() {
    let host = host();
    let mut config = host.config();
    config["windows"]["devices"] = json!([{"id": "x", "idType": "class"}]);
    let object = host.write_config(&config.to_string());
    let refused = error(prepare(&object, &host.policy));
    assert!(refused.contains("windows.devices"), "{refused}");
    let folder = object.spec.bundle.path.clone().unwrap();
    config["windows"]["devices"] = json!([]);
    config["Mounts"] = json!([{"source": "/", "destination": "/host"}]);
    host.write_config(&config.to_string());
    let refused = error(prepare(&object, &host.policy));
    assert!(
        refused.contains("\"Mounts\"") && refused.contains("\"mounts\""),
        "{folder}: {refused}"
    );
}

#[test]
fn the_bundle_and_the_layer_that_is_written_to_are_claimed() {
    let host = host();
    let object = host.write_config(&host.config().to_string());
    let claims = prepare(&object, &host.policy).unwrap().claims;
    let expected = [host.path("bundles/web"), host.path("layers/scratch")];
    assert_eq!(claims, expected.map(|path| canonical(Path::new(&path))));
}
