//! What was measured, against the goals.

use std::fmt::Write;
use std::time::Duration;

use super::measure::{Becoming, Steady};

/// Calls by which the agent tries runhcs out, once at its start: two for help, and a create.
const TRIED_OUT: u64 = 3;

const MEGABYTE: f64 = 1e6;

struct Line {
    what: &'static str,
    measured: String,
    goal: String,
    met: Option<bool>,
}

/// A table of measurements.
pub struct Report {
    containers: u32,
    lines: Vec<Line>,
}

impl Report {
    /// An empty one, for so many containers on one node.
    pub fn of(containers: u32) -> Self {
        Self {
            containers,
            lines: Vec::new(),
        }
    }

    fn push(&mut self, what: &'static str, measured: String, goal: &str, met: Option<bool>) {
        self.lines.push(Line {
            what,
            measured,
            goal: goal.to_owned(),
            met,
        });
    }

    /// Processes and writes, while becoming Running and after.
    #[allow(clippy::cast_precision_loss)] // Counts of at most some thousand.
    pub fn costs(&mut self, becoming: &Becoming, steady: &Steady) {
        let each = |count: u64| count as f64 / f64::from(becoming.containers);
        let spawns = each(becoming.spawns().saturating_sub(TRIED_OUT));
        let verbs: Vec<String> = becoming
            .calls
            .iter()
            .map(|(verb, count)| format!("{verb} {count}"))
            .collect();
        self.push(
            "runhcs calls per container, apply to Running",
            format!("{spawns:.2} ({})", verbs.join(", ")),
            "3",
            Some(spawns <= 3.0),
        );
        let writes = each(becoming.writes);
        self.push(
            "API writes per container, apply to Running",
            format!("{writes:.2} (and {:.2} Events)", each(becoming.events)),
            "2",
            Some(writes <= 2.0),
        );
        let minutes = steady.window.as_secs_f64() / 60.0;
        self.push(
            "API writes per minute, steady state",
            format!("{:.1}", steady.writes as f64 / minutes),
            "0",
            Some(steady.writes == 0),
        );
        self.push(
            "runhcs calls per minute, steady state",
            format!(
                "{:.1} ({} in {} relists)",
                steady.spawns as f64 / minutes,
                steady.spawns,
                steady.relists
            ),
            "one per relist",
            Some(steady.relists > 0 && steady.spawns == steady.relists),
        );
    }

    /// From a container's end to the status that says so, and the same while calls hang; both are sorted.
    pub fn exits(&mut self, times: &[Duration], beside_hung: &[Duration]) {
        let limit = Duration::from_millis(100);
        let p99 = quantile(times, 99);
        self.push(
            "end of a process to its status, p50 / p99",
            quantiles(times),
            "p99 100 ms",
            Some(p99 <= limit),
        );
        let later = quantile(beside_hung, 99).saturating_sub(p99);
        self.push(
            "the same beside containers whose runhcs hangs",
            quantiles(beside_hung),
            "p99 at most 100 ms later",
            Some(later <= limit),
        );
    }

    /// The agent's resident memory in bytes.
    #[allow(clippy::cast_precision_loss)] // Some megabytes.
    pub fn memory(&mut self, empty: u64, full: u64) {
        let (empty, full) = (empty as f64 / MEGABYTE, full as f64 / MEGABYTE);
        let text = |megabytes: f64| format!("{megabytes:.1} MB");
        self.push(
            "agent's memory, no containers",
            text(empty),
            "12 MB",
            Some(empty <= 12.0),
        );
        self.push(
            "agent's memory, all containers",
            text(full),
            "22 MB",
            Some(full <= 22.0),
        );
    }

    /// Containers per second, the agent's and the two ceilings.
    pub fn rates(&mut self, agent: f64, runtime: f64, api: f64) {
        let text = |rate: f64| format!("{rate:.1} per second");
        self.push("containers becoming Running", text(agent), "", None);
        self.push(
            "raw ceiling: create, start, ps alone",
            text(runtime),
            "",
            None,
        );
        self.push(
            "raw ceiling: finalizer and status alone",
            text(api),
            "",
            None,
        );
        // Both share the machine's processors, so together they take the sum of both times.
        let together = 1.0 / (1.0 / runtime + 1.0 / api);
        let of_both = format!(
            "{:.0} % of {together:.1} per second",
            100.0 * agent / together
        );
        self.push("share of the ceiling of both together", of_both, "", None);
    }

    /// Whether no goal was missed.
    pub fn all_met(&self) -> bool {
        self.lines.iter().all(|line| line.met != Some(false))
    }

    /// The report as a document.
    pub fn markdown(&self) -> String {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let mut text = format!(
            "# Benchmarks\n\nWritten by `cargo xtask bench --write`: {} containers on one simulated node; API server, \
             agent,\nsimulator and containers share {processors} processors. runhcs is the simulator, so its times are \
             those of a\nprocess on Linux; the counts are what a real node would see too.\n\n\
             | what | measured | goal | |\n| --- | --- | --- | --- |\n",
            self.containers
        );
        for Line {
            what,
            measured,
            goal,
            met,
        } in &self.lines
        {
            let met = match met {
                Some(true) => "met",
                Some(false) => "**missed**",
                None => "",
            };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "| {what} | {measured} | {goal} | {met} |");
        }
        text
    }
}

fn quantile(times: &[Duration], percent: usize) -> Duration {
    let index = (times.len() * percent).div_ceil(100).saturating_sub(1);
    times.get(index).copied().unwrap_or(Duration::MAX)
}

fn quantiles(times: &[Duration]) -> String {
    let [p50, p99] = [50, 99].map(|percent| quantile(times, percent).as_millis());
    format!("{p50} ms / {p99} ms ({} ends)", times.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_goal_is_said() {
        let mut report = Report::of(1);
        report.memory(11_000_000, 23_000_000);
        assert!(!report.all_met());
        assert_eq!(report.markdown().matches("**missed**").count(), 1);
    }

    #[test]
    fn the_99th_of_a_hundred_is_the_99th() {
        let times: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        let mut report = Report::of(1);
        report.exits(&times, &times);
        assert!(report.markdown().contains("50 ms / 99 ms"));
        assert!(report.all_met());
    }

    #[test]
    fn what_hangs_may_not_make_others_later() {
        let times = [Duration::from_millis(50)];
        let mut report = Report::of(1);
        report.exits(&times, &[Duration::from_millis(151)]);
        assert!(!report.all_met());
    }
}
