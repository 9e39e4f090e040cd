//! Two controllers: one acts, and the other takes over when it is killed, held up, cut off, or robbed of its Lease.

use hcs_crds::conditions::READY;
use hcs_crds::{Phase, Reason};
use hcs_tests::audit::Write;
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

/// Each with a way of its own to the API server.
struct Replicas(Vec<Operator>, Vec<Proxy>);

impl Replicas {
    async fn start(control_plane: &ControlPlane) -> Result<Self> {
        let executables = binaries::Workspace::get()?;
        let access = control_plane.controller_access().await?;
        let args: Vec<String> = QUICK.map(str::to_owned).into();
        let (mut replicas, mut ways) = (Vec::new(), Vec::new());
        for name in ["replica-1", "replica-2"] {
            let way = Proxy::start(&access).await?;
            let started = start_replica(control_plane, &executables, name, way.access(), &args);
            replicas.push(started.await?);
            ways.push(way);
        }
        Ok(Self(replicas, ways))
    }

    /// Waits until exactly one of these leads, and says which.
    async fn leader(&self, among: &[usize]) -> Result<usize> {
        eventually(PATIENCE, "one leads", || async {
            let mut leading = Vec::new();
            for index in among.iter().copied() {
                let leads = self.0[index].metric("hcs_operator_leader").await?;
                if leads == Some(1.0) {
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
}

fn signal(process: &Operator, signal: &str) {
    let pid = process.pid().unwrap().to_string();
    let mut kill = std::process::Command::new("kill");
    assert!(kill.args([signal, &pid]).status().unwrap().success());
}

async fn running(scenario: &Scenario, node: &Node) -> Result<Live> {
    let web = Container::named("web").on(node).running_for_ever();
    let web = scenario.create(web).await?;
    web.becomes(Phase::Running).await?;
    Ok(web)
}

/// The node's agent goes, and comes back: said once, and taken back.
async fn goes_and_comes(node: &Node, web: &Live) -> Result {
    node.agent().kill();
    web.says(READY, "Unknown", Reason::NodeLost).await?;
    node.agent().start_again()?;
    web.says(READY, "True", Reason::Running).await?;
    Ok(())
}

#[tokio::test]
async fn the_other_acts_when_the_leader_is_killed_and_when_it_is_held_up() -> Result {
    let (control_plane, _turn) = super::SERVERS.alone().await?;
    let scenario = Scenario::on(control_plane.clone(), "leaders").await?;
    let node = scenario.node_with(short_lease()).await?;
    let web = running(&scenario, &node).await?;
    let replicas = Replicas::start(&control_plane).await?;
    let first = replicas.leader(&[0, 1]).await?;
    goes_and_comes(&node, &web).await?;
    replicas.0[first].kill();
    let second = 1 - first;
    assert_eq!(replicas.leader(&[second]).await?, second);
    goes_and_comes(&node, &web).await?;
    replicas.0[first].start_again()?;
    replicas.0[first].ready().await?;
    // A process that stands still, as on a machine that hangs: it believes to lead when it goes on.
    signal(&replicas.0[second], "-STOP");
    assert_eq!(replicas.leader(&[first]).await?, first);
    node.agent().kill();
    web.says(READY, "Unknown", Reason::NodeLost).await?;
    node.agent().start_again()?;
    web.says(READY, "True", Reason::Running).await?;
    signal(&replicas.0[second], "-CONT");
    assert_eq!(replicas.leader(&[0, 1]).await?, first);
    node.relists(3).await?;
    web.says(READY, "True", Reason::Running).await?;
    // One that is told to stop gives the lease up.
    replicas.0[first].stop();
    assert_eq!(replicas.leader(&[second]).await?, second);
    scenario.leaves_nothing_on(&node).await
}

/// What the controllers write of this object.
fn of_the_controllers(object: &Live) -> impl Fn(&Write) -> bool {
    let name = object.name().to_owned();
    move |write| write.name == name && write.user.ends_with(":hcs-operator-controller")
}

#[tokio::test]
async fn the_other_acts_when_the_leader_is_cut_off_from_the_api_server() -> Result {
    let (control_plane, _turn) = super::SERVERS.alone().await?;
    let scenario = Scenario::on(control_plane.clone(), "cut-off").await?;
    let node = scenario.node_with(short_lease()).await?;
    let web = running(&scenario, &node).await?;
    let replicas = Replicas::start(&control_plane).await?;
    let first = replicas.leader(&[0, 1]).await?;
    let second = 1 - first;
    let told = control_plane.audit().from_now();
    replicas.1[first].is(Mood::Silent);
    assert_eq!(replicas.leader(&[second]).await?, second);
    let leads = replicas.0[first].metric("hcs_operator_leader").await?;
    assert_eq!(leads, Some(0.0), "it knows that it does not lead any more");
    goes_and_comes(&node, &web).await?;
    // It hears again of the node as it was, and of all that has happened since.
    replicas.1[first].is(Mood::Honest);
    assert_eq!(replicas.leader(&[0, 1]).await?, second);
    node.relists(3).await?;
    web.says(READY, "True", Reason::Running).await?;
    assert_eq!(told.count(of_the_controllers(&web))?, 1, "NodeLost, once");
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn controllers_that_were_cut_off_say_nothing_of_nodes_that_they_could_not_see() -> Result {
    let (control_plane, _turn) = super::SERVERS.alone().await?;
    let scenario = Scenario::on(control_plane.clone(), "all-cut-off").await?;
    let node = scenario.node_with(short_lease()).await?;
    let web = running(&scenario, &node).await?;
    let replicas = Replicas::start(&control_plane).await?;
    replicas.leader(&[0, 1]).await?;
    let told = control_plane.audit().from_now();
    replicas.1.iter().for_each(|way| way.is(Mood::Silent));
    // Each second: longer than a silence and an absence are until something is said of them, together.
    lease_is_renewed(&scenario, &node, 12).await?;
    replicas.1.iter().for_each(|way| way.is(Mood::Honest));
    replicas.leader(&[0, 1]).await?;
    lease_is_renewed(&scenario, &node, 6).await?;
    assert_eq!(told.count(of_the_controllers(&web))?, 0);
    web.says(READY, "True", Reason::Running).await?;
    // Of one that is silent now, they say so.
    goes_and_comes(&node, &web).await?;
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn two_that_lead_at_once_do_no_harm() -> Result {
    let (control_plane, _turn) = super::SERVERS.alone().await?;
    let scenario = Scenario::on(control_plane.clone(), "split").await?;
    let node = scenario.node_with(short_lease()).await?;
    let web = running(&scenario, &node).await?;
    let replicas = Replicas::start(&control_plane).await?;
    replicas.leader(&[0, 1]).await?;
    let leases: Api<Lease> = Api::namespaced(scenario.client(), NAMESPACE);
    let told = control_plane.audit().from_now();
    node.agent().kill();
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
    replicas.leader(&[0, 1]).await?;
    web.says(READY, "Unknown", Reason::NodeLost).await?;
    node.agent().start_again()?;
    web.says(READY, "True", Reason::Running).await?;
    let said = told.count(of_the_controllers(&web))?;
    assert!(said <= 4, "{said} writes");
    let finalizers = web.object().await?.metadata.finalizers.unwrap_or_default();
    assert_eq!(finalizers, [hcs_crds::FINALIZER]);
    scenario.leaves_nothing_on(&node).await
}
