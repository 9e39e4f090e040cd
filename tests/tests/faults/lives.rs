//! One object's life on a node of its own, with an agent that dies at one point of it.

use std::path::PathBuf;
use std::time::Duration;

use hcs_crds::{HcsContainer, Phase};
use hcs_tests::live::observed;
use hcs_tests::proxy::Perturbation;
use hcs_tests::tracer::Tracing;
use hcs_tests::{Error, Live, Node, NodeOptions, PATIENCE, Result, Scenario};
use runhcs_sim::{Action, Fault, Point as At};
use tokio::time::{Instant, sleep};

use super::lifecycles::{Lifecycle, Move};
use super::points::{Point, calls, count_shims, files, views, writes};
use super::snapshot::snapshot;

/// How often the world is looked at.
const LOOK: Duration = Duration::from_millis(40);
/// So long nothing must change, be called or be written: a list and more, after which a write that is to be caught would
/// have come.
const REST: Duration = Duration::from_millis(1200);
/// The agent reports what takes longer than a second.
const SLOW_MS: u64 = 1100;
/// The fault that holds a call counts under this name.
const FAULT: &str = "crash";

/// What was to be seen.
#[derive(Debug, Default)]
pub struct Lived {
    /// All points that the agent passed; of its files only if it was traced.
    pub points: Vec<Point>,
    /// Whether it died.
    pub died: bool,
    /// The world after each move.
    pub moves: Vec<After>,
}

/// What came of a move.
#[derive(Debug)]
pub struct After {
    /// The world.
    pub world: String,
    /// How long the agent was busy with it: to its last effect, from the move on or, where an agent died in it, from that
    /// death on.
    pub busy: Duration,
    /// How much of that something on this machine waited for a processor.
    pub starved: Duration,
    /// Whether one died in it.
    pub died: bool,
}

/// A moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Moment {
    at: Instant,
    /// How long until then something on this machine has waited for a processor; zero where Linux does not tell.
    starved: Duration,
}

impl Moment {
    fn now() -> Self {
        let pressure = std::fs::read_to_string("/proc/pressure/cpu").unwrap_or_default();
        let total = pressure
            .lines()
            .next()
            .and_then(|some| some.rsplit_once("total="));
        let microseconds = total.and_then(|(_, total)| total.parse().ok());
        Self {
            at: Instant::now(),
            starved: Duration::from_micros(microseconds.unwrap_or_default()),
        }
    }
}

struct Life<'a> {
    node: &'a Node,
    scenario: &'a Scenario,
    point: Option<&'a Point>,
    lived: Lived,
    gate: PathBuf,
    died_at: Option<Moment>,
    /// The container that has to be over before a phase counts, as the one after it has the same.
    over: Option<String>,
}

/// How a life is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// As it goes.
    Plain,
    /// The changes of the agent's files are noted.
    Traced,
    /// Each call of runhcs takes longer than the agent waits before it reports what is under way.
    Slow,
}

/// Plays a lifecycle; the agent dies at the point, if one is given.
pub async fn play(lifecycle: &Lifecycle, point: Option<&Point>, manner: Manner) -> Result<Lived> {
    let scenario = Scenario::named("crash").await?;
    let target = match point {
        Some(Point::File(label, number)) => Some((label.clone(), *number)),
        _ => None,
    };
    let options = NodeOptions {
        proxied: true,
        tracing: (manner == Manner::Traced || target.is_some()).then_some(Tracing { target }),
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
        died_at: None,
        over: None,
    };
    if manner == Manner::Slow {
        let mut slow = Fault::new("", At::Begin, Action::Delay { ms: SLOW_MS });
        slow.verb = None;
        node.sim().inject(slow.of_id("hc-*")).unwrap();
    }
    life.sets_the_trap();
    let web = scenario.create((lifecycle.object)(&node)).await?;
    life.comes_to(&web, Some(lifecycle.first)).await?;
    for (step, phase) in lifecycle.moves {
        life.over = match (step, phase) {
            (Move::Ends, Some(Phase::Running)) => web.status().await?.container_id,
            _ => None,
        };
        step.make(&node, &web).await?;
        life.comes_to(&web, *phase).await?;
    }
    scenario.leaves_nothing_on(&node).await?;
    if let Some(overlaps) = node.sim().overlaps().unwrap() {
        return Err(life.unexpected(format!("one live container at a time, not {overlaps}")));
    }
    life.lived.points = writes(&node);
    life.lived.points.extend(calls(&node));
    life.lived.points.extend(views(&node));
    if manner == Manner::Traced {
        // Its account is whole once it has ended.
        node.agent().kill();
        life.lived.points.extend(files(&node));
    }
    Ok(life.lived)
}

impl Life<'_> {
    fn sets_the_trap(&self) {
        match self.point {
            Some(Point::Api(label, number, side)) => {
                self.node.proxy().catch(label, *number, *side);
            }
            Some(Point::Call(verb, number, at)) => {
                let until = self.gate.clone();
                let fault = Fault::new(verb, *at, Action::Hold { until });
                // Ids of containers; what a probe makes has another.
                let fault = if verb == "create-scratch" {
                    fault
                } else {
                    fault.of_id("hc-*")
                };
                let mut fault = fault.skip(*number).times(1);
                FAULT.clone_into(&mut fault.key);
                self.node.sim().inject(fault).unwrap();
            }
            Some(Point::View(perturbation)) => self.node.proxy().view().perturb(*perturbation),
            Some(Point::File(..)) => {}
            None => count_shims(self.node),
        }
    }

    /// Whether the agent is where it dies.
    fn is_there(&self) -> bool {
        match self.point {
            _ if self.lived.died => false,
            None => false,
            Some(Point::File(..)) => self.node.agent().running().is_err(),
            Some(Point::Api(..)) => self.node.proxy().has_caught(),
            Some(Point::View(_)) => self.node.proxy().view().is_perturbed(),
            Some(Point::Call(_, number, _)) => self.node.sim().met(FAULT).unwrap() > *number,
        }
    }

    /// Kills the agent if it is where it dies, and starts the next one.
    fn looks(&mut self) -> Result {
        if !self.is_there() {
            let by_itself = !matches!(self.point, Some(Point::File(..))) || self.lived.died;
            return if by_itself {
                self.node.agent().running()
            } else {
                Ok(())
            };
        }
        self.lived.died = true;
        self.died_at = Some(Moment::now());
        if matches!(self.point, Some(Point::View(view)) if !matches!(view, Perturbation::Older(..)))
        {
            return Ok(());
        }
        self.node.agent().kill();
        self.node.agent().start_again()?;
        // A call that has outlived the agent, or a shim, goes on beside the next one.
        std::fs::write(&self.gate, "").unwrap();
        Ok(())
    }

    /// Waits until the object is in a phase, or gone, and all is at rest.
    async fn comes_to(&mut self, web: &Live, phase: Option<Phase>) -> Result {
        let begun = Moment::now();
        self.died_at = None;
        let mut last = (String::new(), begun);
        loop {
            self.looks()?;
            let api = self.scenario.containers();
            let object = api.get_opt(web.name()).await;
            let object = object.map_err(Error::api("read the object"))?;
            // Asked before the look: what goes in between is seen to have changed.
            let there = match phase {
                Some(phase) => object.as_ref().is_some_and(|object| {
                    let status = object.status.as_ref();
                    let id = status.and_then(|status| status.container_id.as_ref());
                    is_at(object, phase) && (self.over.is_none() || self.over.as_ref() != id)
                }),
                None => object.is_none() && self.is_empty()?,
            };
            let seen = snapshot(self.node, web, object.as_ref());
            let done = format!("{seen}\n{}", self.effects());
            if done != last.0 {
                last = (done, Moment::now());
            }
            if there && last.1.at.elapsed() > REST {
                let died = self.died_at;
                let since = died.map_or(begun, |died| died.max(begun));
                self.lived.moves.push(After {
                    world: seen,
                    busy: last.1.at.saturating_duration_since(since.at),
                    starved: last.1.starved.saturating_sub(since.starved),
                    died: died.is_some(),
                });
                return Ok(());
            }
            if begun.at.elapsed() > PATIENCE {
                return Err(self.unexpected(format!("{phase:?} and at rest; last seen:\n{seen}")));
            }
            sleep(LOOK).await;
        }
    }

    /// How many effects there were outside the node's folder.
    fn effects(&self) -> String {
        let calls = self.node.sim().calls().unwrap();
        let commands = calls.iter().filter(|call| call.verb != "list").count();
        format!(
            "{} writes, {commands} commands",
            self.node.proxy().writes().len()
        )
    }

    fn is_empty(&self) -> Result<bool> {
        Ok(self.node.leftovers()?.is_empty() && self.node.containers()?.is_empty())
    }

    fn unexpected(&self, what: String) -> Error {
        Error::Unexpected {
            what,
            evidence: self.scenario.evidence(),
        }
    }
}

/// In this phase, by the newest spec, and not on the way to another.
fn is_at(object: &HcsContainer, phase: Phase) -> bool {
    let status = object.status.as_ref();
    let moving = |type_: &str| type_ == "Reconciling";
    status.is_some_and(|status| {
        status.phase == phase
            && observed(object)
            && !status.conditions.iter().any(|c| moving(&c.type_))
    })
}
