//! Random sequences of spec changes on real parts (`tests/sequences/` says what they are, and what has to be equal in the
//! end).
//!
//! Some are played side by side on one node: of each, `web-N` goes through the sequence, and `api-N` is made with the last
//! spec of it. Then all has to come to rest together.

use std::time::Duration;

use futures::future::try_join_all;
use hcs_crds::{HcsContainer, ReclaimPolicy};
use hcs_sequences::{Pace, Places, Sequence, sequence};
use hcs_tests::live::observed;
use hcs_tests::{Container, ControlPlane, Error, Node, NodeOptions, PATIENCE, Result, Scenario};
use kube::ResourceExt as _;
use kube::api::{ListParams, Patch, PatchParams};
use proptest::strategy::{Strategy as _, ValueTree};
use proptest::test_runner::{Config, RngSeed, TestRunner};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::snapshot::difference;

/// What takes time takes little: it is real here.
const PACE: Pace = Pace {
    backoff: 4,
    grace: 4,
    waits: &[0, 0, 1, 5, 12, 25],
};
/// How often the node is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// So long nothing must be called or be written: longer than any backoff of these sequences.
const REST: Duration = Duration::from_secs(5);
/// Sequences on one node.
const AT_ONCE: usize = 10;
/// How many simpler forms of a sequence that fails are tried.
const SIMPLER: usize = 24;
/// A run of all tests plays so many.
const FEW: usize = 4;
/// One that was asked for plays so many, unless it is told otherwise.
const MANY: usize = 100;

/// What sequences are played on.
struct World {
    scenario: Scenario,
    node: Node,
}

impl World {
    async fn start() -> Result<Self> {
        let scenario = Scenario::named("sequence").await?;
        let options = NodeOptions {
            proxied: true,
            ..NodeOptions::default()
        };
        let node = scenario.node_with(options).await?;
        std::fs::write(node.dir().join("cache/cache.vhdx"), "cache").unwrap();
        Ok(Self { scenario, node })
    }

    /// A fresh object, and what its spec names.
    fn fresh(&self, sequence: &Sequence, name: &str) -> Result<(HcsContainer, Places)> {
        let dir = self.node.dir();
        let stays: &[&str] = if sequence.obeys {
            &[]
        } else {
            &["--ignore-term"]
        };
        let container = Container::named(name).on(&self.node);
        let container = container.working(stays.iter().copied());
        let container = container.with(|spec| sequence.kind.shape(spec));
        let mut object = container.build(self.scenario.namespace())?;
        let [base, own] = ["base", name].map(|layer| dir.join("layers").join(layer));
        let folder = dir.join("bundles").join(name);
        std::fs::create_dir_all(&own).unwrap();
        std::fs::create_dir_all(&folder).unwrap();
        let config = object.spec.bundle.config.as_mut().unwrap();
        config.update(|config| config["windows"]["layerFolders"] = json!([base, own]));
        let text = serde_json::to_vec(config).unwrap();
        std::fs::write(folder.join("config.json"), text).unwrap();
        let places = Places {
            config: config.clone(),
            folder: folder.display().to_string(),
            cache: dir.join("cache/cache.vhdx").display().to_string(),
        };
        Ok((object, places))
    }

    /// Applies an object as GitOps does; says whether it was taken.
    async fn applies(&self, object: &HcsContainer) -> Result<bool> {
        let api = self.scenario.containers();
        let name = object.name_any();
        let apply = PatchParams::apply("sequences").force();
        match api.patch(&name, &apply, &Patch::Apply(object)).await {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(refusal)) if refusal.code == 422 => Ok(false),
            Err(error) => Err(Error::api(format!("apply {name}"))(error)),
        }
    }

    /// Plays a sequence, and makes an object with the last spec of it.
    async fn through(&self, number: usize, sequence: &Sequence) -> Result {
        let (mut web, places) = self.fresh(sequence, &format!("web-{number}"))?;
        self.applies(&web).await?;
        for (change, wait) in &sequence.changes {
            sleep(Duration::from_millis(u64::from(*wait) * 100)).await;
            let mut next = web.clone();
            change.make(&mut next.spec, &places);
            if self.applies(&next).await? {
                web = next;
            }
        }
        web.spec = hcs_sequences::last(web.spec);
        if let Some(scratch) = &mut web.spec.scratch {
            // This runhcs has no such flag: what asks for it is tried for ever, and never comes true.
            scratch.use_virtual_memory = false;
            // So that nothing is to be left when all are deleted.
            scratch.reclaim_policy = ReclaimPolicy::Delete;
        }
        let (mut api, places) = self.fresh(sequence, &format!("api-{number}"))?;
        api.spec = hcs_sequences::moved(web.spec.clone(), &places);
        let taken = [self.applies(&web).await?, self.applies(&api).await?];
        assert_eq!(taken, [true; 2], "the last spec is refused: {sequence:?}");
        Ok(())
    }

    /// Waits until the agent does nothing any more but look.
    async fn rests(&self) -> Result<Vec<HcsContainer>> {
        let begun = Instant::now();
        let (mut seen, mut since) = (None, begun);
        loop {
            let api = self.scenario.containers();
            let objects = api.list(&ListParams::default()).await;
            let objects = objects.map_err(Error::api("list the objects"))?.items;
            let calls = self.node.calls()?;
            let commands = calls.iter().filter(|verb| *verb != "list").count();
            let effects = Some((commands, self.node.proxy().writes().len()));
            if effects != seen {
                (seen, since) = (effects, Instant::now());
            }
            if objects.iter().all(observed) && since.elapsed() > REST {
                return Ok(objects);
            }
            if begun.elapsed() > PATIENCE {
                return Err(Error::Unexpected {
                    what: format!("at rest, not {effects:?}"),
                    evidence: self.scenario.evidence(),
                });
            }
            sleep(LOOK).await;
        }
    }

    /// What an object has come to, without its past.
    fn view(&self, objects: &[HcsContainer], name: &str) -> String {
        let object = objects.iter().find(|object| object.name_any() == name);
        let object = object.unwrap();
        let uid = object.uid().unwrap();
        let containers = self.node.sim().containers().unwrap();
        let of_object = format!("hc-{uid}-");
        let alive = containers.into_iter().filter(|container| {
            container.id.starts_with(&of_object) && container.status != "stopped"
        });
        let bundles = self.node.agent().data_dir().join("bundles");
        let with_config = alive.map(|container| {
            let config = std::fs::read(bundles.join(&container.id).join("config.json"));
            let config = serde_json::from_slice(&config.unwrap_or_default());
            (container.status, config.unwrap_or_default())
        });
        let live: Vec<_> = with_config.collect();
        let status = serde_json::to_value(&object.status).unwrap();
        hcs_sequences::view(&status, &live, name, &uid)
    }

    /// What has come of each sequence that must not have.
    async fn play(sequences: &[Sequence]) -> Result<Vec<Option<String>>> {
        let world = Self::start().await?;
        let numbered = sequences.iter().enumerate();
        try_join_all(numbered.map(|(number, sequence)| world.through(number, sequence))).await?;
        let objects = world.rests().await?;
        let found = (0..sequences.len()).map(|number| {
            let [web, api] =
                ["web", "api"].map(|name| world.view(&objects, &format!("{name}-{number}")));
            (web != api).then(|| difference(&api, &web).join("\n  "))
        });
        let found = found.collect();
        world.scenario.leaves_nothing_on(&world.node).await?;
        let overlaps = world.node.sim().overlaps().unwrap();
        assert_eq!(overlaps, None, "more than one live container");
        Ok(found)
    }
}

/// The simplest form of a sequence that fails, of those that can be tried.
async fn simplest(mut tree: impl ValueTree<Value = Sequence>) -> Result<Sequence> {
    let mut simplest = tree.current();
    let mut goes_on = tree.simplify();
    for _ in 0..SIMPLER {
        if !goes_on {
            break;
        }
        let sequence = tree.current();
        let fails = World::play(std::slice::from_ref(&sequence)).await?[0].is_some();
        goes_on = if fails {
            simplest = sequence;
            tree.simplify()
        } else {
            tree.complicate()
        };
    }
    Ok(simplest)
}

/// A number from the environment.
fn number<T: std::str::FromStr>(name: &str, otherwise: T) -> T {
    let number = std::env::var(name).ok().and_then(|text| text.parse().ok());
    number.unwrap_or(otherwise)
}

async fn play(cases: usize) -> Result {
    ControlPlane::shared().await?;
    let seed = number("HCS_SEED", 1);
    println!("{cases} sequences on real parts: HCS_SEQUENCES={cases} HCS_SEED={seed}");
    let mut runner = TestRunner::new(Config {
        rng_seed: RngSeed::Fixed(seed),
        ..Config::default()
    });
    let trees = (0..cases).map(|_| sequence(PACE).new_tree(&mut runner).unwrap());
    let mut trees: Vec<_> = trees.collect();
    let mut played = 0;
    while !trees.is_empty() {
        let some: Vec<_> = trees.drain(..trees.len().min(AT_ONCE)).collect();
        let sequences: Vec<_> = some.iter().map(ValueTree::current).collect();
        let begun = Instant::now();
        let found = World::play(&sequences).await?;
        for (tree, found) in some.into_iter().zip(found) {
            if let Some(found) = found {
                let sequence = tree.current();
                println!("HCS_SEED={seed}: {sequence:#?}\n  {found}");
                let simplest = simplest(tree).await?;
                panic!("HCS_SEED={seed}: {simplest:#?}\n  {found}");
            }
        }
        played += sequences.len();
        println!(
            "{played} sequences; the last {} took {:?}",
            sequences.len(),
            begun.elapsed()
        );
    }
    println!("{played} of {cases} sequences, 0 differences");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_with_a_past_is_in_the_end_like_a_fresh_one_of_its_last_spec() -> Result {
    play(FEW).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes long: cargo xtask test --only sequences"]
async fn an_object_with_any_past_is_in_the_end_like_a_fresh_one_of_its_last_spec() -> Result {
    play(number("HCS_SEQUENCES", MANY)).await
}
