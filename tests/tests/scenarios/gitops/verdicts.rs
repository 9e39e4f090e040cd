//! kstatus, Flux' fork of it and Argo CD's health check on objects as the API server has them.

use std::sync::{Arc, Mutex};

use futures::StreamExt as _;
use hcs_tests::gitops::{Verdict, verdicts};
use hcs_tests::{Error, Live, Node, NodeOptions, Result, Scenario};
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, WatchEvent, WatchParams};
use kube::{Api, ResourceExt as _};
use serde_json::Value;

use super::situations::{self as s, Situation};
use super::{argocd, pages};
use crate::simulated::Gate;

/// Nodes that situations were brought about on.
struct Nodes {
    sound: Node,
    held: Node,
    hung: Node,
    away: Node,
}

impl Nodes {
    async fn start(scenario: &Scenario) -> Result<Self> {
        let impatient = || NodeOptions {
            args: vec!["--runhcs-timeout".to_owned(), "4s".to_owned()],
            ..NodeOptions::default()
        };
        let (sound, held, hung, away) = tokio::try_join!(
            scenario.node_with(impatient()),
            // A call that is held here is not to be killed at its deadline.
            scenario.node(),
            scenario.node_with(impatient()),
            scenario.node(),
        )?;
        Ok(Self {
            sound,
            held,
            hung,
            away,
        })
    }

    /// Brings all situations about, side by side.
    async fn situations(&self, scenario: &Scenario) -> Result<Vec<Situation>> {
        let (sound, held) = (&self.sound, &self.held);
        let ways = [
            s::settled(sound),
            s::settled_again(sound),
            s::stalled(sound)?,
        ];
        let ways = ways.into_iter().flatten().chain(s::failing(sound));
        let on_sound = ways.map(|way| way.go(scenario, sound));
        let ways = s::in_a_call(held).into_iter().chain(s::waiting(held));
        let on_held = ways.map(|way| way.go(scenario, held));
        let (mut situations, more, hung, unseen) = tokio::try_join!(
            futures::future::try_join_all(on_sound),
            futures::future::try_join_all(on_held),
            s::runtime_hung(scenario, &self.hung),
            s::unseen(scenario, &self.away)
        )?;
        Gate::on(&self.held).open();
        situations.extend(more);
        situations.push(hung);
        situations.extend(unseen);
        let pages = pages::situations(scenario, sound, &self.hung, &self.away);
        situations.extend(pages.await?);
        Ok(situations)
    }

    /// The text without what is another one each time.
    fn plain(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for node in [&self.sound, &self.held, &self.hung, &self.away] {
            let dir = node.dir().display().to_string();
            text = text.replace(&dir, "/srv/node");
            text = text.replace(&node.path(node.workload()), "/srv/node/workload");
            text = text.replace(node.name(), "win-1");
        }
        text
    }
}

/// Each state that the API server had of the scenario's objects.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<Value>>>);

impl Seen {
    /// Looks on from now on, for as long as it is polled.
    async fn look(&self, scenario: &Scenario) -> Result {
        let kind = GroupVersionKind::gvk("hcs-operator.dev", "v1alpha1", "HcsContainer");
        let resource = ApiResource::from_gvk(&kind);
        let api: Api<DynamicObject> =
            Api::namespaced_with(scenario.client(), scenario.namespace(), &resource);
        let failed = || Error::api("watch the containers");
        // The API server ends a watch when its time is up; the next one goes on where it ended.
        let mut version = "0".to_owned();
        loop {
            let events = api.watch(&WatchParams::default(), &version).await;
            let mut events = std::pin::pin!(events.map_err(failed())?);
            while let Some(event) = events.next().await {
                match event.map_err(failed())? {
                    WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                        version = object.resource_version().unwrap_or_default();
                        let object = serde_json::to_value(object).unwrap();
                        self.0.lock().unwrap().push(object);
                    }
                    WatchEvent::Deleted(object) => {
                        version = object.resource_version().unwrap_or_default();
                    }
                    WatchEvent::Bookmark(mark) => version = mark.metadata.resource_version,
                    WatchEvent::Error(error) => {
                        return Err(Error::Unexpected {
                            what: "the watch goes on".to_owned(),
                            evidence: error.to_string(),
                        });
                    }
                }
            }
        }
    }

    /// How many states were seen, and those that were judged to be as they should be.
    fn current(&self) -> Result<(usize, Vec<(Value, Verdict)>)> {
        let seen = self.0.lock().unwrap().clone();
        let all = seen.len();
        let verdicts = verdicts(&seen)?;
        let both = seen.into_iter().zip(verdicts);
        let good = |verdict: &Verdict| {
            let said = [&verdict.kstatus, &verdict.flux, &verdict.argo];
            let words = ["Current", "Current", "Healthy"];
            said.iter()
                .zip(words)
                .any(|(said, word)| said.status == word)
        };
        Ok((all, both.filter(|(_, verdict)| good(verdict)).collect()))
    }
}

/// Whether what the agent says to have seen is what the spec asks for.
fn is_as_asked(object: &Value) -> bool {
    let (spec, status) = (&object["spec"], &object["status"]);
    let phase = status["phase"].as_str().unwrap_or_default();
    let ended_well = phase == "Stopped" && status["lastTermination"]["exitCode"] == 0;
    let asked = spec["desiredState"].as_str().unwrap_or_default();
    let seen = status["observedGeneration"] == object["metadata"]["generation"];
    let reached = match asked {
        "Running" | "Paused" => phase == asked || ended_well,
        _ => phase == asked,
    };
    seen && reached && object["metadata"]["deletionTimestamp"].is_null()
}

#[tokio::test]
async fn each_situation_is_judged_rightly_and_no_state_on_the_way_is_falsely_current() -> Result {
    let scenario = Scenario::named("verdicts").await?;
    let seen = Seen::default();
    let nodes = Box::pin(Nodes::start(&scenario)).await?;
    let situations = tokio::select! {
        situations = nodes.situations(&scenario) => situations?,
        Err(error) = seen.look(&scenario) => return Err(error),
    };
    let objects: Vec<_> = situations.iter().map(|s| s.object.clone()).collect();
    let mut wrong = Vec::new();
    for (situation, verdict) in situations.iter().zip(verdicts(&objects)?) {
        let words = (
            verdict.kstatus.status.as_str(),
            verdict.argo.status.as_str(),
        );
        let (name, why) = (situation.name, nodes.plain(&verdict.argo.message));
        println!("{name:28} {:12} {:12} {why}", words.0, words.1);
        if words != situation.expected.words() || verdict.flux.status != words.0 {
            wrong.push(format!("{name}: {verdict:?}"));
        }
    }
    assert_eq!(wrong, [""; 0]);
    let (all, current) = seen.current()?;
    assert!(current.len() > situations.len() / 3, "{}", current.len());
    let falsely = current.iter().filter(|(object, _)| !is_as_asked(object));
    let falsely: Vec<_> = falsely.collect();
    println!(
        "{} situations judged by three tools, {} wrongly; of {all} states on the way {} Current, {} falsely",
        situations.len(),
        wrong.len(),
        current.len(),
        falsely.len(),
    );
    assert!(falsely.is_empty(), "falsely Current: {falsely:#?}");
    Ok(())
}

/// Fails unless all tools take this object for one that is on its way, neither well nor failed.
pub async fn is_on_its_way(scenario: &Scenario, object: &Live) -> Result {
    let said = verdicts(&[s::raw(scenario, object).await?])?.remove(0);
    let words = (said.kstatus.status.as_str(), said.argo.status.as_str());
    assert_eq!(words, s::Expected::Moving.words(), "{said:?}");
    assert_eq!(said.flux.status, said.kstatus.status, "{said:?}");
    Ok(())
}

/// The situations that are testdata: each way through the health check, and what users see most.
const TESTDATA: [&str; 15] = [
    "completed",
    "crash-looping",
    "creating",
    "failed",
    "fresh",
    "given-up",
    "just-deleted",
    "observed-otherwise",
    "outside-of-roots",
    "paused",
    "running",
    "runtime-hung",
    "spec-just-changed",
    "stopped",
    "stopping",
];

#[tokio::test]
#[ignore = "writes the testdata of Argo CD's health check: for when the check or the status has changed"]
async fn the_testdata_of_the_health_check_is_written() -> Result {
    let scenario = Scenario::named("testdata").await?;
    let nodes = Box::pin(Nodes::start(&scenario)).await?;
    let situations = nodes.situations(&scenario).await?;
    let plain = |situation: &Situation| {
        let text = nodes.plain(&situation.object.to_string());
        let text = text.replace(scenario.namespace(), "shop");
        (situation.name, serde_json::from_str(&text).unwrap())
    };
    for kind in argocd::KINDS {
        let shown = situations.iter().filter(|situation| {
            situation.object["kind"] == kind
                && (kind == "HcsNode" || TESTDATA.contains(&situation.name))
        });
        argocd::write_testdata(kind, shown.map(plain).collect())?;
    }
    Ok(())
}
