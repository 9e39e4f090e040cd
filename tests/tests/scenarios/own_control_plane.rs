//! Scenarios that no other may be near: they take the API server away, or run the cluster-wide controller. There are a few
//! control planes for them, on which they take turns.
#![cfg(test)]

mod api_server_away;
mod healthy_nodes;
mod leaders;
mod nobody_there;
mod restored_store;
mod silent_nodes;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use hcs_tests::audit::{Audit, Write};
use hcs_tests::{ControlPlane, Node, Result, Scenario};
use tokio::sync::{Semaphore, SemaphorePermit};

/// How many control planes there are: so that the longest turns, which mostly wait, do not keep the others from the end.
const MOST: usize = 4;

static TURNS: Semaphore = Semaphore::const_new(MOST);
/// Those on which it is nobody's turn.
static FREE: Mutex<Vec<Arc<ControlPlane>>> = Mutex::new(Vec::new());

/// A scenario's turn on a control plane, until it is dropped.
struct Turn {
    control_plane: Arc<ControlPlane>,
    _permit: SemaphorePermit<'static>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        free.push(Arc::clone(&self.control_plane));
    }
}

/// A control plane, with the project installed, that no other scenario uses until the turn is over.
async fn alone() -> Result<(Arc<ControlPlane>, Turn)> {
    let permit = TURNS.acquire().await.expect("it is never closed");
    let free = FREE.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let control_plane = match free {
        Some(control_plane) => control_plane,
        None => Arc::new(another().await?),
    };
    let turn = Turn {
        control_plane: Arc::clone(&control_plane),
        _permit: permit,
    };
    // A scenario that failed may have left it without one.
    if !control_plane.has_api_server() {
        control_plane.restart_api_server().await?;
    }
    Ok((control_plane, turn))
}

async fn another() -> Result<ControlPlane> {
    static STARTED: AtomicUsize = AtomicUsize::new(0);
    let number = STARTED.fetch_add(1, Ordering::Relaxed) + 1;
    let shared = ControlPlane::shared().await?;
    let own = ControlPlane::start(&shared.dir().join(format!("own-{number}"))).await?;
    own.install().await?;
    Ok(own)
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
