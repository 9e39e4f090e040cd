//! kubectl, as a user would call it: what the demo shows is what the API server shows.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use hcs_tests::ControlPlane;

/// The kubectl of one control plane.
#[derive(Clone)]
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
}

impl Kubectl {
    /// The one that was built with this control plane.
    pub fn of(control_plane: &ControlPlane) -> Self {
        Self {
            program: control_plane.kubectl(),
            kubeconfig: control_plane.kubeconfig(),
        }
    }

    /// Runs it and gives its standard output.
    pub async fn output<A: AsRef<OsStr>>(&self, args: &[A]) -> Result<String> {
        let mut command = Command::new(&self.program);
        command.env("KUBECONFIG", &self.kubeconfig).args(args);
        let text = format!("{command:?}");
        let output = tokio::task::spawn_blocking(move || command.output()).await?;
        let output = output.with_context(|| format!("failed to start {text}"))?;
        if !output.status.success() {
            bail!("{text} failed: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// `kubectl apply` of a file or folder.
    pub async fn apply(&self, path: &Path) -> Result<String> {
        self.output(&[OsStr::new("apply"), OsStr::new("-f"), path.as_os_str()])
            .await
    }

    /// The table of `kubectl get hcs`.
    pub async fn get_hcs(&self) -> Result<String> {
        self.output(&["get", "hcs", "--all-namespaces"]).await
    }
}
