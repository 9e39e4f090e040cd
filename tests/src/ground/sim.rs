//! A node's simulator, wherever its processes are. Its files are the same everywhere; what concerns its processes is
//! asked of `runhcs-simctl.exe` where they are Windows', for neither their ids nor their locks mean anything here.

use std::io;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use runhcs_sim::{ContainerSnapshot, SimNode};

use crate::windows::{self, Prefix};

/// A simulated runhcs: a [`SimNode`], some of whose calls go to where its processes are.
#[derive(Debug)]
pub struct Sim {
    node: SimNode,
    control: Option<Control>,
}

/// How its processes are reached.
#[derive(Debug)]
struct Control {
    machine: Arc<Prefix>,
    simctl: PathBuf,
    folder: String,
}

impl Sim {
    /// One whose processes are this machine's.
    pub fn here(node: SimNode) -> Self {
        Self {
            node,
            control: None,
        }
    }

    /// One whose processes are a Windows machine's, with this `runhcs-simctl.exe`.
    pub fn on_windows(node: SimNode, machine: Arc<Prefix>, simctl: PathBuf) -> Self {
        let folder = node.executable().parent().unwrap_or(Path::new("/"));
        let folder = windows::path(folder);
        Self {
            node,
            control: Some(Control {
                machine,
                simctl,
                folder,
            }),
        }
    }

    /// As [`SimNode::containers`].
    ///
    /// # Errors
    /// As there, or the control program says no.
    pub fn containers(&self) -> io::Result<Vec<ContainerSnapshot>> {
        match &self.control {
            None => self.node.containers(),
            Some(control) => Ok(serde_json::from_slice(
                &control.say(&["containers", "--json"])?,
            )?),
        }
    }

    /// As [`SimNode::container`].
    ///
    /// # Errors
    /// As there, or the control program says no.
    pub fn container(&self, id: &str) -> io::Result<ContainerSnapshot> {
        let mut all = self.containers()?.into_iter();
        all.find(|container| container.id.eq_ignore_ascii_case(id))
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("no container {id}")))
    }

    /// As [`SimNode::kill_shim`].
    ///
    /// # Errors
    /// As there, or the control program says no.
    pub fn kill_shim(&self, id: &str) -> io::Result<()> {
        match &self.control {
            None => self.node.kill_shim(id),
            Some(control) => control.say(&["kill-shim", id]).map(drop),
        }
    }
}

impl Deref for Sim {
    type Target = SimNode;

    fn deref(&self) -> &SimNode {
        &self.node
    }
}

impl Control {
    fn say(&self, words: &[&str]) -> io::Result<Vec<u8>> {
        let mut command = self.machine.command(&self.simctl);
        let output = command
            .args(["--node", &self.folder])
            .args(words)
            .stderr(Stdio::inherit())
            .output()?;
        if output.status.success() {
            Ok(output.stdout)
        } else {
            Err(io::Error::other(format!(
                "runhcs-simctl {words:?}: {}",
                output.status
            )))
        }
    }
}
