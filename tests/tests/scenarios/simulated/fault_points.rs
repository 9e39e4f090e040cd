//! runhcs dies or fails once at each point of each verb that changes something: the object comes to what it asks for
//! all the same, with one container at most, and nothing is left.

use hcs_crds::{DesiredState, Phase, Reason};
use hcs_tests::{Container, Live, Node, Result, Scenario};
use runhcs_sim::{Fault, Point};

use super::{dies, fails};

/// What is asked for, from where, and what happens on the way.
struct Case {
    from: (DesiredState, Phase),
    to: (DesiredState, Phase),
    fault: Fault,
}

const STOPPED: (DesiredState, Phase) = (DesiredState::Stopped, Phase::Stopped);
const CREATED: (DesiredState, Phase) = (DesiredState::Created, Phase::Created);
const RUNNING: (DesiredState, Phase) = (DesiredState::Running, Phase::Running);
const PAUSED: (DesiredState, Phase) = (DesiredState::Paused, Phase::Paused);
const DELETED: (DesiredState, Phase) = (DesiredState::Deleted, Phase::Deleted);

type Way = (
    &'static str,
    (DesiredState, Phase),
    (DesiredState, Phase),
    &'static [(Point, &'static str)],
);

const WAYS: [Way; 7] = [
    (
        "create",
        STOPPED,
        RUNNING,
        &[
            (Point::Begin, "begin"),
            (Point::RecordWritten, "record"),
            (Point::ShimStarted, "shim"),
            (Point::PidFileWritten, "pid-file"),
            (Point::AfterEffect, "after"),
            (Point::Output, "output"),
        ],
    ),
    ("start", CREATED, RUNNING, OF_EFFECT),
    ("pause", RUNNING, PAUSED, OF_EFFECT),
    ("resume", PAUSED, RUNNING, OF_EFFECT),
    ("kill", RUNNING, STOPPED, OF_EFFECT),
    ("delete", RUNNING, DELETED, OF_EFFECT),
    (
        "shim",
        STOPPED,
        RUNNING,
        &[(Point::ShimReady, "ready"), (Point::ProcessStart, "start")],
    ),
];

const OF_EFFECT: &[(Point, &str)] = &[
    (Point::Begin, "begin"),
    (Point::BeforeEffect, "before"),
    (Point::AfterEffect, "after"),
];

fn cases(kind: &str, fault: fn(&str, Point) -> Fault) -> Vec<(String, Case)> {
    let of_way = |(verb, from, to, points): Way| {
        points.iter().map(move |(point, at)| {
            let case = Case {
                from,
                to,
                fault: fault(verb, *point),
            };
            (format!("{verb}-{kind}-{at}"), case)
        })
    };
    WAYS.into_iter().flat_map(of_way).collect()
}

/// Whether a create is there afterwards that is neither done nor undone.
fn leaves_half_made(name: &str) -> bool {
    ["record", "shim", "pid-file"]
        .map(|at| format!("create-dies-{at}"))
        .contains(&name.to_owned())
}

async fn begin(scenario: &Scenario, node: &Node, name: &str, case: &Case) -> Result<Live> {
    let container = Container::named(name)
        .on(node)
        .hyperv()
        .running_for_ever()
        .desired(case.from.0)
        .with(|spec| {
            // A shim that dies ends the container, which is an end like any other.
            spec.restart_policy = hcs_crds::RestartPolicy::Always;
            spec.restart.max_backoff_seconds = 1;
        });
    scenario.create(container).await
}

async fn one_fault_delays_and_no_more(kind: &str, fault: fn(&str, Point) -> Fault) -> Result {
    let scenario = Scenario::named(kind).await?;
    let node = scenario.node().await?;
    let cases = cases(kind, fault);
    let mut objects = Vec::new();
    for (name, case) in &cases {
        objects.push(begin(&scenario, &node, name, case).await?);
    }
    for ((_, case), object) in cases.iter().zip(&objects) {
        object.becomes(case.from.1).await?;
        let fault = case.fault.clone().of_id(object.container_ids()).times(1);
        node.sim().inject(fault).unwrap();
        object.set_desired(case.to.0).await?;
    }
    let mut expected = 0;
    for ((name, case), object) in cases.iter().zip(&objects) {
        let there = object.becomes(case.to.1).await?;
        object.becomes_ready().await?;
        if matches!(case.to.1, Phase::Running | Phase::Paused) {
            expected += 1;
            let id = there.status.unwrap().container_id.unwrap();
            let shown = node.sim().container(&id).unwrap();
            assert_ne!(shown.status, "stopped", "{name}");
        }
        if leaves_half_made(name) {
            object.has_event(Reason::HalfMadeRemoved).await?;
        }
    }
    for ((name, _), object) in cases.iter().zip(&objects) {
        let events = object.events().await?;
        let removed = Reason::HalfMadeRemoved.as_str();
        let half_made = events.iter().any(|e| e.reason.as_deref() == Some(removed));
        assert_eq!(half_made, leaves_half_made(name), "{name}");
    }
    let live = node.sim().containers().unwrap();
    let live = live
        .iter()
        .filter(|container| container.status != "stopped");
    assert_eq!(live.count(), expected);
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn a_call_that_dies_at_any_point_delays_its_container_and_no_more() -> Result {
    one_fault_delays_and_no_more("dies", dies).await
}

#[tokio::test]
async fn a_call_that_fails_at_any_point_delays_its_container_and_no_more() -> Result {
    one_fault_delays_and_no_more("fails", fails).await
}
