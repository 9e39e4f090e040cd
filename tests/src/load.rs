//! A node under load while its agent is killed again and again: many containers, of which some end by themselves over
//! and over, some have a runhcs that hangs, and some are changed. `cargo xtask load` and a scenario run it.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use hcs_crds::{DesiredState, HcsContainer, Phase, conditions};
use kube::ResourceExt;
use kube::api::ListParams;
use runhcs_sim::{Action, Fault, Point};
use serde_json::json;
use tokio::time::{interval, timeout};

use crate::eventually::eventually;
use crate::live::{Live, has, observed};
use crate::process::lock;
use crate::{Container, Error, Node, NodeOptions, Result, Scenario};

mod figures;

pub use figures::{Figures, Life};

/// Requests at the same time.
const PARALLEL: usize = 8;
/// How often the node and the agent are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// The deadline of a call: a hung one must be given up between two kills of the agent.
const CALL: &str = "8s";
/// How long a container that ends by itself runs, in milliseconds.
const RUNS: u64 = 1500;

/// What the containers are called by.
const STEADY: &str = "steady";
const LOOPS: &str = "loops";
const HANGS: &str = "hangs";
/// The file in the node's folder that lets hung calls go.
const GATE: &str = "load-ends";
/// How long `sleep` sleeps, in seconds.
const FOR_EVER: &str = "1000000";
/// How many objects that are not as they should be are named.
const SHOWN: usize = 10;

/// How much load, for how long.
#[derive(Debug, Clone)]
pub struct Load {
    /// Containers altogether.
    pub containers: usize,
    /// Those of them that end by themselves with a failure, over and over.
    pub looping: usize,
    /// Those whose `start` hangs.
    pub hanging: usize,
    /// Changes of the others' specs.
    pub changes_per_minute: u32,
    /// Time between two kills of the agent.
    pub kill_every: Duration,
    /// How long the load lasts, once all containers that can run do.
    pub lasts: Duration,
    /// How long the node may take to get there, and to come to rest after it.
    pub patience: Duration,
}

impl Load {
    /// Of so many containers 5 % end over and over, 1 % hang, and 10 % are changed each minute.
    pub fn of(containers: u32, lasts: Duration) -> Self {
        let share = |percent: u32| (containers * percent).div_ceil(100);
        Self {
            containers: containers as usize,
            looping: share(5) as usize,
            hanging: share(1) as usize,
            changes_per_minute: share(10),
            kill_every: Duration::from_mins(1),
            lasts,
            patience: Duration::from_mins(15),
        }
    }

    /// A node whose agent gives a hung call up soon.
    pub fn node_options(relist_interval: Duration) -> NodeOptions {
        NodeOptions {
            relist_interval,
            args: vec!["--runhcs-timeout".to_owned(), CALL.to_owned()],
            ..NodeOptions::default()
        }
    }

    /// Puts the load on the node. What was lost, did not come true in the end or was not at rest is an error; what else
    /// there is to say is in the figures.
    pub async fn run(&self, scenario: &Scenario, node: &Node) -> Result<Figures> {
        let seen = Mutex::new(Figures::default());
        let watch = watch(node, &seen);
        let work = async {
            let fleet = Fleet::create(self, scenario, node).await?;
            fleet.all(is_as_under_load).await?;
            let disturb = async { tokio::try_join!(fleet.change(&seen), fleet.kill(&seen)) };
            if let Ok(failed) = timeout(self.lasts, disturb).await {
                failed?;
            }
            let ended = Instant::now();
            fleet.end().await?;
            fleet.all(is_ready).await?;
            fleet.nothing_is_lost().await?;
            lock(&seen).settled_in = ended.elapsed();
            scenario.is_at_rest_on(node).await
        };
        tokio::select! {
            failed = watch => failed?,
            done = work => done?,
        }
        Ok(seen.into_inner().unwrap_or_default())
    }
}

/// Looks at the node's containers and the agent's process for as long as it is polled.
async fn watch(node: &Node, seen: &Mutex<Figures>) -> Result {
    let mut ticks = interval(LOOK);
    loop {
        ticks.tick().await;
        let alive = alive(node)?;
        let twins = twins(node, &alive);
        let mut seen = lock(seen);
        seen.looks += 1;
        seen.alive = seen.alive.max(alive.len());
        seen.twins.extend(twins);
        if let (Some(pid), Some(memory)) = (node.agent().pid(), node.agent().resident_bytes()) {
            let handles = std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
            seen.note(pid, memory, handles);
        }
    }
}

/// The ids of all containers that have not ended, in order.
fn alive(node: &Node) -> Result<Vec<String>> {
    let containers = node.sim().containers();
    let containers =
        containers.map_err(|error| Error::file("read the containers of", node.dir(), error))?;
    let mut ids: Vec<String> = containers
        .into_iter()
        .filter(|container| container.status != "stopped")
        .map(|container| container.id)
        .collect();
    ids.sort();
    Ok(ids)
}

/// Containers of one object that live at the same time.
fn twins(node: &Node, alive: &[String]) -> Vec<String> {
    let of = |id: &str| id.rsplit_once('-').map(|(object, _)| object.to_owned());
    let mut twins = Vec::new();
    for pair in alive.windows(2).filter(|pair| of(&pair[0]) == of(&pair[1])) {
        // One may have gone while the others were read; both were there if both still are.
        let still = |id: &String| {
            node.sim()
                .container(id)
                .is_ok_and(|c| c.status != "stopped")
        };
        if pair.iter().all(still) {
            twins.push(pair.join(" and "));
        }
    }
    twins
}

/// The objects by what becomes of them.
struct Fleet<'a> {
    load: &'a Load,
    scenario: &'a Scenario,
    node: &'a Node,
    steady: Vec<Live>,
    looping: Vec<Live>,
}

impl<'a> Fleet<'a> {
    async fn create(load: &'a Load, scenario: &'a Scenario, node: &'a Node) -> Result<Self> {
        let create = |name: &'static str, count: usize| async move {
            stream::iter(0..count)
                .map(|number| scenario.create(container(node, name, number)))
                .buffered(PARALLEL)
                .try_collect::<Vec<Live>>()
                .await
        };
        let steady = load.containers.saturating_sub(load.looping + load.hanging);
        let hanging = create(HANGS, load.hanging).await?;
        for object in &hanging {
            // Those whose agent was killed in the meantime end with the load.
            let until = node.dir().join(GATE);
            let hangs = Fault::new("start", Point::Begin, Action::Hold { until });
            let hangs = hangs.of_id(object.container_ids());
            let injected = node.sim().inject(hangs);
            injected.map_err(|error| Error::file("inject a fault into", node.dir(), error))?;
            object.set_desired(DesiredState::Running).await?;
        }
        Ok(Self {
            load,
            scenario,
            node,
            steady: create(STEADY, steady).await?,
            looping: create(LOOPS, load.looping).await?,
        })
    }

    /// Changes one object after the other, each in another way than the one before it.
    async fn change(&self, seen: &Mutex<Figures>) -> Result {
        let mut ticks = interval(Duration::from_mins(1) / self.load.changes_per_minute.max(1));
        let objects = self.steady.iter().cycle();
        for (number, object) in objects.enumerate() {
            ticks.tick().await;
            let spec = match number % 3 {
                0 => json!({"restartRequest": number.to_string()}),
                1 => json!({"desiredState": "Stopped"}),
                _ => json!({"terminationGracePeriodSeconds": 5 + number % 20}),
            };
            object.patch_spec(spec).await?;
            lock(seen).changes += 1;
        }
        Ok(())
    }

    async fn kill(&self, seen: &Mutex<Figures>) -> Result {
        let mut ticks = interval(self.load.kill_every);
        ticks.tick().await;
        loop {
            ticks.tick().await;
            self.node.agent().crash_and_restart().await?;
            lock(seen).kills += 1;
        }
    }

    /// The load ends: everything can come true now.
    async fn end(&self) -> Result {
        let gate = self.node.dir().join(GATE);
        let cleared = std::fs::write(&gate, "").and_then(|()| self.node.sim().clear_faults());
        cleared.map_err(|error| Error::file("let the hung calls go at", &gate, error))?;
        self.set(&self.steady, DesiredState::Running).await?;
        self.set(&self.looping, DesiredState::Stopped).await?;
        self.node.agent().ready().await
    }

    async fn set(&self, objects: &[Live], state: DesiredState) -> Result {
        stream::iter(objects.iter().map(Ok))
            .try_for_each_concurrent(PARALLEL, |object| object.set_desired(state))
            .await
    }

    /// Waits until something holds of each object.
    async fn all(&self, holds: impl Fn(&HcsContainer) -> bool) -> Result {
        let what = format!("all {} objects are as they should be", self.load.containers);
        let result = eventually(self.load.patience, &what, || async {
            tokio::time::sleep(LOOK).await;
            let mut objects = self.objects().await?;
            let found = objects.len();
            let mut others = Vec::new();
            for object in objects.drain(..) {
                if !holds(&object) {
                    others.push((object.name_any(), object.status.map(|status| status.phase)));
                }
            }
            let all = others.is_empty() && found == self.load.containers;
            others.truncate(SHOWN);
            Ok(if all { Ok(()) } else { Err((found, others)) })
        });
        result
            .await
            .map_err(|error| error.with_evidence(&self.node.agent().log_tail(20)))
    }

    async fn objects(&self) -> Result<Vec<HcsContainer>> {
        let list = self
            .scenario
            .containers()
            .list(&ListParams::default())
            .await;
        Ok(list.map_err(Error::api("list the HcsContainers"))?.items)
    }

    /// Each object that should has its container, and there are no others.
    async fn nothing_is_lost(&self) -> Result {
        let mut missing = Vec::new();
        let mut there = self.node.containers()?;
        for object in self.objects().await? {
            let Some(status) = object.status else {
                continue;
            };
            let id = status.container_id.unwrap_or_default();
            let place = there.iter().position(|other| *other == id);
            if let Some(place) = place {
                there.swap_remove(place);
            } else if status.phase == Phase::Running {
                missing.push(id);
            }
        }
        if missing.is_empty() && there.is_empty() {
            return Ok(());
        }
        Err(Error::Unexpected {
            what: format!("no container is lost and none is too many: {missing:?}, {there:?}"),
            evidence: self.scenario.evidence(),
        })
    }
}

fn container(node: &Node, kind: &str, number: usize) -> Container {
    let container = Container::named(&format!("{kind}-{number}")).on(node);
    match kind {
        LOOPS => container.exiting_after(RUNS, 3).with(|spec| {
            spec.restart.max_restarts = None;
            spec.restart.initial_backoff_seconds = 1;
            spec.restart.max_backoff_seconds = 10;
        }),
        HANGS => container
            .running("/bin/sleep", [FOR_EVER])
            .desired(DesiredState::Created),
        _ => container.running("/bin/sleep", [FOR_EVER]),
    }
}

fn is_ready(object: &HcsContainer) -> bool {
    observed(object) && has(object, conditions::READY, "True")
}

/// Those that neither end nor hang run.
fn is_as_under_load(object: &HcsContainer) -> bool {
    is_ready(object) || !object.name_any().starts_with(STEADY)
}
