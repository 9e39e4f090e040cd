//! The ends of shims, each waited for through its process handle.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::record::Shim;
use super::table::{Exit, Table};
use crate::platform::Process;

/// Watches shims and tells the table and the queue when one has ended.
#[derive(Clone)]
pub struct Exits {
    table: Arc<Table>,
    ended: mpsc::UnboundedSender<String>,
    watched: Arc<Mutex<HashSet<String>>>,
}

impl Exits {
    /// The receiver gets the container id of each shim that has ended.
    pub fn new(table: Arc<Table>) -> (Self, mpsc::UnboundedReceiver<String>) {
        let (ended, receiver) = mpsc::unbounded_channel();
        (
            Self {
                table,
                ended,
                watched: Arc::default(),
            },
            receiver,
        )
    }

    /// Whether a container's shim is being watched.
    pub fn watches(&self, id: &str) -> bool {
        self.watched
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(id)
    }

    /// Watches the shim of a container that was just created; none if it has ended already.
    pub fn watch_new(&self, id: &str, pid: u32) -> std::io::Result<Option<Shim>> {
        let Some(process) = Process::open(pid)? else {
            return Ok(None);
        };
        let shim = Shim {
            pid,
            start_time: process.start_time(),
        };
        self.watch(id, process);
        Ok(Some(shim))
    }

    /// Watches a shim that an earlier run of the agent knew; false if it has ended since, also
    /// where its pid was given to another process.
    pub fn watch_again(&self, id: &str, shim: &Shim) -> std::io::Result<bool> {
        let Some(process) = Process::find(shim.pid, shim.start_time)? else {
            return Ok(false);
        };
        self.table.expect(id, shim.pid);
        self.watch(id, process);
        Ok(true)
    }

    fn watch(&self, id: &str, process: Process) {
        let (exits, id) = (self.clone(), id.to_owned());
        self.watched
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id.clone());
        tokio::spawn(async move {
            let code = process.exited().await.unwrap_or_else(|error| {
                tracing::warn!(container = id, %error, "lost the handle of a shim");
                None
            });
            exits
                .watched
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&id);
            exits.table.exited(
                &id,
                Exit {
                    code,
                    at: Instant::now(),
                },
            );
            let _ = exits.ended.send(id);
        });
    }
}
