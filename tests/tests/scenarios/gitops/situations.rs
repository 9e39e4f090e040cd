//! Situations that an object can be in, brought about with a real agent, and what GitOps tools should make of each.

use hcs_crds::conditions::{READY, RECONCILING, RESTART_REQUIRED, RUNTIME_RESPONSIVE, STALLED};
use hcs_crds::{DesiredState, Phase, Reason, RestartPolicy, Scratch};
use hcs_tests::{Container, Live, Node, Result, Scenario};
use runhcs_sim::{Fault, Point};
use serde_json::{Value, json};

use crate::simulated::{Gate, fails, hangs};

mod stalled;

pub use stalled::stalled;

/// The verdicts of kstatus and of Argo CD that belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// As it should be: `Current`, `Healthy`.
    Good,
    /// On its way: `InProgress`, `Progressing`.
    Moving,
    /// Someone has to do something: `Failed`, `Degraded`.
    Bad,
    /// Going: `Terminating`, `Progressing`.
    Going,
    /// Not as it should be, and nobody is at work on it: `InProgress`, `Suspended`.
    Resting,
}

impl Expected {
    /// In the words of kstatus and of Argo CD.
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Good => ("Current", "Healthy"),
            Self::Moving => ("InProgress", "Progressing"),
            Self::Bad => ("Failed", "Degraded"),
            Self::Going => ("Terminating", "Progressing"),
            Self::Resting => ("InProgress", "Suspended"),
        }
    }
}

/// An object as the API server had it.
#[derive(Debug)]
pub struct Situation {
    /// In short words, with dashes.
    pub name: &'static str,
    /// What should be made of it.
    pub expected: Expected,
    /// The object.
    pub object: Value,
}

/// What is done to an object until it is in its situation.
#[derive(Clone)]
enum Step {
    /// Wait until it is in this phase, and that is seen.
    Is(Phase),
    /// Change its spec.
    Change(Value),
    /// Its calls of a verb wait from now on.
    Hold(&'static str),
    /// Its calls of a verb do this from now on.
    Fault(Fault),
    /// Delete it.
    Delete,
}

/// A way into a situation.
pub struct Way {
    name: &'static str,
    container: Container,
    steps: Vec<Step>,
    shown_by: (&'static str, &'static str, Reason),
    expected: Expected,
}

impl Way {
    /// One whose object says at its end that this condition holds, or not, for this reason.
    fn of(container: Container, name: &'static str, expected: Expected, reason: Reason) -> Self {
        let shown_by = match expected {
            Expected::Good => (READY, "True", reason),
            Expected::Bad => (STALLED, "True", reason),
            Expected::Moving => (RECONCILING, "True", reason),
            Expected::Going | Expected::Resting => (READY, "False", reason),
        };
        Self {
            name,
            container: container.with_name(name),
            steps: Vec::new(),
            shown_by,
            expected,
        }
    }

    fn after(mut self, steps: impl IntoIterator<Item = Step>) -> Self {
        self.steps.extend(steps);
        self
    }

    fn shown_by(mut self, type_: &'static str, status: &'static str, reason: Reason) -> Self {
        self.shown_by = (type_, status, reason);
        self
    }

    /// Brings the object about.
    pub async fn go(self, scenario: &Scenario, node: &Node) -> Result<Situation> {
        let object = scenario.create(self.container).await?;
        for step in self.steps {
            match step {
                Step::Is(phase) => {
                    object.becomes(phase).await?;
                }
                Step::Change(spec) => object.patch_spec(spec).await?,
                Step::Hold(verb) => {
                    let gate = Gate::on(node).holds(node, verb, Point::BeforeEffect);
                    node.sim()
                        .inject(gate.of_id(object.container_ids()))
                        .unwrap();
                }
                Step::Fault(fault) => {
                    node.sim()
                        .inject(fault.of_id(object.container_ids()))
                        .unwrap();
                }
                Step::Delete => object.delete().await?,
            }
        }
        let (type_, status, reason) = self.shown_by;
        object.says(type_, status, reason).await?;
        Ok(Situation {
            name: self.name,
            expected: self.expected,
            object: raw(scenario, &object).await?,
        })
    }
}

/// The object as the API server sends it, not as our types read it.
pub async fn raw(scenario: &Scenario, object: &Live) -> Result<Value> {
    let path = format!(
        "/apis/hcs-operator.dev/v1alpha1/namespaces/{}/hcscontainers/{}",
        scenario.namespace(),
        object.name()
    );
    let request = http::Request::get(path).body(Vec::new()).unwrap();
    let answer = scenario.client().request(request).await;
    answer.map_err(hcs_tests::Error::api(format!("read {}", object.name())))
}

fn desired(state: DesiredState) -> Step {
    Step::Change(json!({"desiredState": state}))
}

fn forever(node: &Node) -> Container {
    Container::named("x").on(node).running_for_ever()
}

fn exiting(node: &Node, code: i32) -> Container {
    Container::named("x").on(node).exiting_with(code)
}

/// Those in which nothing more is to be done, as the spec was from the beginning.
pub fn settled(node: &Node) -> Vec<Way> {
    let good = |name, container, reason| Way::of(container, name, Expected::Good, reason);
    let desired = |state| forever(node).desired(state);
    let paused = desired(DesiredState::Paused).hyperv();
    let scratch = Scratch {
        size_gb: 20,
        ..Scratch::default()
    };
    let linux = forever(node).linux_with(scratch);
    let console = forever(node).tty(80, 25);
    vec![
        good("running", forever(node), Reason::Running),
        good("running-with-a-console", console, Reason::Running),
        good("running-linux", linux, Reason::Running),
        good("created", desired(DesiredState::Created), Reason::Created),
        good("paused", paused, Reason::Paused),
        good(
            "never-started",
            desired(DesiredState::Stopped),
            Reason::Stopped,
        ),
        good(
            "never-made",
            desired(DesiredState::Deleted),
            Reason::Deleted,
        ),
        good("completed", exiting(node, 0), Reason::Completed),
    ]
}

/// Those in which nothing more is to be done, after a change of the spec.
pub fn settled_again(node: &Node) -> Vec<Way> {
    let good = |name, container, reason| Way::of(container, name, Expected::Good, reason);
    let runs = Step::Is(Phase::Running);
    let observe = Step::Change(json!({"managementPolicy": "Observe"}));
    let other = Step::Change(json!({"bundle": {"config": {"hostname": "other"}}}));
    let manual = forever(node).updated_manually();
    vec![
        good("stopped", forever(node), Reason::Stopped)
            .after([runs.clone(), desired(DesiredState::Stopped)]),
        good("removed", forever(node), Reason::Deleted)
            .after([runs.clone(), desired(DesiredState::Deleted)]),
        good("resumed", forever(node).hyperv(), Reason::Running).after([
            runs.clone(),
            desired(DesiredState::Paused),
            Step::Is(Phase::Paused),
            desired(DesiredState::Running),
            runs.clone(),
        ]),
        good("observed-as-it-should-be", forever(node), Reason::Observing)
            .after([runs.clone(), observe]),
        // Whoever chose Manual says when; a StatefulSet with OnDelete is Current, too.
        good("update-is-up-to-someone", manual, Reason::Running)
            .after([runs, other])
            .shown_by(RESTART_REQUIRED, "True", Reason::RestartRequired),
    ]
}

/// Those in which the agent is in the middle of a call.
pub fn in_a_call(node: &Node) -> Vec<Way> {
    use DesiredState::{Created, Paused, Running, Stopped};
    let held = |name, from, phase, verb, to, reason| {
        let container = forever(node).hyperv().desired(from);
        let way = Way::of(container, name, Expected::Moving, reason);
        way.after([Step::Is(phase), Step::Hold(verb), desired(to)])
    };
    vec![
        held(
            "creating",
            Stopped,
            Phase::Stopped,
            "create",
            Running,
            Reason::Creating,
        ),
        held(
            "starting",
            Created,
            Phase::Created,
            "start",
            Running,
            Reason::Starting,
        ),
        held(
            "pausing",
            Running,
            Phase::Running,
            "pause",
            Paused,
            Reason::Pausing,
        ),
        held(
            "resuming",
            Paused,
            Phase::Paused,
            "resume",
            Running,
            Reason::Resuming,
        ),
    ]
}

/// Those in which the agent waits for its time.
pub fn waiting(node: &Node) -> Vec<Way> {
    let stubborn = || {
        let container = Container::named("x").on(node).working(["--ignore-term"]);
        container.with(|spec| spec.termination_grace_period_seconds = 3600)
    };
    let looping = exiting(node, 3).with(|spec| {
        spec.restart_policy = RestartPolicy::Always;
        spec.restart.initial_backoff_seconds = 600;
        spec.restart.max_backoff_seconds = 600;
    });
    let stopping = |name, expected, step| {
        let way = Way::of(stubborn(), name, expected, Reason::Stopping);
        way.after([Step::Is(Phase::Running), step])
    };
    let anew = Step::Change(json!({"restartRequest": "1"}));
    let (moving, resting) = (Expected::Moving, Expected::Resting);
    vec![
        stopping("stopping", moving, desired(DesiredState::Stopped)),
        stopping("making-room-for-a-new-spec", moving, anew),
        stopping("deleting", Expected::Going, Step::Delete),
        Way::of(looping, "crash-looping", moving, Reason::WaitingForBackoff),
        Way::of(
            forever(node).observed(),
            "observed-otherwise",
            resting,
            Reason::Observing,
        ),
    ]
}

/// Those in which something fails that may go well the next time.
pub fn failing(node: &Node) -> Vec<Way> {
    use DesiredState::{Created, Paused, Running, Stopped};
    let moving = |name, container, reason| Way::of(container, name, Expected::Moving, reason);
    let hollow = node.dir().join("bundles/hollow");
    std::fs::create_dir_all(&hollow).unwrap();
    let fails = |verb| Step::Fault(fails(verb, Point::BeforeEffect));
    let refused = |name, from, phase, fault, to, reason| {
        let container = forever(node).hyperv().desired(from);
        moving(name, container, reason).after([Step::Is(phase), fault, desired(to)])
    };
    let hung = Step::Fault(hangs("start"));
    let (running, created) = (Phase::Running, Phase::Created);
    vec![
        // It can come: an installer may be at work on the node.
        moving(
            "bundle-missing",
            forever(node).from_bundle(&hollow),
            Reason::BundleMissing,
        ),
        refused(
            "create-fails",
            Stopped,
            Phase::Stopped,
            fails("create"),
            Running,
            Reason::CreateFailed,
        ),
        refused(
            "start-hangs",
            Created,
            created,
            hung,
            Running,
            Reason::RuntimeHung,
        ),
        refused(
            "pause-fails",
            Running,
            running,
            fails("pause"),
            Paused,
            Reason::PauseFailed,
        ),
        moving(
            "resize-fails",
            forever(node).tty(80, 25),
            Reason::ResizeFailed,
        )
        .after([
            Step::Is(running),
            fails("resize-tty"),
            Step::Change(json!({"tty": {"width": 132, "height": 43}})),
        ]),
    ]
}

/// Those of a node whose runhcs does not answer.
pub async fn runtime_hung(scenario: &Scenario, node: &Node) -> Result<Situation> {
    let web = Container::named("runtime-hung").on(node).running_for_ever();
    let web = scenario.create(web).await?;
    web.becomes(Phase::Running).await?;
    node.sim().inject(hangs("list")).unwrap();
    web.says(RUNTIME_RESPONSIVE, "False", Reason::RuntimeHung)
        .await?;
    Ok(Situation {
        name: "runtime-hung",
        expected: Expected::Moving,
        object: raw(scenario, &web).await?,
    })
}

/// Those in which the agent does not look, on a node whose agent is stopped for it.
pub async fn unseen(scenario: &Scenario, node: &Node) -> Result<Vec<Situation>> {
    let web = |name| Container::named(name).on(node).running_for_ever();
    let changed = scenario.create(web("spec-just-changed")).await?;
    let deleted = scenario.create(web("just-deleted")).await?;
    let failed = Container::named("just-corrected").on(node).exiting_with(3);
    let failed = scenario.create(failed).await?;
    let paused = web("just-asked-to-run")
        .hyperv()
        .desired(DesiredState::Paused);
    let paused = scenario.create(paused).await?;
    let left = scenario.create(web("agent-is-away")).await?;
    for object in [&changed, &deleted, &left] {
        object.becomes(Phase::Running).await?;
    }
    failed
        .says(STALLED, "True", Reason::ContainerFailed)
        .await?;
    paused.becomes(Phase::Paused).await?;
    node.agent().stop();
    let fresh = scenario.create(web("fresh")).await?;
    changed
        .patch_spec(json!({"desiredState": "Stopped"}))
        .await?;
    failed.patch_spec(json!({"restartRequest": "1"})).await?;
    paused.set_desired(DesiredState::Running).await?;
    deleted.delete().await?;
    let mut situations = Vec::new();
    for (name, object, expected) in [
        ("fresh", &fresh, Expected::Moving),
        ("spec-just-changed", &changed, Expected::Moving),
        ("just-corrected", &failed, Expected::Moving),
        ("just-asked-to-run", &paused, Expected::Moving),
        ("just-deleted", &deleted, Expected::Going),
        // Until the controller says otherwise: see `own_control_plane`.
        ("agent-is-away", &left, Expected::Good),
    ] {
        situations.push(Situation {
            name,
            expected,
            object: raw(scenario, object).await?,
        });
    }
    node.agent().start_again()?;
    node.agent().ready().await?;
    Ok(situations)
}
