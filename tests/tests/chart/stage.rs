//! A control plane for installations, on which nothing of the project is at first.

use std::sync::Arc;

use hcs_tests::{ControlPlane, Helm, Result};
use serde_json::Value;
use tokio::sync::{Mutex, MutexGuard};

use crate::kubelet::Kubelet;

/// The one that the last test left clean.
static CLEAN: Mutex<Option<Arc<ControlPlane>>> = Mutex::const_new(None);

/// A control plane with a played kubelet, for one test at a time.
pub struct Stage {
    pub control_plane: Arc<ControlPlane>,
    pub helm: Helm,
    _kubelet: Kubelet,
    turn: MutexGuard<'static, Option<Arc<ControlPlane>>>,
}

impl Stage {
    /// Takes it; starts a new one if a test before failed and left things on it.
    pub async fn take() -> Result<Self> {
        let mut turn = CLEAN.lock().await;
        let control_plane = if let Some(clean) = turn.take() {
            clean
        } else {
            let beside = ControlPlane::shared().await?.dir().join("chart");
            Arc::new(ControlPlane::start(&beside).await?)
        };
        Ok(Self {
            helm: Helm::on(&control_plane)?,
            _kubelet: Kubelet::of(&control_plane).await?,
            control_plane,
            turn,
        })
    }

    /// Gives it back clean.
    pub fn leave(mut self) {
        *self.turn = Some(Arc::clone(&self.control_plane));
    }

    /// Runs kubectl, and gives its standard output.
    pub fn kubectl(&self, args: &[&str]) -> String {
        let output = self
            .control_plane
            .kubectl_command()
            .args(args)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kubectl {args:?}: {said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// An object, as kubectl gets it; `None` if it is not there.
    pub fn get(&self, args: &[&str]) -> Option<Value> {
        let get = [&["get", "--ignore-not-found", "-o", "json"], args].concat();
        let text = self.kubectl(&get);
        (!text.is_empty()).then(|| serde_json::from_str(&text).unwrap())
    }
}
