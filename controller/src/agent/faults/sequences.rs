//! Random sequences of spec changes on fakes, under paused time (`tests/sequences/` says what they are, and what has to be
//! equal in the end).
//!
//! Two objects are in one world: `web` goes through a sequence of specs, `api` is made with the last of them.

use std::path::Path;
use std::time::Duration;

use hcs_crds::{HcsContainer, HcsContainerSpec};
use hcs_sequences::{Kind, Pace, Places, Sequence};
use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestRunner};
use tokio::time::Instant;

use super::compare::place;
use crate::agent::fixtures::{Node, Shape, Whole, object, pass, uid};
use crate::agent::validate;

/// With nothing done for so long, an agent has come to rest.
const REST: Duration = Duration::from_secs(65);
/// By then it rests.
const PATIENCE: Duration = Duration::from_mins(20);
/// As long as one likes: it costs nothing.
const PACE: Pace = Pace {
    backoff: 40,
    grace: 60,
    waits: &[0, 0, 1, 11, 130, 400],
};

/// A fresh object, and what its spec names.
fn fresh(kind: Kind, name: &str, dir: &Path) -> (HcsContainer, Places) {
    let object = object(name, dir).with(|spec| kind.shape(spec));
    let config = object.spec.bundle.config.clone().unwrap();
    let folder = dir.join("bundles").join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let text = serde_json::to_vec(&config).unwrap();
    std::fs::write(folder.join("config.json"), text).unwrap();
    let places = Places {
        config,
        folder: folder.to_string_lossy().into_owned(),
        cache: dir.join("caches/cache.vhdx").to_string_lossy().into_owned(),
    };
    (object, places)
}

struct Play {
    agent: Whole,
    dir: std::path::PathBuf,
}

impl Play {
    fn applies(&self, object: &HcsContainer) {
        self.agent.api.put(serde_json::to_value(object).unwrap());
    }

    /// Puts a spec in the place of `web`'s.
    fn changes(&self, change: impl FnOnce(&mut HcsContainerSpec)) -> HcsContainer {
        let web = self.agent.api.get("web").unwrap();
        let mut web: HcsContainer = serde_json::from_value(web).unwrap();
        change(&mut web.spec);
        *web.metadata.generation.get_or_insert(0) += 1;
        self.applies(&web);
        web
    }

    /// Plays the specs; says which one is the last.
    async fn through(&self, sequence: &Sequence) -> HcsContainerSpec {
        let (fresh, places) = fresh(sequence.kind, "web", &self.dir);
        self.applies(&fresh);
        let mut good = fresh.spec;
        for (change, wait) in &sequence.changes {
            pass(f64::from(*wait) / 10.0).await;
            let web = self.changes(|spec| change.make(spec, &places));
            if validate::check(&web).is_ok() {
                good = web.spec;
            }
        }
        let last = hcs_sequences::last(good);
        self.changes(|spec| spec.clone_from(&last));
        last
    }

    /// Waits until nothing is done any more.
    async fn rests(&self) {
        let begun = Instant::now();
        let (mut seen, mut since) = (self.agent.api.changes(), Instant::now());
        while since.elapsed() < REST {
            pass(5.0).await;
            let now = self.agent.api.changes();
            if now != seen || !self.agent.runtime.calls().is_empty() {
                (seen, since) = (now, Instant::now());
            }
            assert!(begun.elapsed() < PATIENCE, "no rest");
        }
    }

    /// What an object has come to, without its past.
    fn view(&self, name: &str) -> String {
        let status = &self.agent.api.get(name).unwrap()["status"];
        let has = self.agent.runtime.has().into_iter();
        let own = has.filter(|(id, state)| id.starts_with(name) && *state != "stopped");
        let with_config = |(id, state): (String, &str)| {
            let id = id.replace(name, &format!("hc-{}", uid(name)));
            let config = self.dir.join("data/bundles").join(id).join("config.json");
            let config = std::fs::read(config).unwrap_or_default();
            let config = serde_json::from_slice(&config).unwrap_or_default();
            (state.to_owned(), config)
        };
        let live: Vec<_> = own.map(with_config).collect();
        hcs_sequences::view(status, &live, name, &uid(name))
    }
}

async fn play(sequence: &Sequence) -> Result<(), TestCaseError> {
    let node = Node::unlisted_in(place());
    let dir = node.ctx.data.parent().unwrap().to_owned();
    std::fs::create_dir_all(dir.join("caches")).unwrap();
    std::fs::write(dir.join("caches/cache.vhdx"), "cache").unwrap();
    if sequence.obeys {
        node.runtime.obeys();
    }
    let play = Play {
        agent: Whole::start(node).await,
        dir,
    };
    let last = play.through(sequence).await;
    let (mut api, places) = fresh(sequence.kind, "api", &play.dir);
    api.spec = hcs_sequences::moved(last, &places);
    play.applies(&api);
    play.rests().await;
    let (web, api) = (play.view("web"), play.view("api"));
    prop_assert_eq!(web, api);
    Ok(())
}

/// A number from the environment.
fn number(name: &str, otherwise: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.map_or(otherwise, |text| text.parse().unwrap())
}

#[test]
#[cfg_attr(windows, ignore = "under wine a file costs too much")]
fn an_object_with_a_past_is_in_the_end_like_a_fresh_one_of_its_last_spec() {
    let (cases, seed) = (number("HCS_SEQUENCES", 1000), number("HCS_SEED", 1));
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    println!("{cases} sequences on {threads} threads: HCS_SEQUENCES={cases} HCS_SEED={seed}");
    let run = |thread: u64| {
        let config = ProptestConfig {
            cases: u32::try_from(cases.div_ceil(threads)).unwrap(),
            failure_persistence: None,
            rng_seed: RngSeed::Fixed(seed * 1000 + thread),
            ..ProptestConfig::default()
        };
        TestRunner::new(config).run(&hcs_sequences::sequence(PACE), |sequence| {
            let mut tokio = tokio::runtime::Builder::new_current_thread();
            let tokio = tokio.enable_all().start_paused(true).build().unwrap();
            tokio.block_on(play(&sequence))
        })
    };
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|n| scope.spawn(move || run(n))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    for result in results {
        if let Err(error) = result {
            panic!("HCS_SEED={seed}: {error}");
        }
    }
}
