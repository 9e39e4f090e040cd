//! Whether the agent is in contact with the API server: what it reads there is what it acts on, so
//! that it vouches for its node only while its watch works.
//!
//! And whether the API server's store is still the one that it was. One that was restored from a backup, or lost, goes on
//! from an older resourceVersion, and a watch that resumes from a newer one is told of nothing until the store has come
//! that far again. So after each failure the store's version is compared with the newest that was ever seen.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// After a failed watch the next try follows within that: the longest backoff with its jitter, and
/// the time that a connection may take to fail. A watch that resumes says nothing of it, so that
/// only the absence of another failure tells.
const NEXT_FAILURE_WITHIN: Duration = Duration::from_secs(20);

/// How the watch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Its list is not in yet.
    Beginning,
    /// It has brought something, and has not failed since.
    Works,
    /// It failed then, and goes on from where it was.
    Failed(Instant),
}

/// What is known of the API server.
#[derive(Debug)]
pub struct Contact {
    state: watch::Sender<State>,
    /// The newest resourceVersion of any object that this agent has seen.
    newest: AtomicU64,
    /// How often the store has gone back.
    turned_back: watch::Sender<u64>,
}

impl Default for Contact {
    fn default() -> Self {
        Self {
            state: watch::Sender::new(State::Beginning),
            newest: AtomicU64::new(0),
            turned_back: watch::Sender::default(),
        }
    }
}

impl Contact {
    fn set(&self, state: State) {
        self.state.send_if_modified(|now| {
            let changed = *now != state;
            *now = state;
            changed
        });
    }

    /// The watch begins anew, with a list.
    pub fn begins(&self) {
        self.set(State::Beginning);
    }

    /// It has brought a change or the end of a list.
    pub fn brought_something(&self) {
        self.set(State::Works);
    }

    /// It failed.
    pub fn failed(&self) {
        // One that fails before its list is in has still to bring that.
        let state = *self.state.borrow();
        if state != State::Beginning {
            self.set(State::Failed(Instant::now()));
        }
    }

    /// Whether the watch works, as far as can be told.
    pub fn works(&self) -> bool {
        match *self.state.borrow() {
            State::Beginning => false,
            State::Works => true,
            State::Failed(at) => at.elapsed() >= NEXT_FAILURE_WITHIN,
        }
    }

    /// To wait for a change.
    pub fn subscribe(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// An object was seen, or written, with this resourceVersion.
    pub fn saw(&self, version: Option<String>) {
        self.newest.fetch_max(number(version), Ordering::Relaxed);
    }

    /// Whether the store, which has this version now, has gone back. If so, whoever watches begins anew.
    pub fn has_turned_back(&self, version: u64) -> bool {
        let newest = self.newest.load(Ordering::Relaxed);
        if version >= newest {
            return false;
        }
        tracing::warn!(
            newest,
            version,
            "the API server's store is older than it was: restored, or lost; everything is listed anew"
        );
        self.newest.store(version, Ordering::Relaxed);
        self.turned_back.send_modify(|times| *times += 1);
        true
    }

    /// To wait for a store that has gone back.
    pub fn turns_back(&self) -> watch::Receiver<u64> {
        self.turned_back.subscribe()
    }
}

/// Since Kubernetes 1.35 resourceVersions are numbers that may be compared.
pub fn number(version: Option<String>) -> u64 {
    version
        .and_then(|text| text.parse().ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_watch_works_from_its_list_on_and_again_once_it_fails_no_more() {
        let contact = Contact::default();
        assert!(!contact.works());
        contact.failed();
        tokio::time::advance(NEXT_FAILURE_WITHIN).await;
        assert!(!contact.works(), "its list is not in");
        contact.brought_something();
        assert!(contact.works());
        contact.failed();
        assert!(!contact.works());
        tokio::time::advance(Duration::from_secs(19)).await;
        contact.failed();
        tokio::time::advance(Duration::from_secs(19)).await;
        assert!(!contact.works());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(contact.works());
        contact.begins();
        assert!(!contact.works());
    }

    #[test]
    fn a_store_that_is_older_than_what_was_seen_has_turned_back_once() {
        let contact = Contact::default();
        let mut watcher = contact.turns_back();
        assert!(!contact.has_turned_back(0));
        contact.saw(Some("90".into()));
        contact.saw(Some("100".into()));
        contact.saw(Some("95".into()));
        assert!(!contact.has_turned_back(100));
        assert!(!watcher.has_changed().unwrap());
        assert!(contact.has_turned_back(99));
        assert!(watcher.has_changed().unwrap());
        watcher.borrow_and_update();
        assert!(!contact.has_turned_back(99), "it goes on from there");
    }
}
