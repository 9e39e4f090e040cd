//! Scenarios that no other may be near: they take the API server away, or run the cluster-wide controller. They share
//! a control plane of their own and take turns on it.
#![cfg(test)]

mod api_server_away;
mod healthy_nodes;
mod leaders;
mod nobody_there;
mod restored_store;
mod silent_nodes;

use std::sync::Arc;

use hcs_tests::{ControlPlane, Result};
use tokio::sync::{Mutex, MutexGuard, OnceCell};

/// The control plane, until the guard is dropped.
async fn alone() -> Result<(Arc<ControlPlane>, MutexGuard<'static, ()>)> {
    static TURN: Mutex<()> = Mutex::const_new(());
    static CONTROL_PLANE: OnceCell<Arc<ControlPlane>> = OnceCell::const_new();
    let turn = TURN.lock().await;
    let start = || async {
        let beside = ControlPlane::shared().await?.dir().join("own");
        let own = ControlPlane::start(&beside).await?;
        own.install().await?;
        Ok::<_, hcs_tests::Error>(Arc::new(own))
    };
    let own = CONTROL_PLANE.get_or_try_init(start).await?;
    Ok((Arc::clone(own), turn))
}
