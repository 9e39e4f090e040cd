//! The executables that the harness runs: the control plane, built from `tests/control-plane` into a cache outside the
//! checkout (it takes minutes, and changes with Kubernetes' version only), and the workspace's own, built by cargo.

use std::ffi::OsStr;
use std::fmt::Write;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use sha2::{Digest, Sha256};

use crate::Error;

/// What the multi-call executable can be called as, by the file name to call it by.
pub const CONTROL_PLANE: [&str; 4] = [
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kubectl",
];

/// Kubernetes' release, as `kubectl version` should show it. `go.mod` decides what is built; a test keeps both equal.
const KUBERNETES: &str = "1.37.2";

/// Names a folder that holds executables to use in place of ours (the convention of Kubernetes' `envtest`).
pub const ASSETS: &str = "KUBEBUILDER_ASSETS";

/// The workspace's root folder.
pub fn workspace() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_owned()
}

/// The executable for one of [`CONTROL_PLANE`]: from the folder in [`ASSETS`] if that has it, else ours, which is built
/// first where the cache has none yet. Says on standard error what takes long.
pub fn control_plane(name: &str) -> Result<PathBuf, Error> {
    let asset = std::env::var_os(ASSETS).map(|folder| Path::new(&folder).join(name));
    match asset {
        Some(asset) if asset.is_file() => Ok(asset),
        _ => built_control_plane().map(|folder| folder.join(name)),
    }
}

/// Folder with the executables of [`CONTROL_PLANE`], built if need be.
fn built_control_plane() -> Result<&'static Path, Error> {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    if let Some(folder) = BUILT.get() {
        return Ok(folder);
    }
    let source = workspace().join("tests/control-plane");
    let folder = cache_folder()?.join("control-plane").join(key(&source)?);
    if !complete(&folder) {
        let parent = folder.parent().unwrap_or(&folder);
        let failed = |source| Error::file("prepare the cache", parent, source);
        fs::create_dir_all(parent).map_err(failed)?;
        // Two that want it at once: the second waits, then finds it there. The lock goes with the file's handle.
        let lock = File::create(folder.with_extension("lock")).map_err(failed)?;
        lock.lock().map_err(failed)?;
        if !complete(&folder) {
            build(&source, &folder)?;
        }
    }
    Ok(BUILT.get_or_init(|| folder))
}

fn complete(folder: &Path) -> bool {
    CONTROL_PLANE.iter().all(|name| folder.join(name).is_file())
}

/// Builds into a folder beside `folder` and renames it, so that an interrupted build is never taken for a whole one.
fn build(source: &Path, folder: &Path) -> Result<(), Error> {
    eprintln!(
        "Building the control plane (etcd, kube-apiserver, kube-controller-manager, kubectl {KUBERNETES}) with Go: this \
         takes about 7 minutes the first time on two cores, and is kept in {}",
        folder.display()
    );
    let unfinished = folder.with_extension("unfinished");
    let failed = |source| Error::file("build the control plane in", &unfinished, source);
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).map_err(failed)?;
    }
    fs::create_dir_all(&unfinished).map_err(failed)?;
    let started = std::time::Instant::now();
    let (major, minor) = KUBERNETES.split_once('.').unwrap_or_default();
    let minor = minor.split('.').next().unwrap_or_default();
    let version = "-X k8s.io/component-base/version.git";
    let link = format!(
        "-s -w {version}Version=v{KUBERNETES} {version}Major={major} {version}Minor={minor} {version}TreeState=clean"
    );
    let executable = unfinished.join(CONTROL_PLANE[0]);
    let mut go = Command::new("go");
    go.current_dir(source)
        .env("CGO_ENABLED", "0")
        .env("GOFLAGS", "-buildvcs=false -mod=readonly")
        .args(["build", "-trimpath", "-ldflags", &link, "-o"])
        .arg(&executable)
        .arg(".");
    run(go, "the control plane's Go build")?;
    for name in &CONTROL_PLANE[1..] {
        fs::hard_link(&executable, unfinished.join(name)).map_err(failed)?;
    }
    fs::rename(&unfinished, folder).map_err(failed)?;
    eprintln!(
        "Built the control plane in {} s",
        started.elapsed().as_secs()
    );
    Ok(())
}

/// What the build depends on: the module's files, this file's link flags and Go's release.
fn key(source: &Path) -> Result<String, Error> {
    let mut hash = Sha256::new();
    for name in ["go.mod", "go.sum", "main.go"] {
        let file = source.join(name);
        hash.update(fs::read(&file).map_err(|source| Error::file("read", &file, source))?);
    }
    hash.update(KUBERNETES);
    let go = Command::new("go")
        .current_dir(source)
        .args(["env", "GOVERSION", "GOOS", "GOARCH"])
        .output();
    match go {
        Ok(output) if output.status.success() => hash.update(output.stdout),
        Ok(output) => {
            return Err(Error::Command {
                what: "go env".into(),
                status: output.status,
            });
        }
        Err(source) => {
            return Err(Error::Start {
                what: "go (is Go installed?)".into(),
                source,
            });
        }
    }
    Ok(hexadecimal(&hash.finalize()[..8]))
}

/// Two lower-case digits a byte.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The project's cache folder outside the checkout, by the XDG convention.
///
/// # Errors
/// [`Error::NoCache`] when neither `XDG_CACHE_HOME` nor `HOME` is set.
pub fn cache_folder() -> Result<PathBuf, Error> {
    let set = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    set("XDG_CACHE_HOME")
        .or_else(|| set("HOME").map(|home| home.join(".cache")))
        .map(|cache| cache.join("hcs-operator"))
        .ok_or(Error::NoCache)
}

/// A cargo command in the workspace's root.
///
/// What an outer cargo says of the package that it runs is left out: build scripts that look at it
/// (ring's does) would be run again, and all that depends on them be built again, each time.
pub fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace());
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| {
            name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
        }) {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// The workspace's own executables.
#[derive(Debug, Clone)]
pub struct Workspace {
    folder: PathBuf,
}

/// Names a folder that holds the workspace's executables already, for runs that built them.
pub const BIN_DIR: &str = "HCS_TESTS_BIN_DIR";

impl Workspace {
    /// Those in the folder named by [`BIN_DIR`], else newly built by cargo (a second when nothing has changed).
    pub fn get() -> Result<Self, Error> {
        static BUILT: OnceLock<PathBuf> = OnceLock::new();
        if let Some(folder) = std::env::var_os(BIN_DIR) {
            return Ok(Self {
                folder: folder.into(),
            });
        }
        if BUILT.get().is_none() {
            let _ = BUILT.set(Self::build(false)?.folder);
        }
        let folder = BUILT.get().cloned().unwrap_or_default();
        Ok(Self { folder })
    }

    /// Builds them, in cargo's release profile if `release`.
    pub fn build(release: bool) -> Result<Self, Error> {
        let mut cargo = cargo();
        cargo.args(["build", "--bins"]);
        if release {
            cargo.args([
                "--release",
                "--package",
                "hcs-operator",
                "--package",
                "runhcs-sim",
            ]);
            cargo.args(["--package", "hcs-tests"]);
        } else {
            // As all other builds of `cargo xtask`: another choice of packages can mean other features
            // of what they share, which would be built again.
            cargo.arg("--workspace");
        }
        run(cargo, "cargo build of the workspace's executables")?;
        Ok(Self {
            folder: target_folder()?.join(if release { "release" } else { "debug" }),
        })
    }

    /// The folder they are in.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The operator: agent and controller.
    pub fn operator(&self) -> PathBuf {
        self.folder.join("hcs-operator")
    }

    /// The simulator of runhcs.
    pub fn simulator(&self) -> PathBuf {
        self.folder.join("runhcs-sim")
    }

    /// The program that scenarios run in their containers.
    pub fn workload(&self) -> PathBuf {
        self.folder.join("hcs-test-workload")
    }
}

/// Cargo's target folder.
pub fn target_folder() -> Result<PathBuf, Error> {
    match std::env::var_os("CARGO_TARGET_DIR") {
        // Cargo takes a relative one from the folder that it is started in.
        Some(folder) => std::path::absolute(&folder)
            .map_err(|source| Error::file("find the target folder", Path::new(&folder), source)),
        None => Ok(workspace().join("target")),
    }
}

/// Runs a command with this process' standard streams.
///
/// # Errors
/// [`Error::Start`] if it cannot be started and [`Error::Command`] if it fails.
pub fn run(mut command: Command, what: &str) -> Result<(), Error> {
    let status = command.status().map_err(|source| Error::Start {
        what: format!("{what} ({})", command.get_program().to_string_lossy()),
        source,
    })?;
    if status.success() {
        Ok(())
    } else {
        Err(Error::Command {
            what: what.to_owned(),
            status,
        })
    }
}

/// Makes `link` lead to the executable `target`, in place of whatever it led to.
pub fn link(target: &Path, link: &Path) -> io::Result<()> {
    match fs::remove_file(link) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    std::os::unix::fs::symlink(target, link)
}

/// Whether a program is found on PATH.
pub fn on_path(program: impl AsRef<OsStr>) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program.as_ref()).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_shown_is_the_version_built() {
        let module = fs::read_to_string(workspace().join("tests/control-plane/go.mod")).unwrap();
        assert!(module.contains(&format!("k8s.io/kubernetes v{KUBERNETES}\n")));
    }
}
