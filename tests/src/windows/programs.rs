//! The Windows executables: the workspace's own, built by cargo, and the real `runhcs.exe`, built from its Go module.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use super::Toolchain;
use super::cached::{self, Key};
use super::toolchain::TARGET;
use crate::{Error, binaries};

/// The packages whose executables scenarios need.
const PACKAGES: [&str; 3] = ["hcs-operator", "runhcs-sim", "hcs-tests"];

/// Names a folder that holds the workspace's Windows executables already.
pub const BIN_DIR: &str = "HCS_TESTS_WINDOWS_BIN_DIR";

/// The workspace's executables for Windows.
#[derive(Debug, Clone)]
pub struct Executables {
    folder: PathBuf,
}

impl Executables {
    /// Those in the folder named by [`BIN_DIR`], else built by cargo (a second when nothing has changed) into a target
    /// folder of their own.
    pub fn build(toolchain: &Toolchain) -> Result<Self, Error> {
        if let Some(folder) = std::env::var_os(BIN_DIR) {
            return Ok(Self {
                folder: folder.into(),
            });
        }
        let target = binaries::target_folder()?.join("windows");
        if !target.is_dir() {
            eprintln!(
                "Building the Windows executables: this takes about 10 minutes the first time on two cores"
            );
        }
        let mut cargo = toolchain.cargo("build");
        cargo
            .current_dir(binaries::workspace())
            .args(["--quiet", "--bins", "--target-dir"])
            .arg(&target);
        cargo.args(PACKAGES.iter().flat_map(|package| ["--package", package]));
        binaries::run(cargo, "cargo build of the Windows executables")?;
        Ok(Self {
            folder: target.join(TARGET).join("debug"),
        })
    }

    /// The operator: agent, controller and service.
    pub fn operator(&self) -> PathBuf {
        self.folder.join("hcs-operator.exe")
    }

    /// The simulator of runhcs.
    pub fn simulator(&self) -> PathBuf {
        self.folder.join("runhcs-sim.exe")
    }

    /// The program that scenarios run in their containers.
    pub fn workload(&self) -> PathBuf {
        self.folder.join("hcs-test-workload.exe")
    }
}

/// The real `runhcs.exe`, of the release that `tests/windows/runhcs/go.mod` pins.
pub fn runhcs() -> Result<PathBuf, Error> {
    let module = binaries::workspace().join("tests/windows/runhcs");
    let key = Key::new().folder(&module)?;
    let folder = cached::folder("runhcs", key, |folder| build_runhcs(&module, folder))?;
    Ok(folder.join("runhcs.exe"))
}

fn build_runhcs(module: &Path, folder: &Path) -> Result<(), Error> {
    eprintln!("Building runhcs.exe with Go: this takes half a minute the first time");
    let started = Instant::now();
    let mut go = Command::new("go");
    go.current_dir(module)
        .envs([
            ("GOOS", "windows"),
            ("GOARCH", "amd64"),
            ("CGO_ENABLED", "0"),
        ])
        .env("GOFLAGS", "-buildvcs=false -mod=readonly")
        .args(["build", "-trimpath", "-ldflags=-s -w", "-o"])
        .arg(folder.join("runhcs.exe"))
        .arg("github.com/Microsoft/hcsshim/cmd/runhcs");
    binaries::run(go, "the Go build of runhcs.exe")?;
    eprintln!("Built runhcs.exe in {} s", started.elapsed().as_secs());
    Ok(())
}
