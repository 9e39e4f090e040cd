//! What was seen of a node under load.

use std::fmt;
use std::time::Duration;

const MEGABYTE: u64 = 1_000_000;
/// How much more the agent's last life may take than the first one that found all containers there.
const GROWTH_PERCENT: u64 = 20;
/// What it may take more beside that: bytes, and the handles of requests and calls that are under way.
const SLACK: (u64, usize) = (2 * MEGABYTE, 64);

/// The most that one process of the agent took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    pid: u32,
    /// Resident memory in bytes.
    pub memory: u64,
    /// Open handles.
    pub handles: usize,
}

/// What was seen.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// How often the agent was killed.
    pub kills: usize,
    /// Changes of specs.
    pub changes: usize,
    /// How often the node was looked at.
    pub looks: usize,
    /// The most containers that lived at once.
    pub alive: usize,
    /// Containers of one object that lived at the same time.
    pub twins: Vec<String>,
    /// The agent's processes, the oldest first.
    pub lives: Vec<Life>,
    /// From the end of the load until everything was as it should be.
    pub settled_in: Duration,
}

impl Figures {
    /// Notes what a process of the agent takes now.
    pub(super) fn note(&mut self, pid: u32, memory: u64, handles: usize) {
        match self.lives.last_mut().filter(|life| life.pid == pid) {
            Some(life) => {
                life.memory = life.memory.max(memory);
                life.handles = life.handles.max(handles);
            }
            None => self.lives.push(Life {
                pid,
                memory,
                handles,
            }),
        }
    }

    /// What is not as it should be, in words.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if !self.twins.is_empty() {
            problems.push(format!(
                "containers of one object lived at once: {:?}",
                self.twins
            ));
        }
        if self.kills == 0 || self.changes == 0 || self.alive == 0 {
            problems.push(format!("there was no load: {self}"));
        }
        // The first life has made all containers, which takes more than to find them.
        if let (Some(early), Some(last)) = (self.lives.get(1), self.lives.last()) {
            let memory = early.memory + early.memory * GROWTH_PERCENT / 100 + SLACK.0;
            let handles = early.handles + early.handles / 5 + SLACK.1;
            if last.memory > memory || last.handles > handles {
                problems.push(format!("the agent grew from {early:?} to {last:?}"));
            }
        }
        problems
    }

    /// Name and value of each figure.
    pub fn rows(&self) -> Vec<(&'static str, String)> {
        let most = |of: fn(&Life) -> u64| {
            let early = self.lives.get(1).map_or(0, of);
            (early, self.lives.last().map_or(0, of))
        };
        let (early, last) = most(|life| life.memory);
        let megabytes =
            |bytes: u64| format!("{}.{} MB", bytes / MEGABYTE, bytes % MEGABYTE / 100_000);
        let (few, many) = most(|life| life.handles as u64);
        vec![
            ("agent killed", format!("{} times", self.kills)),
            ("specs changed", self.changes.to_string()),
            ("containers alive, at most", self.alive.to_string()),
            (
                "objects with two live containers",
                format!("{} in {} looks", self.twins.len(), self.looks),
            ),
            (
                "agent's memory, most of its second and its last process",
                format!("{} / {}", megabytes(early), megabytes(last)),
            ),
            (
                "agent's handles, most of its second and its last process",
                format!("{few} / {many}"),
            ),
            (
                "end of the load until all is true",
                format!("{} s", self.settled_in.as_secs()),
            ),
        ]
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rows()
            .iter()
            .try_for_each(|(what, value)| writeln!(f, "{what}: {value}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grown(memory: u64, handles: usize) -> Figures {
        let mut figures = Figures {
            kills: 2,
            changes: 1,
            alive: 1,
            ..Figures::default()
        };
        figures.note(1, 90 * MEGABYTE, 900);
        figures.note(2, 20 * MEGABYTE, 100);
        figures.note(3, memory, handles);
        figures
    }

    #[test]
    fn an_agent_that_grows_from_life_to_life_is_a_problem() {
        assert_eq!(grown(25 * MEGABYTE, 120).problems(), Vec::<String>::new());
        assert_eq!(grown(27 * MEGABYTE, 100).problems().len(), 1);
        assert_eq!(grown(20 * MEGABYTE, 190).problems().len(), 1);
    }

    #[test]
    fn two_containers_of_one_object_are_a_problem() {
        let mut figures = grown(20 * MEGABYTE, 100);
        figures.twins.push("hc-a-1 and hc-a-2".to_owned());
        assert_eq!(figures.problems().len(), 1);
    }

    #[test]
    fn of_one_process_the_most_is_kept() {
        let mut figures = Figures::default();
        for (memory, handles) in [(5, 9), (7, 8), (6, 7)] {
            figures.note(4, memory, handles);
        }
        assert_eq!(
            figures.lives,
            [Life {
                pid: 4,
                memory: 7,
                handles: 9
            }]
        );
    }
}
