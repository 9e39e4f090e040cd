//! What the cluster-wide controller says and does when nothing is heard of a node's agent.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hcs_crds::conditions::READY;
use hcs_crds::{HcsNode, Phase, Reason};
use hcs_tests::control_plane::NAMESPACE;
use hcs_tests::node::start_controller;
use hcs_tests::operator::Operator;
use hcs_tests::{
    Container, ControlPlane, Error, Live, Node, NodeOptions, PATIENCE, Result, Scenario, binaries,
    eventually,
};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Node as ClusterNode;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

use crate::gitops::verdicts::is_on_its_way;
use crate::nodes::{condition, page_comes_to};

/// Short enough for a scenario: an agent is silent after 4 s, its node gone after as much again.
pub const QUICK: [&str; 6] = [
    "--patience",
    "1s",
    "--leader-lease-duration",
    "4s",
    "--node-gone-after",
    "3s",
];

fn quick() -> Vec<String> {
    QUICK.map(str::to_owned).into()
}

pub fn short_lease() -> NodeOptions {
    NodeOptions {
        args: ["--lease-duration", "4s"].map(str::to_owned).into(),
        ..NodeOptions::default()
    }
}

async fn controller(control_plane: &Arc<ControlPlane>) -> Result<Operator> {
    let executables = binaries::Workspace::get()?;
    start_controller(control_plane, &executables, &quick()).await
}

async fn running(scenario: &Scenario, node: &Node, name: &str) -> Result<Live> {
    let object = Container::named(name).on(node).running_for_ever();
    let object = scenario.create(object).await?;
    object.becomes(Phase::Running).await?;
    Ok(object)
}

async fn remove_node_object(scenario: &Scenario, name: &str) -> Result {
    let nodes: Api<ClusterNode> = Api::all(scenario.client());
    let deleted = nodes.delete(name, &DeleteParams::default()).await;
    deleted.map_err(Error::api("delete the Node"))?;
    Ok(())
}

async fn has_lease(scenario: &Scenario, node: &str) -> Result<bool> {
    let leases: Api<Lease> = Api::namespaced(scenario.client(), NAMESPACE);
    let lease = leases.get_opt(&format!("hcs-node-{node}")).await;
    Ok(lease.map_err(Error::api("read the lease"))?.is_some())
}

#[tokio::test]
async fn a_silent_agent_is_said_to_be_lost_and_its_own_word_wins_when_it_is_back() -> Result {
    let (control_plane, _turn) = super::alone().await?;
    let scenario = Scenario::on(control_plane.clone(), "silent").await?;
    let controller = controller(&control_plane).await?;
    let node = scenario.node_with(short_lease()).await?;
    let (web, job) = (
        running(&scenario, &node, "web").await?,
        running(&scenario, &node, "job").await?,
    );
    node.agent().kill();
    for object in [&web, &job] {
        object.says(READY, "Unknown", Reason::NodeLost).await?;
        object.has_event(Reason::NodeLost).await?;
        is_on_its_way(&scenario, object).await?;
    }
    page_comes_to(&scenario, node.name(), "is lost", |status| {
        condition(status, READY) == "Unknown NodeLost"
    })
    .await?;
    let silent = controller.metric("hcs_operator_silent_nodes").await?;
    // Beside those that other scenarios have left.
    assert!(silent >= Some(1.0), "{silent:?}");
    // Whoever deletes it now has to wait for the agent: its node is there.
    job.delete().await?;
    let told = control_plane.audit().from_now();
    node.agent().start_again()?;
    web.says(READY, "True", Reason::Running).await?;
    job.is_gone().await?;
    page_comes_to(&scenario, node.name(), "is ready", |status| {
        condition(status, READY) == "True AgentReady"
    })
    .await?;
    node.relists(3).await?;
    let by_controller = super::word_of_the_controller(&told, &scenario, &node)?;
    assert!(by_controller.is_empty(), "{by_controller:#?}");
    assert_eq!(web.status().await?.attempt, Some(1));
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn an_agent_that_cannot_see_its_containers_is_not_contradicted_again_and_again() -> Result {
    let (control_plane, _turn) = super::alone().await?;
    let scenario = Scenario::on(control_plane.clone(), "blind").await?;
    let _controller = controller(&control_plane).await?;
    let mut options = short_lease();
    options
        .args
        .extend(["--runhcs-timeout", "1s"].map(str::to_owned));
    let node = scenario.node_with(options).await?;
    let web = running(&scenario, &node, "web").await?;
    let hangs = runhcs_sim::Fault::new("list", runhcs_sim::Point::Begin, runhcs_sim::Action::Hang);
    node.sim().inject(hangs).unwrap();
    web.says(READY, "False", Reason::RuntimeHung).await?;
    let told = control_plane.audit().from_now();
    // The lease runs out, the controller says so once, and the agent takes it back once.
    let pages = |told: &hcs_tests::audit::Audit| {
        told.count(|write| write.resource == "hcsnodes" && write.name == node.name())
    };
    eventually(PATIENCE, "both have spoken", || async {
        let count = pages(&told)?;
        Ok(if count >= 2 { Ok(()) } else { Err(count) })
    })
    .await?;
    web.says(READY, "False", Reason::RuntimeHung).await?;
    node.relists(6).await?;
    assert!(pages(&told)? <= 4, "{:#?}", told.writes()?);
    web.says(READY, "False", Reason::RuntimeHung).await?;
    node.sim().clear_faults().unwrap();
    web.says(READY, "True", Reason::Running).await?;
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn objects_of_a_node_that_is_gone_for_good_are_let_go_and_no_others() -> Result {
    let (control_plane, _turn) = super::alone().await?;
    let scenario = Scenario::on(control_plane.clone(), "gone").await?;
    let _controller = controller(&control_plane).await?;
    let node = scenario.node_with(short_lease()).await?;
    let (goes, stays) = (
        running(&scenario, &node, "goes").await?,
        running(&scenario, &node, "stays").await?,
    );
    node.agent().kill();
    goes.says(READY, "Unknown", Reason::NodeLost).await?;
    goes.delete().await?;
    remove_node_object(&scenario, node.name()).await?;
    goes.is_gone().await?;
    stays.says(READY, "Unknown", Reason::NodeUnknown).await?;
    is_on_its_way(&scenario, &stays).await?;
    goes.has_event(Reason::NodeGone).await?;
    let pages: Api<HcsNode> = Api::all(scenario.client());
    eventually(PATIENCE, "page and lease are gone", || async {
        let page = pages.get_opt(node.name()).await;
        let page = page.map_err(Error::api("read the HcsNode"))?.is_some();
        let lease = has_lease(&scenario, node.name()).await?;
        let gone = !page && !lease;
        Ok(if gone { Ok(()) } else { Err((page, lease)) })
    })
    .await?;
    assert!(
        !stays
            .object()
            .await?
            .metadata
            .finalizers
            .unwrap_or_default()
            .is_empty()
    );
    // The node comes back, and so does its agent: it takes up what is there, and sweeps the rest.
    control_plane.create_node(node.name()).await?;
    let access = control_plane.agent_access(node.name()).await?;
    access.write_kubeconfig(&node.dir().join("kubeconfig"))?;
    node.agent().start_again()?;
    stays.says(READY, "True", Reason::Running).await?;
    let only = format!("hc-{}-1", stays.uid());
    eventually(PATIENCE, "the other is swept", || async {
        let now = node.containers()?;
        let only = now == [only.clone()];
        Ok(if only { Ok(()) } else { Err(now) })
    })
    .await?;
    page_comes_to(&scenario, node.name(), "is ready", |status| {
        condition(status, READY) == "True AgentReady"
    })
    .await?;
    scenario.leaves_nothing_on(&node).await
}

/// Renews the Lease of a node, as its agent would; the time is that of the call.
async fn renew(leases: &Api<Lease>, node: &str) {
    let name = format!("hcs-node-{node}");
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name},
        "spec": {"holderIdentity": node, "leaseDurationSeconds": 4,
            "renewTime": MicroTime(Timestamp::now())},
    });
    let params = PatchParams::apply("a-scenario").force();
    leases
        .patch(&name, &params, &Patch::Apply(lease))
        .await
        .unwrap();
}

#[tokio::test]
async fn an_object_whose_node_is_absent_is_kept_for_as_long_as_an_agent_of_its_name_lives() -> Result
{
    let (control_plane, _turn) = super::alone().await?;
    let scenario = Scenario::on(control_plane.clone(), "ghost").await?;
    let _controller = controller(&control_plane).await?;
    let ghost = scenario.namespace().to_owned();
    let leases: Api<Lease> = Api::namespaced(scenario.client(), NAMESPACE);
    let renewals = Arc::new(AtomicUsize::new(0));
    let agent = tokio::spawn({
        let (leases, ghost, renewals) = (leases.clone(), ghost.clone(), Arc::clone(&renewals));
        async move {
            let mut beats = tokio::time::interval(Duration::from_secs(1));
            loop {
                beats.tick().await;
                renew(&leases, &ghost).await;
                renewals.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    let web = Container::named("web").on_node_named(&ghost);
    let web = web.with(|spec| spec.bundle.path = Some("/nowhere".to_owned()));
    let web = scenario.create(web).await?;
    web.patch(json!({"metadata": {"finalizers": [hcs_crds::FINALIZER]}}))
        .await?;
    web.delete().await?;
    // Far longer than a node may be absent and silent.
    eventually(PATIENCE, "the lease is renewed for a while", || async {
        let count = renewals.load(Ordering::SeqCst);
        Ok(if count >= 16 { Ok(()) } else { Err(count) })
    })
    .await?;
    assert!(web.events().await?.is_empty());
    web.object().await?;
    agent.abort();
    web.is_gone().await?;
    web.has_event(Reason::NodeGone).await?;
    eventually(PATIENCE, "the lease is gone", || async {
        let there = has_lease(&scenario, &ghost).await?;
        Ok(if there { Err(there) } else { Ok(()) })
    })
    .await
}
