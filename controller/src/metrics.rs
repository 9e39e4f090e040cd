//! What the operator counts, in the Prometheus exposition format.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hcs_crds::Reason;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    verb: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VerbLabel {
    verb: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

type Durations = Family<VerbLabel, Histogram, fn() -> Histogram>;

/// All counters; cheap to clone, all clones count together.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
    calls: Family<CallLabels, Counter>,
    durations: Durations,
    failures: Family<ReasonLabel, Counter>,
    watch_failures: Counter,
    watch_starts: Counter,
    foreign: Gauge,
}

fn call_buckets() -> Histogram {
    // 1 ms to 65 s: a spawn is a millisecond on Linux and many on Windows; deadlines are a minute.
    Histogram::new(exponential_buckets(0.001, 4.0, 9))
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("hcs_operator");
        let calls = Family::default();
        let durations: Durations = Family::new_with_constructor(call_buckets);
        let failures = Family::default();
        let (watch_failures, watch_starts) = (Counter::default(), Counter::default());
        registry.register(
            "runhcs_calls",
            "Calls of runhcs by verb and result",
            calls.clone(),
        );
        registry.register_with_unit(
            "runhcs_call_duration",
            "How long calls of runhcs took",
            Unit::Seconds,
            durations.clone(),
        );
        registry.register(
            "step_failures",
            "Steps that failed, by reason",
            failures.clone(),
        );
        registry.register(
            "watch_failures",
            "Watches that ended in an error",
            watch_failures.clone(),
        );
        registry.register(
            "watch_lists",
            "Lists that a watch began with",
            watch_starts.clone(),
        );
        let foreign = Gauge::default();
        registry.register(
            "foreign_containers",
            "Containers of runhcs on this node that this agent did not make",
            foreign.clone(),
        );
        Self {
            registry: Arc::new(Mutex::new(registry)),
            calls,
            durations,
            failures,
            watch_failures,
            watch_starts,
            foreign,
        }
    }
}

impl Metrics {
    /// Counts a call of runhcs.
    pub fn runhcs_call(&self, verb: &'static str, result: &'static str, took: Duration) {
        self.calls.get_or_create(&CallLabels { verb, result }).inc();
        self.durations
            .get_or_create(&VerbLabel { verb })
            .observe(took.as_secs_f64());
    }

    /// Counts a step that failed.
    pub fn step_failed(&self, reason: Reason) {
        self.failures
            .get_or_create(&ReasonLabel {
                reason: reason.as_str(),
            })
            .inc();
    }

    /// Counts a watch that ended in an error.
    pub fn watch_failed(&self) {
        self.watch_failures.inc();
    }

    /// Counts a full list from the API server.
    pub fn watch_started(&self) {
        self.watch_starts.inc();
    }

    /// Says how many containers on the node are not the agent's.
    pub fn foreign_containers(&self, count: usize) {
        self.foreign.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// All of it as text.
    pub fn render(&self) -> String {
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        // Writing to a String does not fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_verb_and_result() {
        let metrics = Metrics::default();
        metrics.runhcs_call("create", "ok", Duration::from_millis(3));
        metrics
            .clone()
            .runhcs_call("create", "ok", Duration::from_millis(3));
        let text = metrics.render();
        let line = "hcs_operator_runhcs_calls_total{verb=\"create\",result=\"ok\"} 2";
        assert!(text.contains(line), "{text}");
    }
}
