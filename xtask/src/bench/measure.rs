//! A thousand containers on one node, and what they cost the node and the API server.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use hcs_crds::{HcsContainer, Phase};
use hcs_tests::audit::{Audit, Write};
use hcs_tests::{Container, Node};
use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, ResourceExt};
use runhcs_sim::{Action, Fault, Point};
use serde_json::json;

use crate::stack::Stack;

const NAMESPACE: &str = "default";

/// Objects created at the same time.
const CREATING: usize = 8;

/// How long all containers together may take to become Running.
const PATIENCE: Duration = Duration::from_mins(15);

/// What it cost to make all containers Running.
pub struct Becoming {
    /// How many containers.
    pub containers: u32,
    /// Calls of runhcs by verb.
    pub calls: Vec<(String, u64)>,
    /// API writes of the agent by resource and verb, without Events.
    pub writes: u64,
    /// Events that it wrote.
    pub events: u64,
    /// From the agent's start to the last container's Running.
    pub elapsed: Duration,
}

impl Becoming {
    /// Containers that became Running per second.
    pub fn rate(&self) -> f64 {
        f64::from(self.containers) / self.elapsed.as_secs_f64()
    }

    /// Calls of runhcs without the relists, which do not grow with the containers.
    pub fn spawns(&self) -> u64 {
        self.calls
            .iter()
            .filter(|(verb, _)| verb != "list")
            .map(|(_, count)| count)
            .sum()
    }
}

/// What a steady state costs.
pub struct Steady {
    /// How long it was watched.
    pub window: Duration,
    /// API writes of the agent, Events too.
    pub writes: u64,
    /// Calls of runhcs.
    pub spawns: u64,
    /// Those of them that list.
    pub relists: u64,
}

/// The containers of the measurement.
pub struct Fleet {
    containers: Api<HcsContainer>,
    events: BoxStream<'static, watcher::Result<HcsContainer>>,
    /// The last that the watch has said of each, by name.
    seen: HashMap<String, HcsContainer>,
    count: u32,
    audit: Audit,
    node: String,
}

impl Fleet {
    /// Creates the objects. The agent should be away: then all of it is measured from its start.
    pub async fn create(stack: &Stack, node: &Node, count: u32) -> Result<Self> {
        let client = stack.control_plane.client().await?;
        let containers: Api<HcsContainer> = Api::namespaced(client, NAMESPACE);
        let events = watcher(containers.clone(), watcher::Config::default())
            .default_backoff()
            .touched_objects()
            .boxed();
        stream::iter(0..count)
            .map(Ok)
            .try_for_each_concurrent(CREATING, |number| {
                let containers = containers.clone();
                async move {
                    let object = Container::named(&format!("c{number}"))
                        .on(node)
                        .running("/bin/sleep", ["100000"])
                        .build(NAMESPACE)?;
                    containers.create(&PostParams::default(), &object).await?;
                    Ok::<_, anyhow::Error>(())
                }
            })
            .await?;
        let audit = stack.control_plane.audit();
        let node = node.name().to_owned();
        Ok(Self {
            containers,
            events,
            seen: HashMap::new(),
            count,
            audit,
            node,
        })
    }

    /// Starts the agent and waits until all are Running.
    pub async fn becomes_running(&mut self, node: &Node) -> Result<Becoming> {
        let audit = self.audit.from_now();
        let before = calls(node)?;
        let started = Instant::now();
        node.agent().start_again()?;
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let mut running = 0;
        while running < self.count {
            let event = tokio::time::timeout_at(deadline, self.events.next()).await;
            let Ok(Some(object)) = event else {
                bail!(
                    "only {running} of {} became Running within {PATIENCE:?}",
                    self.count
                );
            };
            let object = object?;
            let was = self.seen.get(&object.name_any()).is_some_and(is_running);
            let is = is_running(&object);
            running = running + u32::from(is && !was) - u32::from(was && !is);
            self.seen.insert(object.name_any(), object);
        }
        let elapsed = started.elapsed();
        let calls = difference(&before, &calls(node)?);
        // The node's own page is written at its own pace, however many containers there are.
        let aside = ["events", "hcsnodes"];
        let writes = audit
            .count(|write| self.is_agents(write) && !aside.contains(&write.resource.as_str()))?;
        let events = audit.count(|write| self.is_agents(write) && write.resource == "events")?;
        Ok(Becoming {
            containers: self.count,
            calls,
            writes: writes as u64,
            events: events as u64,
            elapsed,
        })
    }

    /// Watches for `window` what goes on when nothing changes.
    pub async fn steady(&mut self, node: &Node, window: Duration) -> Result<Steady> {
        // Events are written behind the state; the agent's last ones are no part of the steady state.
        tokio::time::sleep(Duration::from_secs(5)).await;
        let audit = self.audit.from_now();
        let before = calls(node)?;
        tokio::time::sleep(window).await;
        let calls = difference(&before, &calls(node)?);
        let spawns = calls.iter().map(|(_, count)| count).sum();
        let relists = calls
            .iter()
            .filter(|(verb, _)| verb == "list")
            .map(|(_, count)| count)
            .sum();
        let writes = audit.count(|write| self.is_agents(write))? as u64;
        Ok(Steady {
            window,
            writes,
            spawns,
            relists,
        })
    }

    /// Ends the first process of some containers, one after the other, and times each from its end to the status that
    /// says so. Sorted.
    pub async fn exits(&mut self, count: usize) -> Result<Vec<Duration>> {
        let mut times = Vec::new();
        for name in self.running(count) {
            let object = self.containers.get(&name).await?;
            let pid = first_process(&object)
                .with_context(|| format!("{name} has no process in its status"))?;
            let started = Instant::now();
            hcs_tests::process::ask_to_end(pid);
            self.until_it_runs_no_more(&name).await?;
            times.push(started.elapsed());
        }
        times.sort();
        Ok(times)
    }

    /// Asks for the end of some containers whose `kill` hangs, and waits until the agent is in these calls.
    pub async fn hang(&mut self, node: &Node, count: usize) -> Result<()> {
        for name in self.running(count) {
            let object = self.containers.get(&name).await?;
            let ids = format!("hc-{}-*", object.uid().unwrap_or_default());
            let hangs = Fault::new("kill", Point::BeforeEffect, Action::Hang);
            let injected = node.sim().inject(hangs.of_id(ids));
            injected.context("failed to let a call hang")?;
            let stop = Patch::Merge(json!({"spec": {"desiredState": "Stopped"}}));
            let params = PatchParams::default();
            self.containers.patch(&name, &params, &stop).await?;
            self.until_it_runs_no_more(&name).await?;
        }
        Ok(())
    }

    /// Names of so many that run.
    fn running(&self, count: usize) -> Vec<String> {
        let running = self.seen.iter().filter(|(_, object)| is_running(object));
        running.map(|(name, _)| name.clone()).take(count).collect()
    }

    async fn until_it_runs_no_more(&mut self, name: &str) -> Result<()> {
        let deadline = tokio::time::Instant::now() + Duration::from_mins(1);
        loop {
            let event = tokio::time::timeout_at(deadline, self.events.next()).await;
            let Ok(Some(object)) = event else {
                bail!("{name} was not seen to end")
            };
            let object = object?;
            let this = object.name_any() == name && !is_running(&object);
            self.seen.insert(object.name_any(), object);
            if this {
                return Ok(());
            }
        }
    }

    /// Whether the agent of the node made this write: its token is bound to the node.
    fn is_agents(&self, write: &Write) -> bool {
        write.node == self.node
    }
}

fn is_running(object: &HcsContainer) -> bool {
    object
        .status
        .as_ref()
        .is_some_and(|status| status.phase == Phase::Running)
}

fn first_process(object: &HcsContainer) -> Option<u32> {
    object
        .status
        .as_ref()?
        .processes
        .as_ref()?
        .pids
        .first()
        .copied()
}

/// Calls of the node's runhcs so far, by verb.
fn calls(node: &Node) -> Result<HashMap<String, u64>> {
    let mut counts = HashMap::new();
    for call in node
        .sim()
        .calls()
        .context("failed to read the simulator's calls")?
    {
        *counts.entry(call.verb).or_default() += 1;
    }
    Ok(counts)
}

fn difference(before: &HashMap<String, u64>, after: &HashMap<String, u64>) -> Vec<(String, u64)> {
    let mut calls: Vec<(String, u64)> = after
        .iter()
        .map(|(verb, count)| {
            (
                verb.clone(),
                count - before.get(verb).copied().unwrap_or_default(),
            )
        })
        .filter(|(_, count)| *count > 0)
        .collect();
    calls.sort();
    calls
}
