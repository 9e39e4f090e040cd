//! The points at which an agent can die: before and after each of its effects.

use std::collections::{BTreeMap, BTreeSet};

use hcs_tests::Node;
use hcs_tests::proxy::{Perturbation, Side};
use hcs_tests::tracer::changes_file;
use runhcs_sim::{Action, Fault, Point as At};

/// Where a shim is when its agent dies: it is about to be ready, to make its container's process, to end its container,
/// to tell of that.
const OF_SHIMS: [At; 4] = [
    At::ShimReady,
    At::ProcessStart,
    At::ProcessEnded,
    At::SystemEnded,
];

/// Where an agent dies. The number says how many of the same come before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Point {
    /// Before a change of a file, which is after the one before it.
    File(String, usize),
    /// Before a write to the API server, or before it hears of it.
    Api(String, usize, Side),
    /// At a point of a call of runhcs, or of the shim that it has started. The call ends with the agent; the shim goes on
    /// once the next agent runs.
    Call(String, u64, At),
    /// Nowhere, but what it is shown of the objects is perturbed; where that is from the past, it is restarted.
    View(Perturbation),
}

/// The perturbed views of each change: late, with a gap, and from before this change, before two, and before all; and of
/// each write, that the watch tells of it before its answer does.
pub fn views(node: &Node) -> impl Iterator<Item = Point> {
    let of_change = |at: usize| {
        let older = BTreeSet::from([1, 2.min(at + 1), at + 1]).into_iter();
        let older = older.map(move |ago| Perturbation::Older(at, ago));
        let late = [Perturbation::Frozen(at), Perturbation::Broken(at)];
        late.into_iter().chain(older).map(Point::View)
    };
    let overtaken = (0..node.proxy().writes().len()).map(Perturbation::Overtaken);
    let changes = (0..node.proxy().view().changes()).flat_map(of_change);
    changes.chain(overtaken.map(Point::View))
}

/// The changes of files that a traced agent has made.
pub fn files(node: &Node) -> impl Iterator<Item = Point> {
    let changes = changes_file(node.agent().data_dir());
    let changes = std::fs::read_to_string(changes).unwrap_or_default();
    let files = numbered(changes.lines().map(str::to_owned));
    files
        .into_iter()
        .map(|(label, number)| Point::File(label, number))
}

/// The writes to the API server that concern objects.
pub fn writes(node: &Node) -> Vec<Point> {
    let writes = numbered(node.proxy().writes().into_iter());
    let both = |(label, number): (String, usize)| {
        [Side::Before, Side::After].map(|side| Point::Api(label.clone(), number, side))
    };
    writes.into_iter().flat_map(both).collect()
}

/// The calls that concern containers; what lists them and what tries runhcs out changes nothing.
pub fn calls(node: &Node) -> Vec<Point> {
    let mut calls = node.sim().calls().unwrap();
    calls.retain(|call| call.id.starts_with("hc-") || call.verb == "create-scratch");
    let begun = numbered(calls.iter().map(|call| call.verb.clone()));
    // One that is refused, as the pause of process isolation that is tried once, has no effect to die after.
    calls.retain(|call| call.exit_code == Some(0));
    let done = numbered(calls.into_iter().map(|call| call.verb));
    let mut points = Vec::new();
    for (verb, number) in begun {
        points.push(Point::Call(verb, number as u64, At::Begin));
    }
    for (verb, number) in done {
        let of_call = on_the_way(&verb).iter();
        points.extend(of_call.map(|at| Point::Call(verb.clone(), number as u64, *at)));
    }
    for at in OF_SHIMS {
        let met = node.sim().met(&format!("{at:?}")).unwrap();
        points.extend((0..met).map(|number| Point::Call("shim".into(), number, at)));
    }
    points
}

/// Where a call can die that gets to its end.
fn on_the_way(verb: &str) -> &'static [At] {
    match verb {
        "ps" => &[],
        "create" => &[
            At::RecordWritten,
            At::ShimStarted,
            At::PidFileWritten,
            At::AfterEffect,
        ],
        _ => &[At::AfterEffect],
    }
}

/// Counts how often shims come to their points, which no account of calls tells.
pub fn count_shims(node: &Node) {
    for at in OF_SHIMS {
        let nothing = Action::Delay { ms: 0 };
        let fault = Fault::new("shim", at, nothing).of_id("hc-*");
        let mut fault = fault.times(u64::MAX);
        fault.key = format!("{at:?}");
        node.sim().inject(fault).unwrap();
    }
}

/// Each label with how many of the same come before.
fn numbered(labels: impl Iterator<Item = String>) -> Vec<(String, usize)> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let number = |label: String| {
        let count = seen.entry(label.clone()).or_default();
        *count += 1;
        (label, *count - 1)
    };
    labels.map(number).collect()
}
