//! A world that agents live and die in: a node's disk, its runhcs and the API server, which go on without any agent.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hcs_crds::HcsContainer;
use jiff::Timestamp;
use serde_json::Value;
use tokio::runtime::Runtime as Tokio;
use tokio::time::Instant;

use super::scripts::Script;
use super::snapshot::snapshot;
use crate::agent::context::bundles;
use crate::agent::fixtures::{
    Death, FakeApi, FakeRuntime, Life, Mortal, View, options, pass, paused_now, resume_time, uid,
};
use crate::agent::start;
use crate::agent::table::Table;
use crate::metrics::Metrics;

/// With no effect for so long, an agent has come to rest: longer than a grace period, a backoff, a relist or a deadline.
const REST: Duration = Duration::from_secs(65);
/// By then an agent rests.
const PATIENCE: Duration = Duration::from_mins(10);

/// A container that is there before any agent.
const FOREIGN: &str = "not-ours";

/// The world.
pub struct World {
    dir: PathBuf,
    /// The API server.
    pub api: FakeApi,
    /// The node's runhcs.
    pub runtime: Arc<FakeRuntime>,
    life: Arc<Life>,
    minds_page: bool,
    deaths: VecDeque<Death>,
    lives: Vec<Vec<String>>,
    tokio: Option<Tokio>,
    /// The time of day when the last agent died.
    reached: Option<Timestamp>,
}

/// What was to be seen while a script was played.
pub struct Played {
    /// What each life did.
    pub lives: Vec<Vec<String>>,
    /// The world after each move, and how long the agent was busy with it.
    pub moves: Vec<(String, Duration)>,
    /// How many changes of objects there were.
    pub changes: usize,
}

impl World {
    fn new(dir: &Path) -> Self {
        let dir = dir.to_owned();
        let runtime = Arc::new(FakeRuntime::default());
        runtime.tells(Arc::new(Table::new(bundles(&dir))));
        // Somebody else's, which no agent may touch.
        runtime.put(FOREIGN, "running", &dir.join("elsewhere"));
        Self {
            dir,
            api: FakeApi::default(),
            runtime,
            life: Arc::default(),
            minds_page: false,
            deaths: VecDeque::new(),
            lives: Vec::new(),
            tokio: None,
            reached: None,
        }
    }

    /// Plays a script in an empty folder; the first agents die as told, and those after them live.
    pub fn play(script: &Script, deaths: &[Death], dir: &Path) -> Played {
        Self::play_shown(script, deaths, View::Whole, dir)
    }

    /// The same where agents may also die with a write of their node's page.
    pub fn play_with_page(script: &Script, deaths: &[Death], dir: &Path) -> Played {
        let mut world = Self::new(dir);
        world.minds_page = true;
        world.plays(script, deaths)
    }

    /// The same while the API server shows its objects like this.
    pub fn play_shown(script: &Script, deaths: &[Death], view: View, dir: &Path) -> Played {
        let world = Self::new(dir);
        world.api.shows(view);
        world.plays(script, deaths)
    }

    fn plays(mut self, script: &Script, deaths: &[Death]) -> Played {
        let world = &mut self;
        world.deaths = deaths.iter().cloned().collect();
        let mut moves = Vec::new();
        world.is_born();
        for step in script.moves {
            step(world);
            let busy = loop {
                if let Some(busy) = world.rests() {
                    break busy;
                }
                world.dies();
                world.is_born();
            };
            assert!(
                world.runtime.most_at_once() <= 1,
                "two containers of one object at once"
            );
            moves.push((snapshot(world), busy));
        }
        world.dies();
        Life::leaves(&world.data());
        std::fs::remove_dir_all(&world.dir).unwrap();
        let lives = std::mem::take(&mut world.lives);
        let changes = world.api.changes();
        Played {
            lives,
            moves,
            changes,
        }
    }

    /// The agent dies, if it has not yet.
    pub fn dies(&mut self) {
        if let Some(tokio) = self.tokio.take() {
            self.reached = Some(tokio.block_on(async { paused_now() }));
            self.lives.push(self.life.effects());
        }
    }

    /// A new agent, after the death of the one before.
    pub fn is_born(&mut self) {
        self.dies();
        let reached = self.reached;
        let mut tokio = tokio::runtime::Builder::new_current_thread();
        let tokio = tokio.enable_all().start_paused(true).build().unwrap();
        let late = self.life.left();
        self.life = Life::until(self.deaths.pop_front().unwrap_or_default(), self.minds_page);
        self.life.works_in(&self.data());
        let mut options = options(&self.dir);
        // The fakes' shims have no handles, so their ends are seen by a list.
        options.relist_interval = Duration::from_secs(10);
        let runtime = Arc::new(Mortal {
            runtime: Arc::clone(&self.runtime),
            life: Arc::clone(&self.life),
        });
        let (api, life) = (self.api.clone(), Arc::clone(&self.life));
        tokio.block_on(async move {
            if let Some(reached) = reached {
                resume_time(reached);
            }
            let client = api.client_of(life);
            // It may die before it has begun.
            if let Ok(agent) = start(options, client, runtime, Metrics::default()).await {
                tokio::spawn(agent.run());
            }
            if let Some(late) = late {
                tokio::spawn(async move {
                    pass(0.5).await;
                    api.arrives(&late);
                });
            }
        });
        self.tokio = Some(tokio);
    }

    /// Whether the agent comes to rest, and after how long; none if it dies before.
    fn rests(&self) -> Option<Duration> {
        let life = &self.life;
        let rests = async {
            let begun = Instant::now();
            let (mut seen, mut since) = (life.effects().len(), begun);
            while life.is_alive() {
                pass(5.0).await;
                self.api.passes();
                let now = life.effects().len();
                if now != seen {
                    (seen, since) = (now, Instant::now());
                }
                if since.elapsed() >= REST {
                    return Some(since - begun);
                }
                assert!(begun.elapsed() < PATIENCE, "no rest: {:#?}", life.effects());
            }
            None
        };
        self.tokio.as_ref().unwrap().block_on(rests)
    }

    /// The agent's data folder.
    pub fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// The node's folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Somebody applies an object.
    pub fn applies(&self, object: &HcsContainer) {
        self.api.put(serde_json::to_value(object).unwrap());
    }

    /// Somebody changes it.
    pub fn changes(&self, change: impl FnOnce(&mut HcsContainer)) {
        let object = self.api.get("web").unwrap();
        let mut object: HcsContainer = serde_json::from_value(object).unwrap();
        change(&mut object);
        *object.metadata.generation.get_or_insert(0) += 1;
        self.applies(&object);
    }

    /// Somebody deletes it.
    pub fn deletes(&self) {
        if self.api.get("web").unwrap()["metadata"]["finalizers"].is_null() {
            self.api.remove("web");
            return;
        }
        self.changes(|object| {
            object.metadata.deletion_timestamp = Some(hcs_crds::Time(Timestamp::UNIX_EPOCH));
        });
    }

    /// Its container ends by itself.
    pub fn ends(&self, code: u32) {
        let has = self.runtime.has();
        let runs = |(name, state): &&(String, &str)| name != FOREIGN && *state == "running";
        let (name, _) = has.iter().find(runs).unwrap();
        let attempt = name.rsplit('-').next().unwrap().parse().unwrap();
        let id = crate::agent::record::container_id(&uid("web"), attempt);
        self.runtime.ends(&id, code);
    }

    /// The boot in which the records were written is another's.
    pub fn forgets_its_boot(&self) {
        for entry in std::fs::read_dir(self.data().join("records")).unwrap() {
            let path = entry.unwrap().path();
            let mut record: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            record["boot_id"] = "another".into();
            std::fs::write(path, record.to_string()).unwrap();
        }
    }
}
