//! Two controllers: one acts, and the other takes over when it is killed, held up, cut off, or robbed of its Lease.

use std::sync::Arc;

use hcs_crds::conditions::READY;
use hcs_crds::{Phase, Reason};
use hcs_tests::audit::{Audit, Write};
use hcs_tests::control_plane::NAMESPACE;
use hcs_tests::node::start_replica;
use hcs_tests::operator::Operator;
use hcs_tests::proxy::{Mood, Proxy};
use hcs_tests::{
    Container, ControlPlane, Error, Live, Node, PATIENCE, Result, Scenario, binaries, eventually,
};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::DeleteParams;

use super::silent_nodes::{QUICK, short_lease};
use crate::nodes::lease_is_renewed;

/// A controller with a way of its own to the API server.
struct Replica {
    process: Operator,
    way: Proxy,
}

impl Replica {
    async fn start(control_plane: &ControlPlane, name: &str) -> Result<Self> {
        let executables = binaries::Workspace::get()?;
        let way = Proxy::start(&control_plane.controller_access().await?).await?;
        let args = QUICK.map(str::to_owned);
        let process = start_replica(control_plane, &executables, name, way.access(), &args).await?;
        Ok(Self { process, way })
    }

    async fn leads(&self) -> Result<bool> {
        Ok(self.process.metric("hcs_operator_leader").await? == Some(1.0))
    }

    fn signal(&self, signal: &str) {
        let pid = self.process.pid().unwrap().to_string();
        let mut kill = std::process::Command::new("kill");
        assert!(kill.args([signal, &pid]).status().unwrap().success());
    }
}

/// Two controllers, and a container that runs on a node of which they may say that it is lost.
struct Pair {
    replicas: [Replica; 2],
    web: Live,
    node: Node,
    scenario: Scenario,
    control_plane: Arc<ControlPlane>,
    _turn: super::Turn,
}

impl Pair {
    async fn start(scenario: &str) -> Result<Self> {
        let (control_plane, turn) = super::alone().await?;
        let scenario = Scenario::on(control_plane.clone(), scenario).await?;
        let node = scenario.node_with(short_lease()).await?;
        let web = Container::named("web").on(&node).running_for_ever();
        let web = scenario.create(web).await?;
        web.becomes(Phase::Running).await?;
        Ok(Self {
            replicas: [
                Replica::start(&control_plane, "replica-1").await?,
                Replica::start(&control_plane, "replica-2").await?,
            ],
            web,
            node,
            scenario,
            control_plane,
            _turn: turn,
        })
    }

    /// Waits until exactly one of these leads, and says which.
    async fn leader(&self, among: &[usize]) -> Result<usize> {
        eventually(PATIENCE, "one leads", || async {
            let mut leading = Vec::new();
            for index in among.iter().copied() {
                if self.replicas[index].leads().await? {
                    leading.push(index);
                }
            }
            Ok(match leading[..] {
                [leader] => Ok(leader),
                _ => Err(leading),
            })
        })
        .await
    }

    /// The node's agent goes, and comes back: said, and taken back.
    async fn node_goes_and_comes(&self) -> Result {
        self.node.agent().kill();
        self.web.says(READY, "Unknown", Reason::NodeLost).await?;
        self.node.agent().start_again()?;
        self.runs_still().await
    }

    async fn runs_still(&self) -> Result {
        self.web.says(READY, "True", Reason::Running).await?;
        Ok(())
    }

    fn audit_from_now(&self) -> Audit {
        self.control_plane.audit().from_now()
    }

    /// How often the controllers wrote to the container's object.
    fn written(&self, audit: &Audit) -> Result<usize> {
        audit.count(|write: &Write| {
            write.name == self.web.name() && write.user.ends_with(":hcs-operator-controller")
        })
    }

    async fn leaves_nothing(&self) -> Result {
        self.scenario.leaves_nothing_on(&self.node).await
    }
}

#[tokio::test]
async fn the_other_acts_when_the_leader_is_killed_and_when_it_is_held_up() -> Result {
    let pair = Pair::start("leaders").await?;
    let first = pair.leader(&[0, 1]).await?;
    pair.node_goes_and_comes().await?;
    pair.replicas[first].process.kill();
    let second = 1 - first;
    assert_eq!(pair.leader(&[second]).await?, second);
    pair.node_goes_and_comes().await?;
    pair.replicas[first].process.start_again()?;
    pair.replicas[first].process.ready().await?;
    // A process that stands still, as on a machine that hangs: it believes to lead when it goes on.
    pair.replicas[second].signal("-STOP");
    assert_eq!(pair.leader(&[first]).await?, first);
    pair.node_goes_and_comes().await?;
    pair.replicas[second].signal("-CONT");
    assert_eq!(pair.leader(&[0, 1]).await?, first);
    pair.node.relists(3).await?;
    pair.runs_still().await?;
    // One that is told to stop gives the lease up.
    pair.replicas[first].process.stop();
    assert_eq!(pair.leader(&[second]).await?, second);
    pair.leaves_nothing().await
}

#[tokio::test]
async fn the_other_acts_when_the_leader_is_cut_off_from_the_api_server() -> Result {
    let pair = Pair::start("cut-off").await?;
    let first = pair.leader(&[0, 1]).await?;
    let second = 1 - first;
    let audit = pair.audit_from_now();
    pair.replicas[first].way.is(Mood::Silent);
    assert_eq!(pair.leader(&[second]).await?, second);
    let leads = pair.replicas[first].leads().await?;
    assert!(!leads, "it knows that it does not lead any more");
    pair.node_goes_and_comes().await?;
    // It hears again of the node as it was, and of all that has happened since.
    pair.replicas[first].way.is(Mood::Honest);
    assert_eq!(pair.leader(&[0, 1]).await?, second);
    pair.node.relists(3).await?;
    pair.runs_still().await?;
    assert_eq!(pair.written(&audit)?, 1, "NodeLost, once");
    pair.leaves_nothing().await
}

#[tokio::test]
async fn controllers_that_were_cut_off_say_nothing_of_nodes_that_they_could_not_see() -> Result {
    let pair = Pair::start("all-cut-off").await?;
    pair.leader(&[0, 1]).await?;
    let audit = pair.audit_from_now();
    for replica in &pair.replicas {
        replica.way.is(Mood::Silent);
    }
    // Each second: longer than a silence and an absence are until something is said of them, together.
    lease_is_renewed(&pair.scenario, &pair.node, 12).await?;
    for replica in &pair.replicas {
        replica.way.is(Mood::Honest);
    }
    pair.leader(&[0, 1]).await?;
    lease_is_renewed(&pair.scenario, &pair.node, 6).await?;
    assert_eq!(pair.written(&audit)?, 0);
    pair.runs_still().await?;
    // Of one that is silent now, they say so.
    pair.node_goes_and_comes().await?;
    pair.leaves_nothing().await
}

#[tokio::test]
async fn two_that_lead_at_once_do_no_harm() -> Result {
    let pair = Pair::start("split").await?;
    pair.leader(&[0, 1]).await?;
    let leases: Api<Lease> = Api::namespaced(pair.scenario.client(), NAMESPACE);
    let audit = pair.audit_from_now();
    pair.node.agent().kill();
    // Each time that its lease is taken away, the leader leads on for a moment beside the next one.
    for _ in 0..3 {
        leases
            .delete("hcs-operator-controller", &DeleteParams::default())
            .await
            .map_err(Error::api("delete the lease"))?;
        eventually(PATIENCE, "one has taken the lease", || async {
            let lease = leases.get_opt("hcs-operator-controller").await;
            let lease = lease.map_err(Error::api("read the lease"))?;
            Ok(lease.map(|_| ()).ok_or("none"))
        })
        .await?;
    }
    pair.leader(&[0, 1]).await?;
    pair.web.says(READY, "Unknown", Reason::NodeLost).await?;
    pair.node.agent().start_again()?;
    pair.runs_still().await?;
    let said = pair.written(&audit)?;
    assert!(said <= 4, "{said} writes");
    let finalizers = pair.web.object().await?.metadata.finalizers;
    assert_eq!(finalizers.unwrap_or_default(), [hcs_crds::FINALIZER]);
    pair.leaves_nothing().await
}
