//! Whether the agent is in contact with the API server: what it reads there is what it acts on, so
//! that it vouches for its node only while its watch works.

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

/// What is known of the watch.
#[derive(Debug)]
pub struct Contact(watch::Sender<State>);

impl Default for Contact {
    fn default() -> Self {
        Self(watch::Sender::new(State::Beginning))
    }
}

impl Contact {
    fn set(&self, state: State) {
        self.0.send_if_modified(|now| {
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
        let state = *self.0.borrow();
        if state != State::Beginning {
            self.set(State::Failed(Instant::now()));
        }
    }

    /// Whether the watch works, as far as can be told.
    pub fn works(&self) -> bool {
        match *self.0.borrow() {
            State::Beginning => false,
            State::Works => true,
            State::Failed(at) => at.elapsed() >= NEXT_FAILURE_WITHIN,
        }
    }

    /// To wait for a change.
    pub fn subscribe(&self) -> watch::Receiver<State> {
        self.0.subscribe()
    }
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
}
