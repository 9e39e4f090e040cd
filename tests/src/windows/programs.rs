//! The Windows executables: the workspace's own, built by cargo, and the real `runhcs.exe`, built from its Go module.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use super::toolchain::TARGET;
use super::{Prefix, Toolchain};
use crate::cached::{self, Key};
use crate::{Error, binaries};

/// The packages that are built for Windows: those whose executables scenarios need, and what they are made of.
const PACKAGES: [&str; 5] = [
    "hcs-operator",
    "runhcs-sim",
    "runhcs",
    "hcs-crds",
    "hcs-tests",
];

/// Names a folder that holds the workspace's Windows executables already.
const BIN_DIR: &str = "HCS_TESTS_WINDOWS_BIN_DIR";

/// The workspace's executables for Windows.
#[derive(Debug, Clone)]
pub struct Executables {
    folder: PathBuf,
}

impl Executables {
    /// Those that [`Executables::name_to`] names, else built by cargo (a second when nothing has changed) into a target
    /// folder of their own.
    pub fn build(toolchain: &Toolchain) -> Result<Self, Error> {
        if let Some(folder) = std::env::var_os(BIN_DIR) {
            return Ok(Self {
                folder: folder.into(),
            });
        }
        let target = target()?;
        if !target.is_dir() {
            eprintln!(
                "Building for Windows: this takes about 7 minutes the first time on two cores"
            );
        }
        // The tests too: without them, what all share would be built again with other features for them.
        let mut cargo = cargo(toolchain, "build")?;
        cargo.args(["--bins", "--tests"]);
        binaries::run(cargo, "cargo build of the Windows executables")?;
        Ok(Self {
            folder: target.join(TARGET).join("debug"),
        })
    }

    /// A command that runs the packages' own tests on a Windows machine.
    pub fn tests(toolchain: &Toolchain, machine: &Prefix) -> Result<Command, Error> {
        let mut cargo = cargo(toolchain, "test")?;
        cargo.args(["--no-fail-fast", "--bins", "--tests"]);
        // These are few and run side by side: they may use all processors.
        cargo.envs(machine.envs()).env(RUNNER, &toolchain.wine);
        Ok(cargo)
    }

    /// Names these to a process, so that it need not have them built.
    pub fn name_to(&self, command: &mut Command) {
        command.env(BIN_DIR, &self.folder);
    }

    /// The operator: agent, controller and service.
    pub fn operator(&self) -> PathBuf {
        self.folder.join("hcs-operator.exe")
    }

    /// The simulator of runhcs.
    pub fn simulator(&self) -> PathBuf {
        self.folder.join("runhcs-sim.exe")
    }

    /// What controls the simulator.
    pub fn simctl(&self) -> PathBuf {
        self.folder.join("runhcs-simctl.exe")
    }

    /// The program that scenarios run in their containers.
    pub fn workload(&self) -> PathBuf {
        self.folder.join("hcs-test-workload.exe")
    }
}

/// Says which program runs executables of the target.
const RUNNER: &str = "CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER";

/// What else cargo is told of the build: parts of a program's file that begin where pages do can be mapped; wine copies
/// others, 50 MB at each start of the agent. And each part costs at each start, also those for a debugger.
const CONFIG: &str = "target.x86_64-pc-windows-gnu.rustflags=\
    ['-Clink-arg=-Wl,--file-alignment,4096', '-Cstrip=debuginfo']";

fn target() -> Result<PathBuf, Error> {
    Ok(binaries::target_folder()?.join("windows"))
}

fn cargo(toolchain: &Toolchain, verb: &str) -> Result<Command, Error> {
    let mut cargo = toolchain.cargo(verb);
    cargo
        .current_dir(binaries::workspace())
        .arg("--target-dir")
        .arg(target()?);
    cargo.args(["--config", CONFIG]);
    cargo.args(PACKAGES.iter().flat_map(|package| ["--package", package]));
    Ok(cargo)
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
    let mut build = Command::new(module.join("build.sh"));
    build.arg(folder.join("runhcs.exe"));
    binaries::run(build, "tests/windows/runhcs/build.sh")?;
    eprintln!("Built runhcs.exe in {} s", started.elapsed().as_secs());
    Ok(())
}
