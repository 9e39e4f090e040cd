//! Scenarios that no other may be near: they take the API server away, or run the cluster-wide controller. Those that would
//! disturb each other share a control plane and take turns on it.
#![cfg(test)]

mod api_server_away;
mod healthy_nodes;
mod leaders;
mod nobody_there;
mod restored_store;
mod silent_nodes;

use std::sync::Arc;

use hcs_tests::audit::{Audit, Write};
use hcs_tests::{ControlPlane, Node, Result, Scenario};
use tokio::sync::{Mutex, MutexGuard, OnceCell};

/// A control plane of their own for some scenarios.
struct Stage {
    folder: &'static str,
    turn: Mutex<()>,
    control_plane: OnceCell<Arc<ControlPlane>>,
}

/// For those whose API server goes away, or forgets.
static SERVERS: Stage = Stage::named("own-servers");
/// For those that have several controllers.
static LEADERS: Stage = Stage::named("own-leaders");
/// For those that have one controller.
static CONTROLLERS: Stage = Stage::named("own-controllers");

impl Stage {
    const fn named(folder: &'static str) -> Self {
        Self {
            folder,
            turn: Mutex::const_new(()),
            control_plane: OnceCell::const_new(),
        }
    }

    /// The control plane, until the guard is dropped.
    async fn alone(&'static self) -> Result<(Arc<ControlPlane>, MutexGuard<'static, ()>)> {
        let turn = self.turn.lock().await;
        let start = || async {
            let beside = ControlPlane::shared().await?.dir().join(self.folder);
            let own = ControlPlane::start(&beside).await?;
            own.install().await?;
            Ok::<_, hcs_tests::Error>(Arc::new(own))
        };
        let own = self.control_plane.get_or_try_init(start).await?;
        Ok((Arc::clone(own), turn))
    }
}

/// What the controller has written of a scenario's objects and of its node. Other scenarios have left nodes, of which it may
/// say at any time that they are lost.
fn word_of_the_controller(told: &Audit, scenario: &Scenario, node: &Node) -> Result<Vec<Write>> {
    let mut writes = told.writes()?;
    writes.retain(|write| {
        let ours = write.name.starts_with(node.name()) || write.namespace == scenario.namespace();
        write.user.ends_with(":hcs-operator-controller") && ours
    });
    Ok(writes)
}
