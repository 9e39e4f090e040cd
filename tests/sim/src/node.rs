//! Where one simulated node keeps its state, and how it is set up.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::names;
use crate::platform;

/// Environment variable that names another state folder than the one beside the executable.
pub const STATE_VARIABLE: &str = "RUNHCS_SIM_STATE";

/// What a pause of a container with process isolation does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PauseProcessIsolation {
    /// "The request is not supported.", as Windows is assumed to say.
    #[default]
    Refuse,
    /// It works, as under the emulation of the Host Compute Service.
    Allow,
}

/// What becomes of the standard output and error that `create`, `run` and `exec` were given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ShimStdio {
    /// The shim holds them open and the container writes there: as a runhcs would that was built
    /// so that its shim inherits them. A client that reads a pipe to its end waits for the
    /// container.
    #[default]
    Held,
    /// They are closed with the command, and the container's output is lost: as v0.11.7 does.
    Lost,
}

/// What the Host Compute Service makes of the signal document `null` (`kill ID KILL`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NullSignal {
    /// It kills.
    #[default]
    Kill,
    /// It refuses the document.
    Invalid,
}

/// The release of hcsshim that runhcs is as.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Release {
    /// v0.11.7, which works.
    #[default]
    #[serde(rename = "v0.11")]
    V0_11,
    /// v0.12.0 to v0.12.9: the shim crashes as soon as its process is made.
    #[serde(rename = "v0.12")]
    V0_12,
    /// v0.13.0 and later: `create` hands on no layers.
    #[serde(rename = "v0.13")]
    V0_13,
}

/// Settings of a node, read anew by each call from `settings.json`; absent means the defaults.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Settings {
    /// Whether `pause` works without Hyper-V isolation.
    pub pause_process_isolation: PauseProcessIsolation,
    /// Where a container's output goes.
    pub shim_stdio: ShimStdio,
    /// What `kill ID KILL` does.
    pub null_signal: NullSignal,
    /// What works and what does not.
    pub release: Release,
    /// Milliseconds between the end of a container's init process and the container's own end.
    pub shutdown_delay_ms: u64,
    /// Milliseconds that every call takes longer, as processes do on Windows.
    pub call_delay_ms: u64,
}

/// A node's state folder.
#[derive(Debug, Clone)]
pub struct Node {
    state: PathBuf,
}

impl Node {
    /// The node with this state folder, which need not exist yet.
    pub fn at(state: impl Into<PathBuf>) -> Self {
        Self {
            state: state.into(),
        }
    }

    /// The node of the running executable: `RUNHCS_SIM_STATE`, else `<executable>.state`.
    pub fn of_this_process() -> io::Result<Self> {
        if let Some(state) = std::env::var_os(STATE_VARIABLE).filter(|s| !s.is_empty()) {
            return Ok(Self::at(state));
        }
        Ok(Self::at(state_dir_of(&std::env::current_exe()?)))
    }

    /// The state folder.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// Makes the folders that are missing.
    pub fn prepare(&self, root: &str) -> io::Result<()> {
        let root = self.root(root);
        if root.is_dir() && self.boot_id_file().is_file() {
            return Ok(());
        }
        fs::create_dir_all(root)?;
        for folder in [self.systems(), self.layers(), self.locks()] {
            fs::create_dir_all(folder)?;
        }
        if !self.boot_id_file().is_file() {
            self.new_boot_id()?;
        }
        Ok(())
    }

    /// Gives the node a boot id unlike all before.
    pub fn new_boot_id(&self) -> io::Result<()> {
        write_atomically(
            &self.boot_id_file(),
            format!("{}\n", names::unique_id()).as_bytes(),
        )
    }

    /// One folder a root, one record a container in it: what the registry holds on Windows.
    pub fn roots(&self) -> PathBuf {
        self.state.join("roots")
    }

    /// Folder of the records of one root.
    pub fn root(&self, root: &str) -> PathBuf {
        self.roots().join(names::file_name(root))
    }

    /// Folder of the compute systems, whichever root they belong to.
    pub fn systems(&self) -> PathBuf {
        self.state.join("systems")
    }

    /// Folder with one file a mounted scratch layer.
    pub fn layers(&self) -> PathBuf {
        self.state.join("layers")
    }

    /// Folder of the files that guard records.
    pub fn locks(&self) -> PathBuf {
        self.state.join("locks")
    }

    /// The file with the node's boot id, in the form of Linux's own.
    pub fn boot_id_file(&self) -> PathBuf {
        self.state.join("boot-id")
    }

    /// The file with the node's settings.
    pub fn settings_file(&self) -> PathBuf {
        self.state.join("settings.json")
    }

    /// The file with the faults to inject.
    pub fn faults_file(&self) -> PathBuf {
        self.state.join("faults.json")
    }

    /// The file with one line for each call.
    pub fn calls_file(&self) -> PathBuf {
        self.state.join("calls.jsonl")
    }

    /// The file with one line for each two attempts of an object that lived at once.
    pub fn overlaps_file(&self) -> PathBuf {
        self.state.join("overlaps")
    }

    /// The node's settings.
    ///
    /// # Errors
    /// The file is not readable, or not as it should be.
    pub fn settings(&self) -> io::Result<Settings> {
        match platform::read(&self.settings_file()) {
            Ok(text) => Ok(serde_json::from_slice(&text)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Settings::default()),
            Err(error) => Err(error),
        }
    }
}

/// The state folder of an installed executable.
pub fn state_dir_of(executable: &Path) -> PathBuf {
    let stem = match executable.extension() {
        Some(extension) if extension.eq_ignore_ascii_case("exe") => executable.with_extension(""),
        _ => executable.to_owned(),
    };
    let mut name = stem.into_os_string();
    name.push(".state");
    PathBuf::from(name)
}

/// Replaces `path` by a file with `content`, so that no reader sees half of it.
pub fn write_atomically(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = temporary_beside(path);
    fs::write(&temporary, content)?;
    platform::replace(&temporary, path)
}

/// Makes `path` with `content` all at once, or fails with `AlreadyExists`.
pub fn write_exclusively(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = temporary_beside(path);
    fs::write(&temporary, content)?;
    platform::place_exclusively(&temporary, path)
}

fn temporary_beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_lies_beside_the_executable() {
        assert_eq!(
            state_dir_of(Path::new("/n/runhcs")),
            Path::new("/n/runhcs.state")
        );
        assert_eq!(
            state_dir_of(Path::new("/n/runhcs.exe")),
            Path::new("/n/runhcs.state")
        );
    }

    #[test]
    fn settings_have_the_documented_names() {
        let text = r#"{"pauseProcessIsolation":"allow","shimStdio":"lost","shutdownDelayMs":3}"#;
        let settings: Settings = serde_json::from_str(text).unwrap();
        assert_eq!(
            settings.pause_process_isolation,
            PauseProcessIsolation::Allow
        );
        assert_eq!(settings.shim_stdio, ShimStdio::Lost);
        assert_eq!(settings.shutdown_delay_ms, 3);
    }
}
