//! What the operator counts, in the Prometheus exposition format.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hcs_crds::{Inventory, Reason};
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
    node: NodeMetrics,
    controller: ControllerMetrics,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ActionLabels {
    action: &'static str,
    result: &'static str,
}

/// What the cluster's controller counts.
#[derive(Clone, Default)]
struct ControllerMetrics {
    leads: Gauge,
    silent: Gauge,
    gone: Gauge,
    actions: Family<ActionLabels, Counter>,
}

impl ControllerMetrics {
    fn registered_in(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let m = &metrics;
        registry.register("leader", "Whether this controller leads", m.leads.clone());
        registry.register(
            "silent_nodes",
            "Nodes whose agent has not renewed its Lease in time",
            m.silent.clone(),
        );
        registry.register(
            "gone_nodes",
            "Node names whose Node is gone for good",
            m.gone.clone(),
        );
        registry.register(
            "controller_actions",
            "What the controller did, by result",
            m.actions.clone(),
        );
        metrics
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

/// What the agent counts of its node and of the page about it.
#[derive(Clone, Default)]
struct NodeMetrics {
    foreign: Gauge,
    leftovers: Gauge,
    leftover_bytes: Gauge,
    disk_free: Gauge,
    disk_total: Gauge,
    lease_renewals: Family<ResultLabel, Counter>,
    page_writes: Family<ResultLabel, Counter>,
}

impl NodeMetrics {
    fn registered_in(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let m = &metrics;
        registry.register(
            "foreign_containers",
            "Containers of runhcs on this node that this agent did not make",
            m.foreign.clone(),
        );
        registry.register(
            "leftovers",
            "What this agent made and no object wants any more",
            m.leftovers.clone(),
        );
        registry.register_with_unit(
            "leftover_size",
            "What the leftovers take on the disk",
            Unit::Bytes,
            m.leftover_bytes.clone(),
        );
        registry.register_with_unit(
            "disk_free",
            "Room on the disk of the data folder",
            Unit::Bytes,
            m.disk_free.clone(),
        );
        registry.register_with_unit(
            "disk_size",
            "The whole disk of the data folder",
            Unit::Bytes,
            m.disk_total.clone(),
        );
        registry.register(
            "lease_renewals",
            "Renewals of the node's Lease, by result",
            m.lease_renewals.clone(),
        );
        registry.register(
            "node_status_writes",
            "Writes of the HcsNode, by result",
            m.page_writes.clone(),
        );
        metrics
    }
}

fn result_label(succeeded: bool) -> ResultLabel {
    ResultLabel {
        result: if succeeded { "ok" } else { "failed" },
    }
}

fn gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
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
        let node = NodeMetrics::registered_in(&mut registry);
        let controller = ControllerMetrics::registered_in(&mut registry);
        Self {
            registry: Arc::new(Mutex::new(registry)),
            calls,
            durations,
            failures,
            watch_failures,
            watch_starts,
            node,
            controller,
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

    /// Says what belongs to no object.
    pub fn inventory(&self, inventory: &Inventory) {
        let foreign = &inventory.foreign_containers;
        self.node.foreign.set(foreign.count.into());
        let left = &inventory.leftovers;
        self.node.leftovers.set(left.count.into());
        self.node.leftover_bytes.set(gauge(left.bytes));
    }

    /// Says how much room there is on the disk, in bytes.
    pub fn disk_room(&self, free: u64, total: u64) {
        self.node.disk_free.set(gauge(free));
        self.node.disk_total.set(gauge(total));
    }

    /// Says whether this controller leads.
    pub fn leads(&self, leads: bool) {
        self.controller.leads.set(leads.into());
    }

    /// Says how many nodes are silent, and how many are gone.
    pub fn nodes(&self, silent: u32, gone: u32) {
        self.controller.silent.set(silent.into());
        self.controller.gone.set(gone.into());
    }

    /// Counts what the controller did.
    pub fn controller_acted(&self, action: &'static str, succeeded: bool) {
        let ResultLabel { result } = result_label(succeeded);
        let labels = ActionLabels { action, result };
        self.controller.actions.get_or_create(&labels).inc();
    }

    /// Counts a renewal of the node's Lease.
    pub fn lease_renewed(&self, succeeded: bool) {
        let label = result_label(succeeded);
        self.node.lease_renewals.get_or_create(&label).inc();
    }

    /// Counts a write of the HcsNode.
    pub fn node_status_written(&self, succeeded: bool) {
        let label = result_label(succeeded);
        self.node.page_writes.get_or_create(&label).inc();
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
