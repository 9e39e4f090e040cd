//! What the leader knows of each node name: whether its agent is heard of, and whether its Node is
//! in the cluster. Pure; time comes in from outside.
//!
//! An agent is silent when its Lease has not changed for as long as it lasts, *while the leader was
//! looking*: times of day are not compared, and a leader that has just begun knows nothing yet.
//! Silence is believed only after a look at the API server itself, since a watch may lag behind.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;

/// Lasts where no Lease says otherwise: the agents' default.
const LASTS: Duration = Duration::from_secs(40);

/// What a Lease says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beat {
    /// When its agent renewed it, by the agent's clock. It tells one renewal from another.
    pub renewed: String,
    /// How long that counts.
    pub lasts: Duration,
}

/// What the API server has of a node name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// Its Lease; none where there is none.
    pub beat: Option<Beat>,
    /// Whether there is a Node of that name.
    pub exists: bool,
}

/// How a node stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its Lease has run out, and that was looked at.
    pub silent: bool,
    /// Whether there is a Node of that name.
    pub exists: bool,
    /// The Node went and will not come back, as far as can be told.
    pub gone: bool,
    /// When its agent last renewed its Lease, which tells one silence from another.
    pub renewed: Option<String>,
}

impl Standing {
    /// Whether it has, or had, an agent: there is a Lease.
    pub fn had_agent(&self) -> bool {
        self.renewed.is_some()
    }
}

#[derive(Debug)]
struct Seen {
    beat: Option<Beat>,
    beat_since: Instant,
    /// The silence was looked at.
    confirmed: bool,
    absent_since: Option<Instant>,
    first_look: Option<Instant>,
    gone: bool,
}

impl Seen {
    fn lasts(&self) -> Duration {
        self.beat.as_ref().map_or(LASTS, |beat| beat.lasts)
    }

    fn is_overdue(&self, now: Instant) -> bool {
        now.duration_since(self.beat_since) >= self.lasts()
    }
}

/// All node names that matter.
#[derive(Debug)]
pub struct Standings {
    seen: HashMap<String, Seen>,
    gone_after: Duration,
}

impl Standings {
    /// Nothing is known. A node is gone after it was absent for `gone_after`.
    pub fn new(gone_after: Duration) -> Self {
        Self {
            seen: HashMap::new(),
            gone_after,
        }
    }

    /// Takes in what the watches show of a node name.
    pub fn observe(&mut self, node: &str, look: &Look, now: Instant) {
        let seen = self.seen.entry(node.to_owned()).or_insert_with(|| Seen {
            beat: look.beat.clone(),
            beat_since: now,
            confirmed: false,
            absent_since: None,
            first_look: None,
            gone: false,
        });
        if seen.beat != look.beat {
            seen.beat.clone_from(&look.beat);
            seen.beat_since = now;
            seen.confirmed = false;
            seen.first_look = None;
            seen.gone = false;
        }
        if look.exists {
            seen.absent_since = None;
            seen.first_look = None;
            seen.gone = false;
        } else {
            seen.absent_since.get_or_insert(now);
        }
    }

    /// Forgets the names that nothing is there for.
    pub fn keep_only(&mut self, names: &HashSet<String>) {
        self.seen.retain(|node, _| names.contains(node));
    }

    /// The nodes whose silence or absence is to be looked at now.
    pub fn to_look_at(&self, now: Instant) -> Vec<String> {
        let wants = |seen: &Seen| {
            if !seen.is_overdue(now) {
                return false;
            }
            let long = |since: Instant| now.duration_since(since) >= self.gone_after;
            let absent = seen.absent_since.is_some_and(long) && !seen.gone;
            let next = |first: Instant| now.duration_since(first) >= seen.lasts();
            !seen.confirmed || (absent && seen.first_look.is_none_or(next))
        };
        let wanting = self.seen.iter().filter(|(_, seen)| wants(seen));
        wanting.map(|(node, _)| node.clone()).collect()
    }

    /// Takes in a look at the API server itself, asked for at `now`.
    pub fn looked(&mut self, node: &str, look: &Look, now: Instant) {
        self.observe(node, look, now);
        let gone_after = self.gone_after;
        let Some(seen) = self.seen.get_mut(node).filter(|seen| seen.is_overdue(now)) else {
            return;
        };
        seen.confirmed = true;
        let absent = seen.absent_since;
        if absent.is_none_or(|since| now.duration_since(since) < gone_after) {
            return;
        }
        match seen.first_look {
            None => seen.first_look = Some(now),
            Some(first) if now.duration_since(first) >= seen.lasts() => seen.gone = true,
            Some(_) => {}
        }
    }

    /// How a node stands now.
    pub fn of(&self, node: &str, now: Instant) -> Option<Standing> {
        let seen = self.seen.get(node)?;
        let silent = seen.confirmed && seen.is_overdue(now);
        Some(Standing {
            silent,
            exists: seen.absent_since.is_none(),
            gone: seen.gone && silent,
            renewed: seen.beat.as_ref().map(|beat| beat.renewed.clone()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GONE_AFTER: u64 = 900;

    fn look(renewed: &str, exists: bool) -> Look {
        let beat = (!renewed.is_empty()).then(|| Beat {
            renewed: renewed.into(),
            lasts: Duration::from_secs(40),
        });
        Look { beat, exists }
    }

    /// Standings of one node, `n`, and the time.
    struct Play(Standings, Instant);

    impl Play {
        fn new() -> Self {
            let standings = Standings::new(Duration::from_secs(GONE_AFTER));
            Self(standings, Instant::now())
        }

        fn sees(&mut self, seconds: u64, renewed: &str, exists: bool) -> &mut Self {
            self.1 += Duration::from_secs(seconds);
            self.0.observe("n", &look(renewed, exists), self.1);
            self
        }

        fn looks(&mut self, renewed: &str, exists: bool) -> &mut Self {
            assert_eq!(self.0.to_look_at(self.1), ["n"]);
            self.0.looked("n", &look(renewed, exists), self.1);
            self
        }

        fn wants_no_look(&mut self) -> &mut Self {
            assert!(self.0.to_look_at(self.1).is_empty());
            self
        }

        fn is(&mut self, silent: bool, gone: bool) -> &mut Self {
            let standing = self.0.of("n", self.1).unwrap();
            assert_eq!((standing.silent, standing.gone), (silent, gone));
            self
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_does_not_change_while_it_lasts_is_silence_once_it_was_looked_at() {
        Play::new()
            .sees(0, "a", true)
            .sees(39, "a", true)
            .wants_no_look()
            .is(false, false)
            .sees(1, "a", true)
            .is(false, false)
            .looks("a", true)
            .is(true, false)
            .wants_no_look()
            .sees(1, "b", true)
            .is(false, false);
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_that_lags_is_corrected_by_the_look() {
        Play::new()
            .sees(0, "a", true)
            .sees(40, "a", true)
            .looks("b", true)
            .is(false, false)
            .wants_no_look();
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewal_counts_as_long_as_it_lasts_whatever_its_nodes_clock_says() {
        let (noon, morning, evening) = ("12:00:00Z", "09:00:00Z", "18:00:00Z");
        Play::new()
            .sees(0, noon, true)
            .sees(39, morning, true)
            .sees(39, morning, true)
            .wants_no_look()
            .sees(0, evening, true)
            .sees(39, evening, true)
            .wants_no_look()
            .is(false, false)
            .sees(1, evening, true)
            .looks(evening, true)
            .is(true, false);
    }

    #[tokio::test(start_paused = true)]
    async fn a_leader_that_has_just_begun_calls_nobody_silent() {
        Play::new()
            .sees(0, "long ago", false)
            .is(false, false)
            .wants_no_look();
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_is_gone_only_after_two_looks_at_its_absence_and_silence() {
        Play::new()
            .sees(0, "a", false)
            .sees(40, "a", false)
            .looks("a", false)
            .is(true, false)
            .sees(GONE_AFTER - 41, "a", false)
            .wants_no_look()
            .sees(1, "a", false)
            .looks("a", false)
            .is(true, false)
            .sees(39, "a", false)
            .wants_no_look()
            .sees(1, "a", false)
            .looks("a", false)
            .is(true, true)
            .wants_no_look();
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_comes_back_or_an_agent_that_speaks_is_not_gone() {
        let absent = || {
            let mut play = Play::new();
            play.sees(0, "a", false)
                .sees(GONE_AFTER, "a", false)
                .looks("a", false);
            play
        };
        absent()
            .sees(40, "a", false)
            .looks("a", true)
            .is(true, false);
        absent()
            .sees(40, "a", false)
            .looks("b", false)
            .is(false, false);
        absent()
            .sees(1, "a", true)
            .sees(39, "a", false)
            .wants_no_look()
            .is(true, false);
        let mut gone = absent();
        gone.sees(40, "a", false).looks("a", false).is(true, true);
        gone.sees(1, "a", true).is(true, false);
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_name_without_any_lease_is_silent_after_the_default_time() {
        let mut play = Play::new();
        play.sees(0, "", false).sees(40, "", false).looks("", false);
        let standing = play.0.of("n", play.1).unwrap();
        assert!(standing.silent && !standing.had_agent() && !standing.exists);
        play.0.keep_only(&HashSet::new());
        assert_eq!(play.0.of("n", play.1), None);
    }
}
