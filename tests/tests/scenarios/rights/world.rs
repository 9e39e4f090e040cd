//! Two nodes with an object each, and the tokens that ask for it.

use std::sync::Arc;
use std::time::Duration;

use hcs_tests::control_plane::{AGENT, CONTROLLER, NAMESPACE};
use hcs_tests::{Container, ControlPlane, Live, Scenario, eventually, kubeconfig};
use http::Method;
use k8s_openapi::api::authentication::v1::BoundObjectReference;
use kube::{Client, ResourceExt as _};
use serde_json::json;

use super::ask::{Answer, Verb, ask, send};

/// A node of its own, and an object on it, that the tokens are about.
pub struct World {
    pub scenario: Scenario,
    /// The node that everything belongs to.
    pub node: String,
    /// Another one.
    pub other: String,
    /// The object on `node`.
    pub container: Live,
    /// system:masters.
    pub admin: Client,
    /// An agent's token on `node`: that of a pod there, as the DaemonSet's is.
    pub of_node: Client,
    /// An agent's token on `other`.
    pub of_other: Client,
    /// An agent's token that names no node.
    pub of_none: Client,
    /// The controller's.
    pub controller: Client,
}

impl World {
    pub async fn new(name: &str) -> Self {
        let control_plane = ControlPlane::shared().await.unwrap();
        let scenario = Scenario::named(name).await.unwrap();
        let namespace = scenario.namespace().to_owned();
        let (node, other) = (format!("{namespace}-a"), format!("{namespace}-b"));
        for node in [&node, &other] {
            control_plane.create_node(node).await.unwrap();
        }
        let admin = scenario.client();
        let container = Container::named("target")
            .on_node_named(&node)
            .from_bundle("/hcs/bundles/target")
            .with(|spec| spec.ttl_seconds_after_finished = Some(3600));
        let container = scenario.create(container).await.unwrap();
        let world = Self {
            of_node: as_pod_on(&control_plane, &admin, &node).await,
            of_other: client(&control_plane.agent_access(&other).await.unwrap()).await,
            of_none: client(&control_plane.access_as(AGENT, None).await.unwrap()).await,
            controller: client(&control_plane.access_as(CONTROLLER, None).await.unwrap()).await,
            scenario,
            node,
            other,
            container,
            admin,
        };
        world.make_the_rest().await;
        world.policy_is_in_force().await;
        world
    }

    /// What the agent of `node` would have made.
    async fn make_the_rest(&self) {
        for resource in ["hcsnodes", "leases", "events.k8s.io/events"] {
            let target = self.target(resource);
            let made = send(
                &self.admin,
                Method::POST,
                &target.collection,
                Some(target.object),
            )
            .await;
            assert!(made.0.is_success(), "{resource}: {made:?}");
        }
    }

    /// The API server takes a moment to compile a policy that was just applied.
    async fn policy_is_in_force(&self) {
        let target = self.target("hcscontainers");
        eventually(Duration::from_mins(1), "the policy is in force", || async {
            let answer = ask(&self.of_none, Verb::Patch, &target).await;
            Ok(if answer == Ok(Answer::Policy) {
                Ok(())
            } else {
                Err(answer)
            })
        })
        .await
        .unwrap();
    }
}

/// A client with this access, for this test's runtime.
pub async fn client(access: &kubeconfig::Access) -> Client {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("kubeconfig");
    access.write_kubeconfig(&file).unwrap();
    kubeconfig::client(&file).await.unwrap()
}

/// A client with the token that a pod of the agent's DaemonSet has on this node.
async fn as_pod_on(control_plane: &Arc<ControlPlane>, admin: &Client, node: &str) -> Client {
    let pods = format!("/api/v1/namespaces/{NAMESPACE}/pods");
    let pod = json!({
        "metadata": {"name": node},
        "spec": {
            "nodeName": node, "serviceAccountName": AGENT,
            "containers": [{"name": "agent", "image": "none"}],
        },
    });
    let pods: kube::Api<k8s_openapi::api::core::v1::Pod> = {
        let made = send(admin, Method::POST, &pods, Some(pod)).await;
        assert!(made.0.is_success(), "{made:?}");
        kube::Api::namespaced(admin.clone(), NAMESPACE)
    };
    let pod = pods.get(node).await.unwrap();
    let bound = BoundObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Pod".to_owned()),
        name: Some(pod.name_any()),
        uid: pod.uid(),
    };
    client(&control_plane.access_as(AGENT, Some(bound)).await.unwrap()).await
}
