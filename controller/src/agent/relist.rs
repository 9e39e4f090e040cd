//! The safety net under the exits: `runhcs list` at an interval and on request, compared with what
//! the agent knows. One list serves all containers of the node.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hcs_crds::Reason;
use runhcs::ErrorKind;
use tokio::sync::{Notify, mpsc, watch};

use super::runtime::{Call, CallError, Reply, Runtime};
use super::table::Table;

/// Lists that may fail in a row before the node's runhcs counts as not responding.
const FAILURES_BORNE: u32 = 1;
/// Wait before a list that failed is tried again; doubles up to the interval.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// Whether the node's runhcs answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It was not asked yet.
    Unknown,
    /// The last list succeeded.
    Responds,
    /// It does not.
    Fails {
        /// The reason for conditions.
        reason: Reason,
        /// What it said.
        message: String,
    },
}

impl Health {
    fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Fails { reason, .. }, Self::Fails { reason: other, .. }) => reason == other,
            _ => self == other,
        }
    }
}

/// Asks for relists, and tells what came of them.
#[derive(Debug)]
pub struct Relist {
    wanted: AtomicU64,
    request: Notify,
    /// The number of the last list, and whether it succeeded.
    done: watch::Sender<(u64, bool)>,
    health: watch::Sender<Health>,
}

impl Default for Relist {
    fn default() -> Self {
        Self {
            wanted: AtomicU64::new(0),
            request: Notify::new(),
            done: watch::Sender::new((0, false)),
            health: watch::Sender::new(Health::Unknown),
        }
    }
}

impl Relist {
    /// The node's health, to read or to wait for a change.
    pub fn health(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    /// Waits for a list that began after this call; false if it failed.
    pub async fn refresh(&self) -> bool {
        let number = self.wanted.fetch_add(1, Ordering::SeqCst) + 1;
        let mut done = self.done.subscribe();
        self.request.notify_one();
        let listed = done.wait_for(|(done, _)| *done >= number).await;
        listed.is_ok_and(|done| done.1)
    }

    /// Lists until dropped; sends the ids of containers that changed.
    pub async fn run<R: Runtime>(
        &self,
        runtime: Arc<R>,
        table: Arc<Table>,
        interval: Duration,
        changed: mpsc::UnboundedSender<String>,
    ) {
        let mut failures: u32 = 0;
        loop {
            let number = self.wanted.load(Ordering::SeqCst);
            let mark = table.mark();
            let outcome = runtime.run(&Call::List).await;
            match outcome.result {
                Ok(Reply::List(states)) => {
                    failures = 0;
                    for id in table.apply(mark, states) {
                        let _ = changed.send(id);
                    }
                    self.set_health(Health::Responds);
                }
                Ok(_) => {}
                Err(error) => {
                    failures += 1;
                    let never = *self.health.borrow() == Health::Unknown;
                    tracing::warn!(%error, failures, "runhcs list failed");
                    if failures > FAILURES_BORNE || never {
                        self.set_health(failing(&error));
                    }
                }
            }
            self.done.send_replace((number, failures == 0));
            let pause = if failures == 0 {
                interval
            } else {
                (FIRST_RETRY * 2_u32.saturating_pow(failures.min(10) - 1)).min(interval)
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.request.notified() => {}
            }
        }
    }

    /// While the reason stays, so do its words: they go into the status of each object of the node, and what runhcs
    /// says anew each time (an hour, a pid) would cost a write for each of them at each list.
    fn set_health(&self, health: Health) {
        self.health.send_if_modified(|old| {
            let changed = !old.is_like(&health);
            if changed {
                *old = health;
            }
            changed
        });
    }
}

fn failing(error: &CallError) -> Health {
    let reason = reason_of(error.kind).unwrap_or(Reason::ListFailed);
    Health::Fails {
        reason,
        message: format!("failed to list the node's containers: {error}"),
    }
}

/// The reason of a failure that lies with runhcs itself, whatever the verb.
pub fn reason_of(kind: ErrorKind) -> Option<Reason> {
    match kind {
        ErrorKind::TimedOut => Some(Reason::RuntimeHung),
        ErrorKind::BadOutput => Some(Reason::RuntimeBadOutput),
        ErrorKind::ExecutableNotFound | ErrorKind::NotExecutable => Some(Reason::RuntimeMissing),
        ErrorKind::Killed => Some(Reason::RuntimeFailed),
        _ => None,
    }
}
