//! The images, as a real BuildKit builds them from `docker-bake.hcl`. What needs a registry of images stands aside: the
//! stage that compiles, for which a folder with a program is given, and what the images are based on. So these tests see
//! what the files here make of an image, and `docs/release.md` says what was seen of the rest.
#![cfg(target_os = "linux")]
// Clippy allows these in test functions, and all of this is tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use hcs_tests::builder::Builder;
use hcs_tests::{Result, binaries};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const BASES: [&str; 2] = [
    "mcr.microsoft.com/oss/kubernetes/windows-host-process-containers-base-image:v1.0.0",
    "gcr.io/distroless/cc-debian12:nonroot",
];

/// What stands in for what cannot be had here, as a second file for bake.
fn stand_ins(dir: &Path) -> PathBuf {
    let folder = |name: &str, files: &[&str]| {
        let folder = dir.join(name);
        fs::create_dir_all(&folder).unwrap();
        for file in files {
            fs::write(folder.join(file), "a stand-in").unwrap();
        }
        folder.display().to_string()
    };
    let build = folder("build", &["hcs-operator", "hcs-operator.exe"]);
    // An image, as what a layer of Windows looks like depends on what it lies on.
    folder("base/Files", &["License.txt"]);
    let windows = layout(&dir.join("base"));
    let linux = folder("linux", &["license.txt"]);
    let target = |name: &str, of: &str, base: &str| {
        json!({
            "contexts": {"build": build, of: base},
            // The scanner that makes the SBOM is an image too.
            "attest": [{"type": "sbom", "disabled": "true"}],
            "output": [format!("type=oci,tar=false,dest={}", dir.join(name).display())],
        })
    };
    let all = json!({"target": {
        "agent": target("agent", BASES[0], &windows),
        "controller": target("controller", BASES[1], &linux),
    }});
    let file = dir.join("stand-ins.json");
    fs::write(&file, all.to_string()).unwrap();
    file
}

/// Keeps a blob of an OCI image layout; gives its descriptor.
fn keep(layout: &Path, kind: &str, bytes: &[u8]) -> Value {
    let digest = Sha256::digest(bytes);
    let hex = digest
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    fs::write(layout.join("blobs/sha256").join(&hex), bytes).unwrap();
    let kind = format!("application/vnd.oci.image.{kind}");
    json!({"mediaType": kind, "digest": format!("sha256:{hex}"), "size": bytes.len()})
}

/// Makes an image layout of an image for Windows whose one layer is the folder; gives it as bake's context.
fn layout(folder: &Path) -> String {
    let layout = folder.with_extension("layout");
    fs::create_dir_all(layout.join("blobs/sha256")).unwrap();
    let tar = Command::new("tar")
        .arg("-cC")
        .arg(folder)
        .arg("Files")
        .output();
    let layer = keep(&layout, "layer.v1.tar", &tar.unwrap().stdout);
    let config = json!({
        "os": "windows",
        "architecture": "amd64",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
    });
    let config = keep(&layout, "config.v1+json", config.to_string().as_bytes());
    let manifest = json!({"schemaVersion": 2, "config": config, "layers": [layer]});
    let mut manifest = keep(&layout, "manifest.v1+json", manifest.to_string().as_bytes());
    manifest["platform"] = json!({"os": "windows", "architecture": "amd64"});
    manifest["annotations"] = json!({"org.opencontainers.image.ref.name": "latest"});
    let index = json!({"schemaVersion": 2, "manifests": [manifest]});
    fs::write(layout.join("index.json"), index.to_string()).unwrap();
    fs::write(
        layout.join("oci-layout"),
        r#"{"imageLayoutVersion": "1.0.0"}"#,
    )
    .unwrap();
    format!("oci-layout://{}:latest", layout.display())
}

fn blob(layout: &Path, of: &Value) -> PathBuf {
    let digest = of["digest"].as_str().unwrap();
    layout.join("blobs").join(digest.replace(':', "/"))
}

fn read(file: &Path) -> Value {
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

/// The image in a layout: its configuration, and the files of its last layer.
fn image(layout: &Path) -> (Value, Vec<String>) {
    let index = read(&blob(
        layout,
        &read(&layout.join("index.json"))["manifests"][0],
    ));
    let manifests = index["manifests"].as_array().unwrap();
    let of_image = |m: &&Value| m["platform"]["os"] != "unknown";
    let manifest = read(&blob(layout, manifests.iter().find(of_image).unwrap()));
    let layers = manifest["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 2, "the base and one program: {layers:?}");
    let list = Command::new("tar")
        .arg("-tzf")
        .arg(blob(layout, &layers[1]))
        .output();
    let files = String::from_utf8(list.unwrap().stdout).unwrap();
    let files = files
        .lines()
        .filter(|line| line.ends_with("operator") || line.contains('.'));
    (
        read(&blob(layout, &manifest["config"])),
        files.map(str::to_owned).collect(),
    )
}

/// The container of a manifest's pods.
fn container(manifest: &str) -> (Value, Value) {
    let text = fs::read_to_string(binaries::workspace().join("manifests").join(manifest)).unwrap();
    let mut documents = serde_yaml_ng::Deserializer::from_str(&text);
    let first = documents.next().unwrap();
    let object: Value = serde::Deserialize::deserialize(first).unwrap();
    let pod = object["spec"]["template"]["spec"].clone();
    (pod["containers"][0].clone(), pod)
}

#[test]
#[ignore = "builds a BuildKit first, needs root and runc: for when the images change, and before a release"]
fn the_images_are_what_their_pods_run() -> Result {
    if let Some(missing) = Builder::missing() {
        eprintln!("\n!!! SKIPPED: the images are not built: this machine lacks {missing}\n");
        return Ok(());
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let builder = Builder::start(dir)?;
    let files = [PathBuf::from("docker-bake.hcl"), stand_ins(dir)];
    let allowed = format!("fs={}", dir.display());
    builder.run(|buildx| {
        buildx.args(["bake", "--progress", "plain", "--allow", &allowed]);
        files
            .iter()
            .fold(buildx, |buildx, file| buildx.arg("--file").arg(file))
    })?;

    let version = env!("CARGO_PKG_VERSION");
    let (agent, files) = image(&dir.join("agent"));
    assert_eq!(
        (&agent["os"], &agent["architecture"]),
        (&json!("windows"), &json!("amd64"))
    );
    assert_eq!(files, ["Files/hcs-operator.exe"]);
    let config = &agent["config"];
    assert_eq!(
        config["Env"],
        json!([r"PATH=C:\Windows\system32;C:\Windows"])
    );
    let (runs, _) = container("agent/daemonset.yaml");
    assert_eq!(config["Entrypoint"][0], runs["command"][0]);
    assert_eq!(
        config["Labels"]["org.opencontainers.image.version"],
        version
    );

    let (controller, files) = image(&dir.join("controller"));
    assert_eq!(
        (&controller["os"], &controller["architecture"]),
        (&json!("linux"), &json!("amd64"))
    );
    assert_eq!(files, ["usr/local/bin/hcs-operator"]);
    let config = &controller["config"];
    assert_eq!(config["Entrypoint"], json!(["/usr/local/bin/hcs-operator"]));
    assert_eq!(
        config["Labels"]["org.opencontainers.image.version"],
        version
    );
    let (runs, pod) = container("controller/deployment.yaml");
    assert_eq!(config["Cmd"][0], runs["args"][0]);
    let user = &pod["securityContext"];
    assert_eq!(
        config["User"],
        format!("{}:{}", user["runAsUser"], user["runAsGroup"])
    );
    Ok(())
}
