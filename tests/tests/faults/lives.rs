//! One object's life on a node of its own, with an agent that dies at one point of it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use hcs_crds::{HcsContainer, Phase};
use hcs_tests::live::observed;
use hcs_tests::proxy::Side;
use hcs_tests::tracer::{Tracing, changes_file};
use hcs_tests::{Error, Live, Node, NodeOptions, PATIENCE, Result, Scenario};
use runhcs_sim::{Action, CallRecord, Fault, Point as At};
use tokio::time::{Instant, sleep};

use super::lifecycles::{Lifecycle, Move, end_file};
use super::snapshot::snapshot;

/// How often the world is looked at.
const LOOK: Duration = Duration::from_millis(40);

/// Where an agent dies. The number says how many of the same come before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Point {
    /// Before a change of a file.
    File(String, usize),
    /// Before a write to the API server, or before it hears of it.
    Api(String, usize, Side),
    /// While runhcs has not begun, or has done its work and not said so; the call ends once the agent is dead.
    Call(String, usize, Side),
}

/// What was to be seen.
#[derive(Debug, Default)]
pub struct Lived {
    /// All points that the agent passed.
    pub points: Vec<Point>,
    /// Whether it died.
    pub died: bool,
    /// The world after each move.
    pub moves: Vec<String>,
}

struct Life<'a> {
    node: &'a Node,
    scenario: &'a Scenario,
    point: Option<&'a Point>,
    lived: Lived,
    gate: PathBuf,
}

/// Plays a lifecycle; the agent dies at the point, if one is given.
pub async fn play(lifecycle: &Lifecycle, point: Option<&Point>) -> Result<Lived> {
    let scenario = Scenario::named("crash").await?;
    let target = match point {
        Some(Point::File(label, number)) => Some((label.clone(), *number)),
        _ => None,
    };
    // Only what looks at files needs to look at system calls.
    let traced = point.is_none() || target.is_some();
    let tracing = traced.then_some(Tracing { target });
    let options = NodeOptions {
        proxied: true,
        tracing,
        relist_interval: Duration::from_secs(1),
        ..NodeOptions::default()
    };
    let node = scenario.node_with(options).await?;
    let mut life = Life {
        node: &node,
        scenario: &scenario,
        point,
        lived: Lived::default(),
        gate: node.dir().join("gate"),
    };
    life.begin();
    let web = scenario.create((lifecycle.object)(&node)).await?;
    life.come_to(&web, lifecycle.first, 1).await?;
    for (number, (step, phase)) in lifecycle.moves.iter().enumerate() {
        step.make(&node, &web).await?;
        if matches!(step, Move::Goes) {
            life.is_gone(&web).await?;
        } else {
            life.come_to(&web, *phase, number + 2).await?;
        }
        if matches!(step, Move::Ends) {
            let _ = std::fs::remove_file(end_file(&node));
        }
    }
    scenario.leaves_nothing_on(&node).await?;
    if let Some(overlaps) = node.sim().overlaps().unwrap() {
        return Err(Error::Unexpected {
            what: format!("one live container at a time, not {overlaps}"),
            evidence: scenario.evidence(),
        });
    }
    life.end();
    Ok(life.lived)
}

impl Life<'_> {
    /// Sets the trap.
    fn begin(&self) {
        match self.point {
            Some(Point::Api(label, number, side)) => {
                self.node.proxy().catch(label, *number, *side);
            }
            Some(Point::Call(verb, number, side)) => {
                let at = match side {
                    Side::Before => At::Begin,
                    Side::After => At::AfterEffect,
                };
                let until = self.gate.clone();
                let fault = Fault::new(verb, at, Action::Hold { until });
                // Ids of containers; what a probe makes has another.
                let fault = if verb == "create-scratch" {
                    fault
                } else {
                    fault.of_id("hc-*")
                };
                let fault = fault.skip(*number as u64).times(1);
                self.node.sim().inject(fault).unwrap();
            }
            Some(Point::File(..)) | None => {}
        }
    }

    /// Whether the agent is where it dies.
    fn is_there(&self) -> bool {
        match self.point {
            _ if self.lived.died => false,
            None => false,
            Some(Point::File(..)) => self.node.agent().running().is_err(),
            Some(Point::Api(..)) => self.node.proxy().has_caught(),
            Some(Point::Call(verb, number, _)) => {
                let calls = self.node.sim().calls().unwrap();
                let same = calls
                    .iter()
                    .filter(|call| call.verb == *verb && is_of_container(call));
                same.clone().count() > *number && same.clone().any(|call| call.exit_code.is_none())
            }
        }
    }

    /// Kills the agent if it is where it dies, and starts the next one.
    fn look(&mut self) -> Result {
        if !self.is_there() {
            let by_itself = !matches!(self.point, Some(Point::File(..))) || self.lived.died;
            return if by_itself {
                self.node.agent().running()
            } else {
                Ok(())
            };
        }
        self.node.agent().kill();
        self.lived.died = true;
        self.node.agent().start_again()?;
        // What runhcs was about to do happens when the agent that asked for it is no more.
        std::fs::write(&self.gate, "").unwrap();
        Ok(())
    }

    /// Waits until the object is in a phase and so is the world: nothing changes over three lists.
    async fn come_to(&mut self, web: &Live, phase: Phase, move_: usize) -> Result {
        let end = Instant::now() + PATIENCE;
        let mut last = (String::new(), Instant::now());
        loop {
            self.look()?;
            let object = web.object().await?;
            let there = object.status.as_ref().is_some_and(|status| {
                status.phase == phase && ready_or_done(&object) && observed(&object)
            });
            let seen = snapshot(self.node, web, Some(&object));
            if !there || seen != last.0 {
                last = (seen, Instant::now());
            }
            // A write that is to be caught may be the last one of the move.
            if there && last.1.elapsed() > Duration::from_millis(1200) {
                self.lived.moves.push(last.0);
                return Ok(());
            }
            if Instant::now() > end {
                return Err(Error::Unexpected {
                    what: format!(
                        "move {move_}: {phase:?} and at rest; last seen:\n{}",
                        last.0
                    ),
                    evidence: self.scenario.evidence(),
                });
            }
            sleep(LOOK).await;
        }
    }

    async fn is_gone(&mut self, web: &Live) -> Result {
        let end = Instant::now() + PATIENCE;
        let api = self.scenario.containers();
        loop {
            self.look()?;
            let object = api
                .get_opt(web.name())
                .await
                .map_err(Error::api("read the object"))?;
            if object.is_none()
                && self.node.leftovers()?.is_empty()
                && self.node.containers()?.is_empty()
            {
                // What comes after its end, such as the last Event, is a point too.
                sleep(Duration::from_millis(300)).await;
                self.look()?;
                self.lived.moves.push("gone".into());
                return Ok(());
            }
            if Instant::now() > end {
                return Err(Error::Unexpected {
                    what: format!(
                        "gone; last seen:\n{}",
                        snapshot(self.node, web, object.as_ref())
                    ),
                    evidence: self.scenario.evidence(),
                });
            }
            sleep(LOOK).await;
        }
    }

    /// Collects the points that were passed.
    fn end(&mut self) {
        let writes = numbered(self.node.proxy().writes());
        let calls = self.node.sim().calls().unwrap();
        let calls = calls.iter().filter(|call| is_of_container(call));
        let verbs = numbered(calls.map(|call| call.verb.clone()).collect());
        self.node.agent().kill();
        let changes = changes_file(self.node.agent().data_dir());
        let changes = std::fs::read_to_string(changes).unwrap_or_default();
        let files = numbered(changes.lines().map(str::to_owned).collect()).into_iter();
        let points = &mut self.lived.points;
        points.extend(files.map(|(label, number)| Point::File(label, number)));
        for side in [Side::Before, Side::After] {
            let api = writes.iter().cloned();
            points.extend(api.map(|(label, number)| Point::Api(label, number, side)));
            let calls = verbs.iter().cloned();
            // What changes nothing has no such point.
            let calls = calls.filter(|(verb, _)| side == Side::Before || verb != "ps");
            points.extend(calls.map(|(verb, number)| Point::Call(verb, number, side)));
        }
    }
}

fn ready_or_done(object: &HcsContainer) -> bool {
    let conditions = object.status.iter().flat_map(|status| &status.conditions);
    let moving = conditions.filter(|condition| condition.type_ == "Reconciling");
    moving.count() == 0
}

/// Whether a call is about a container of an object, or its scratch.
fn is_of_container(call: &CallRecord) -> bool {
    call.id.starts_with("hc-") || call.verb == "create-scratch"
}

/// Each label with how many of the same come before.
fn numbered(labels: Vec<String>) -> Vec<(String, usize)> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let number = |label: String| {
        let count = seen.entry(label.clone()).or_default();
        *count += 1;
        (label, *count - 1)
    };
    labels.into_iter().map(number).collect()
}
