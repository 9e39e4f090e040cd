//! What no node can say of itself: that its agent is not heard of, or that there is no such node.
//!
//! Several controllers may run; one leads and acts. It goes round the nodes every other second,
//! and does four things, each only as far as it is sure: it says of objects and of the node's
//! page that nothing is heard of the agent; it lets go of objects that are being deleted and whose
//! node is gone for good; it removes page and Lease of such a node; and it says of new objects that
//! nobody comes. An agent's own words replace these as soon as it writes again.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _};
use hcs_crds::{Condition, FINALIZER, HcsNode};
use jiff::Timestamp;
use kube::{Client, ResourceExt as _};
use tokio::time::Instant;

use crate::kube_client::ApiError;
use crate::metrics::Metrics;

mod act;
pub mod leader;
mod standing;
mod view;
mod word;

use act::Hands;
use leader::Elector;
use standing::{Standing, Standings};
use view::{Container, View};
use word::{Spoken, Word};

/// Time between two rounds.
const ROUND: Duration = Duration::from_secs(2);
/// Requests at once.
const PARALLEL: usize = 8;

/// How the controller works.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The operator's namespace.
    pub namespace: String,
    /// How long a new object may wait for an agent before it is said that none comes.
    pub patience: Duration,
    /// How long a Node must be absent to be gone for good.
    pub node_gone_after: Duration,
}

/// Leads whenever it is elected, until dropped.
pub async fn run(client: Client, settings: &Settings, elector: &Elector, metrics: &Metrics) {
    loop {
        elector.elected().await;
        metrics.leads(true);
        tokio::select! {
            () = lead(client.clone(), settings, metrics) => {}
            // The other future is dropped with all that it was about to do.
            () = elector.deposed() => {}
        }
        metrics.leads(false);
    }
}

async fn lead(client: Client, settings: &Settings, metrics: &Metrics) {
    let (view, watches) = View::begin(&client, &settings.namespace);
    let mut leader = Leader {
        hands: Hands::new(client, &settings.namespace),
        standings: Standings::new(settings.node_gone_after),
        spoken: Spoken::default(),
        settings,
        metrics,
    };
    let rounds = async {
        if view.is_complete().await.is_err() {
            return;
        }
        loop {
            leader.round(&view).await;
            tokio::time::sleep(ROUND).await;
        }
    };
    tokio::join!(watches, rounds);
}

struct Leader<'a> {
    hands: Hands,
    standings: Standings,
    spoken: Spoken,
    settings: &'a Settings,
    metrics: &'a Metrics,
}

/// What is to be done.
enum Task {
    Say(Arc<Container>, Word, Option<String>),
    SayOfPage(Arc<HcsNode>, Word, Option<String>),
    Release(Arc<Container>),
    Forget(String, Option<Arc<HcsNode>>),
}

impl Task {
    fn label(&self) -> &'static str {
        match self {
            Self::Say(..) => "say",
            Self::SayOfPage(..) => "say_of_node",
            Self::Release(_) => "release",
            Self::Forget(..) => "forget",
        }
    }
}

impl Leader<'_> {
    async fn round(&mut self, view: &View) {
        let looks = view.looks();
        let now = Instant::now();
        for (node, look) in &looks {
            self.standings.observe(node, look, now);
        }
        let names: HashSet<String> = looks.into_keys().collect();
        self.standings.keep_only(&names);
        self.look_closer().await;
        let (containers, pages) = (view.containers(), view.pages());
        self.forget_what_is_gone(&containers, &pages);
        let tasks = self.tasks(&names, &containers, &pages);
        let hands = &self.hands;
        let done: Vec<_> = futures::stream::iter(tasks)
            .map(|task| perform(hands, task))
            .buffer_unordered(PARALLEL)
            .collect()
            .await;
        for (task, result) in done {
            self.note(&task, result);
        }
    }

    /// Asks the API server itself before a silence or an absence is believed.
    async fn look_closer(&mut self) {
        let hands = &self.hands;
        let wanted = self.standings.to_look_at(Instant::now());
        let looks: Vec<_> = futures::stream::iter(wanted)
            .map(|node| async move {
                let asked = Instant::now();
                let look = hands.look(&node).await;
                (node, look, asked)
            })
            .buffer_unordered(PARALLEL)
            .collect()
            .await;
        for (node, look, asked) in looks {
            match look {
                Ok(look) => self.standings.looked(&node, &look, asked),
                Err(error) => tracing::warn!(node, %error, "the node is looked at again"),
            }
        }
    }

    fn forget_what_is_gone(
        &mut self,
        containers: &BTreeMap<String, Vec<Arc<Container>>>,
        pages: &HashMap<String, Arc<HcsNode>>,
    ) {
        let containers = containers.values().flatten().filter_map(|o| o.uid());
        let pages = pages.values().filter_map(|page| page.uid());
        let there: HashSet<String> = containers.chain(pages).collect();
        self.spoken.keep_only(|uid| there.contains(uid));
    }

    fn tasks(
        &self,
        names: &HashSet<String>,
        containers: &BTreeMap<String, Vec<Arc<Container>>>,
        pages: &HashMap<String, Arc<HcsNode>>,
    ) -> Vec<Task> {
        let (now, day) = (Instant::now(), Timestamp::now());
        let mut tasks = Vec::new();
        let (mut silent, mut gone) = (0, 0);
        for node in names {
            let Some(standing) = self.standings.of(node, now) else {
                continue;
            };
            let page = pages.get(node);
            let had_agent = standing.had_agent() || page.is_some();
            silent += u32::from(standing.silent && had_agent);
            gone += u32::from(standing.gone);
            let objects = containers.get(node).map_or(&[][..], |objects| objects);
            tasks.extend(self.about_objects(node, &standing, page, objects, day));
            if standing.gone && had_agent {
                tasks.push(Task::Forget(node.clone(), page.cloned()));
            } else if let Some(page) = page {
                let word = word::of_known(node, &standing);
                let word =
                    word.filter(|word| self.is_news(page.uid(), word, conditions(page), &standing));
                tasks.extend(
                    word.map(|word| Task::SayOfPage(Arc::clone(page), word, standing.renewed)),
                );
            }
        }
        self.metrics.nodes(silent, gone);
        tasks
    }

    fn about_objects<'o>(
        &'o self,
        node: &'o str,
        standing: &'o Standing,
        page: Option<&Arc<HcsNode>>,
        objects: &'o [Arc<Container>],
        day: Timestamp,
    ) -> impl Iterator<Item = Task> + use<'o> {
        let spoke = page.is_some_and(|page| word::has_spoken_itself(conditions(page)));
        objects.iter().filter_map(move |object| {
            let waits = object.metadata.deletion_timestamp.is_some()
                && object.finalizers().iter().any(|f| f == FINALIZER);
            if standing.gone && waits {
                return Some(Task::Release(Arc::clone(object)));
            }
            let status = object.status.as_ref();
            let taken_up = status.and_then(|status| status.observed_generation);
            let word = if taken_up.is_some_and(|generation| generation >= 0) {
                word::of_known(node, standing).filter(|_| !spoke)
            } else {
                word::of_new(node, standing, age(object, day), self.settings.patience)
            }?;
            let before = status.map_or(&[][..], |status| &status.conditions);
            let news = self.is_news(object.uid(), &word, before, standing);
            news.then(|| Task::Say(Arc::clone(object), word, standing.renewed.clone()))
        })
    }

    fn is_news(
        &self,
        uid: Option<String>,
        word: &Word,
        before: &[Condition],
        standing: &Standing,
    ) -> bool {
        let uid = uid.unwrap_or_default();
        let news = self.spoken.is_news(&uid, word, standing.renewed.as_ref());
        news && !word.is_in(before)
    }

    fn note(&mut self, task: &Task, result: Result<(), ApiError>) {
        self.metrics.controller_acted(task.label(), result.is_ok());
        match result {
            Ok(()) => {}
            // It is looked at anew in the next round.
            Err(error) if error.is_conflict() || error.is_gone() => return,
            Err(error) => {
                tracing::warn!(task = task.label(), %error, "tried again");
                return;
            }
        }
        let (uid, word, renewed) = match task {
            Task::Say(object, word, renewed) => (object.uid(), word, renewed),
            Task::SayOfPage(page, word, renewed) => (page.uid(), word, renewed),
            Task::Release(_) | Task::Forget(..) => return,
        };
        self.spoken
            .note(&uid.unwrap_or_default(), word, renewed.as_ref());
    }
}

async fn perform(hands: &Hands, task: Task) -> (Task, Result<(), ApiError>) {
    let result = match &task {
        Task::Say(object, word, _) => hands.say(object, word).boxed(),
        Task::SayOfPage(page, word, _) => hands.say_of_page(page, word).boxed(),
        Task::Release(object) => hands.release(object).boxed(),
        Task::Forget(node, page) => hands.forget(node, page.as_deref()).boxed(),
    };
    let result = result.await;
    (task, result)
}

fn conditions(page: &HcsNode) -> &[Condition] {
    page.status
        .as_ref()
        .map_or(&[], |status| &status.conditions)
}

fn age(object: &Container, day: Timestamp) -> Duration {
    let created = object.creation_timestamp().map_or(day, |time| time.0);
    Duration::try_from(day.duration_since(created)).unwrap_or_default()
}
