//! What somebody would try who has stolen the token of one node's agent. These are no dry runs: at the end, everything
//! is as it was.

use hcs_crds::{FINALIZER, HcsContainer};
use hcs_tests::control_plane::{AGENT, NAMESPACE};
use hcs_tests::kubeconfig::Access;
use hcs_tests::{PATIENCE, eventually};
use http::Method;
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::ask::send;
use super::world::{World, client};

impl World {
    /// A merge patch of the object, as this client: what became of it, and the message.
    async fn patch(&self, client: &Client, sub: &str, change: Value) -> (u16, String) {
        let target = self.target("hcscontainers");
        let path = format!("{}/{}{sub}", target.collection, target.name);
        let (status, message) = send(client, Method::PATCH, &path, Some(change)).await;
        (status.as_u16(), message)
    }

    /// The object, without what every write changes.
    async fn object(&self) -> HcsContainer {
        let mut object = self.container.object().await.unwrap();
        object.metadata.managed_fields = None;
        object.metadata.resource_version = None;
        object
    }

    /// Tries all that nobody but a user may do, the operator's own finalizer included; returns the object as it
    /// was before.
    async fn refuses_forbidden_changes(&self, client: &Client) -> HcsContainer {
        self.admin_patches(&json!({"metadata": {"finalizers": ["example.com/keep", FINALIZER]}}))
            .await;
        let before = self.object().await;
        let mut attacks = forbidden_changes(&self.other);
        attacks.push((
            "the operator's finalizer removed",
            json!({"metadata": {"finalizers": ["example.com/keep"]}}),
        ));
        for (what, patch) in attacks {
            let (status, message) = self.patch(client, "", patch).await;
            let immutable = status == 422 && message.contains("immutable");
            assert!(status == 403 || immutable, "{what}: {status} {message}");
        }
        before
    }

    /// As system:masters, whom no policy of ours is about.
    async fn admin_patches(&self, patch: &Value) {
        let api = self.scenario.containers();
        let (name, params) = (self.container.name(), PatchParams::default());
        api.patch(name, &params, &Patch::Merge(patch))
            .await
            .unwrap();
    }
}

/// Changes that no agent may make, whoever's the object is.
fn forbidden_changes(to: &str) -> Vec<(&'static str, Value)> {
    vec![
        ("run it elsewhere", json!({"spec": {"nodeName": to}})),
        ("stop it", json!({"spec": {"desiredState": "Stopped"}})),
        (
            "another bundle",
            json!({"spec": {"bundle": {"path": "/hcs/bundles/evil"}}}),
        ),
        (
            "let it be deleted",
            json!({"spec": {"ttlSecondsAfterFinished": 1}}),
        ),
        ("a label", json!({"metadata": {"labels": {"app": "evil"}}})),
        (
            "an annotation",
            json!({"metadata": {"annotations": {"argocd.argoproj.io/sync-options": "Prune=false"}}}),
        ),
        (
            "another's finalizer removed",
            json!({"metadata": {"finalizers": [FINALIZER]}}),
        ),
        (
            "a finalizer added",
            json!({"metadata": {"finalizers": ["example.com/keep", FINALIZER, "example.com/evil"]}}),
        ),
        (
            "an owner, with which it would be deleted",
            json!({"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "none", "uid": "none"}]}}),
        ),
    ]
}

#[tokio::test]
async fn a_stolen_token_changes_nothing_of_another_nodes_object() {
    let world = World::new("stolen").await;
    let before = world.refuses_forbidden_changes(&world.of_other).await;
    let lie = json!({"status": {"observedGeneration": 1, "phase": "Running"}});
    let (status, message) = world.patch(&world.of_other, "/status", lie).await;
    assert_eq!(status, 403);
    for word in [
        "hcs-operator-own-node",
        "denied UPDATE of hcscontainers/status",
        &format!(
            "{}/target: it is on node {} (spec.nodeName)",
            world.scenario.namespace(),
            world.node
        ),
        &format!(
            "the agent of node {} may write only what is on its own",
            world.other
        ),
    ] {
        assert!(message.contains(word), "{word:?} is not in {message}");
    }
    let target = world.target("hcscontainers");
    let (status, _) = send(
        &world.of_other,
        Method::DELETE,
        &format!("{}/target", target.collection),
        None,
    )
    .await;
    assert_eq!(status, 403);
    assert_eq!(world.object().await, before);
}

#[tokio::test]
async fn an_agent_changes_of_its_own_objects_the_status_and_its_finalizer_alone() {
    let world = World::new("own-object").await;
    world
        .admin_patches(&json!({"metadata": {"finalizers": ["example.com/keep", FINALIZER]}}))
        .await;
    let before = world.object().await;
    for (what, patch) in forbidden_changes(&world.other) {
        let (status, message) = world.patch(&world.of_node, "", patch).await;
        assert!(
            status == 403 || (status == 422 && message.contains("immutable")),
            "{what}: {status} {message}"
        );
    }
    assert_eq!(world.object().await, before);
    for finalizers in [
        json!(["example.com/keep"]),
        json!(["example.com/keep", FINALIZER]),
    ] {
        let patch = json!({"metadata": {"finalizers": finalizers}});
        assert_eq!(
            world.patch(&world.of_node, "", patch).await,
            (200, String::new())
        );
    }
    let status = json!({"status": {"observedGeneration": 1, "phase": "Running"}});
    assert_eq!(
        world.patch(&world.of_node, "/status", status).await,
        (200, String::new())
    );
    world
        .admin_patches(&json!({"spec": {"ttlSecondsAfterFinished": null}}))
        .await;
    let target = world.target("hcscontainers");
    let (status, message) = send(
        &world.of_node,
        Method::DELETE,
        &format!("{}/target", target.collection),
        None,
    )
    .await;
    assert_eq!(status, 403);
    assert!(
        message.contains("only objects with spec.ttlSecondsAfterFinished"),
        "{message}"
    );
    world
        .admin_patches(&json!({"metadata": {"finalizers": null}}))
        .await;
}

#[tokio::test]
async fn a_token_without_a_node_writes_nothing_and_is_told_why() {
    let world = World::new("no-claim").await;
    let before = world.object().await;
    let (status, message) = world
        .patch(
            &world.of_none,
            "/status",
            json!({"status": {"phase": "Running"}}),
        )
        .await;
    assert_eq!(status, 403);
    assert!(
        message.contains("names no node (authentication.kubernetes.io/node-name)"),
        "{message}"
    );
    assert_eq!(world.object().await, before);
}

#[tokio::test]
async fn an_agent_that_is_installed_in_another_namespace_is_kept_in_as_well() {
    let world = World::new("elsewhere").await;
    let namespace = world.scenario.namespace();
    let account = json!({"metadata": {"name": AGENT}});
    let binding = json!({
        "metadata": {"name": AGENT},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": AGENT},
        "subjects": [{"kind": "ServiceAccount", "name": AGENT, "namespace": namespace}],
    });
    let core = format!("/api/v1/namespaces/{namespace}");
    let rights = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}");
    for (path, object) in [
        (format!("{core}/serviceaccounts"), account),
        (format!("{rights}/rolebindings"), binding),
    ] {
        let made = send(&world.admin, Method::POST, &path, Some(object)).await;
        assert!(made.0.is_success(), "{path}: {made:?}");
    }
    let accounts: Api<ServiceAccount> = Api::namespaced(world.admin.clone(), namespace);
    let request = TokenRequest::default();
    let made = accounts
        .create_token_request(AGENT, &PostParams::default(), &request)
        .await
        .unwrap();
    let access = Access {
        token: made.status.unwrap().token.unwrap(),
        ..world.scenario.control_plane().access().clone()
    };
    let agent = client(&access).await;
    let change = json!({"metadata": {"labels": {"app": "evil"}}});
    // RBAC lets it pass as soon as it has seen the binding; the policy never does.
    eventually(PATIENCE, "the policy refuses it", || async {
        let (status, message) = world.patch(&agent, "", change.clone()).await;
        assert_eq!(status, 403, "{message}");
        let by_policy =
            message.contains("hcs-operator-own-node") && message.contains("names no node");
        Ok(by_policy.then_some(()).ok_or(message))
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_stolen_token_writes_no_lease_of_another_and_none_of_the_controllers() {
    let world = World::new("leases").await;
    let leases = world.target("leases").collection;
    let holder = json!({"spec": {"holderIdentity": "evil"}});
    let theirs = format!("hcs-node-{}", world.node);
    for name in [theirs.as_str(), "hcs-operator-controller", "anything"] {
        let lease = json!({"metadata": {"name": name}, "spec": {"holderIdentity": "evil"}});
        let made = send(&world.of_other, Method::POST, &leases, Some(lease)).await;
        assert_eq!(made.0, 403, "{name}: {made:?}");
        let path = format!("{leases}/{name}");
        let patched = send(&world.of_other, Method::PATCH, &path, Some(holder.clone())).await;
        assert!(patched.0 == 403 || patched.0 == 404, "{name}: {patched:?}");
    }
    let elsewhere = leases.replace(NAMESPACE, world.scenario.namespace());
    let lease = json!({"metadata": {"name": format!("hcs-node-{}", world.other)}});
    assert_eq!(
        send(&world.of_other, Method::POST, &elsewhere, Some(lease))
            .await
            .0,
        403
    );
}

#[tokio::test]
async fn a_stolen_token_writes_no_page_of_another_node_and_deletes_none() {
    let world = World::new("pages").await;
    let target = world.target("hcsnodes");
    let page = format!("{}/{}", target.collection, world.node);
    let lie = json!({"status": {"agentVersion": "evil"}});
    let label = json!({"metadata": {"labels": {"app": "evil"}}});
    for (path, patch) in [(format!("{page}/status"), lie), (page.clone(), label)] {
        let (status, message) = send(&world.of_other, Method::PATCH, &path, Some(patch)).await;
        assert_eq!(status, 403);
        let rule = format!("may create and update only the HcsNode {}", world.other);
        assert!(message.contains(&rule), "{message}");
    }
    for client in [&world.of_node, &world.of_other] {
        assert_eq!(send(client, Method::DELETE, &page, None).await.0, 403);
    }
    let mut invented = target.object.clone();
    invented["metadata"]["name"] = json!("invented");
    let made = send(
        &world.of_other,
        Method::POST,
        &target.collection,
        Some(invented),
    )
    .await;
    assert_eq!(made.0, 403, "{made:?}");
}

#[tokio::test]
async fn a_stolen_token_of_the_controller_runs_nothing_and_frees_nothing_that_lives() {
    let world = World::new("stolen-controller").await;
    let before = world.refuses_forbidden_changes(&world.controller).await;
    assert_eq!(world.object().await, before);
    let target = world.target("hcscontainers");
    let path = format!("{}/target", target.collection);
    let deleted = send(&world.admin, Method::DELETE, &path, None).await;
    assert!(deleted.0.is_success(), "{deleted:?}");
    let all = json!({"metadata": {"finalizers": null}});
    assert_eq!(world.patch(&world.controller, "", all).await.0, 403);
    let own = json!({"metadata": {"finalizers": ["example.com/keep"]}});
    assert_eq!(world.patch(&world.controller, "", own).await.0, 200);
    let leases = world.target("leases").collection;
    let lease = json!({"metadata": {"name": "another"}, "spec": {}});
    let made = send(&world.controller, Method::POST, &leases, Some(lease)).await;
    assert_eq!(made.0, 403, "{made:?}");
    world
        .admin_patches(&json!({"metadata": {"finalizers": null}}))
        .await;
}

#[tokio::test]
async fn a_stolen_token_publishes_no_event_in_the_name_of_another_or_about_anything_else() {
    let world = World::new("events").await;
    let target = world.target("events.k8s.io/events");
    let event = |change: fn(&mut Value)| {
        let mut event = target.object.clone();
        event["metadata"]["name"] = json!("target.2");
        change(&mut event);
        event
    };
    let attacks = [
        event(|event| event["reportingInstance"] = json!("evil")),
        event(|event| event["reportingController"] = json!("kubelet")),
        event(|event| event["regarding"]["kind"] = json!("Pod")),
        event(|event| event["regarding"]["apiVersion"] = json!("v1")),
        event(|event| event["regarding"]["kind"] = json!("HcsNode")),
    ];
    for event in attacks {
        let answer = send(
            &world.of_node,
            Method::POST,
            &target.collection,
            Some(event),
        )
        .await;
        assert_eq!(answer.0, 403, "{answer:?}");
    }
    let sound = send(
        &world.of_node,
        Method::POST,
        &target.collection,
        Some(event(|_| ())),
    )
    .await;
    assert!(sound.0.is_success(), "{sound:?}");
    // Counting another's up would change its time.
    let mine = target.patch.clone();
    let path = format!("{}/target.2", target.collection);
    assert_eq!(
        send(&world.of_other, Method::PATCH, &path, Some(mine))
            .await
            .0,
        403
    );
}

#[tokio::test]
async fn a_stolen_token_reads_no_secret_makes_no_token_and_is_nobody_else() {
    let world = World::new("reads").await;
    let namespaces = [world.scenario.namespace(), NAMESPACE, "kube-system"];
    for namespace in namespaces {
        for path in ["secrets", "configmaps", "pods", "serviceaccounts"] {
            let path = format!("/api/v1/namespaces/{namespace}/{path}");
            assert_eq!(
                send(&world.of_other, Method::GET, &path, None).await.0,
                403,
                "{path}"
            );
        }
        for account in ["default", "hcs-operator-agent", "hcs-operator-controller"] {
            let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token");
            let request = Some(json!({"spec": {}}));
            assert_eq!(
                send(&world.of_other, Method::POST, &path, request).await.0,
                403,
                "{path}"
            );
        }
    }
    for (header, value) in [
        ("impersonate-user", "system:admin"),
        (
            "impersonate-extra-authentication.kubernetes.io%2fnode-name",
            world.node.as_str(),
        ),
    ] {
        let target = world.target("hcscontainers");
        let request =
            http::Request::get(format!("{}/target", target.collection)).header(header, value);
        let answer = world
            .of_other
            .send(request.body(Vec::new().into()).unwrap())
            .await
            .unwrap();
        assert!(
            answer.status().is_client_error(),
            "{header}: {}",
            answer.status()
        );
    }
}
