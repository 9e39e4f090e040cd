//! What the agents' and the controller's service accounts may do, and what they may not: a stolen
//! token must be worth as little as it can.
#![cfg(test)]

use hcs_tests::ControlPlane;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::api::{ListParams, PostParams};
use kube::{Api, Client, ResourceExt};

const AGENT: &str = "hcs-operator-agent";
const CONTROLLER: &str = "hcs-operator-controller";
const OURS: &str = "hcs-operator.dev";
const EVENTS: &str = "events.k8s.io";

async fn client() -> Client {
    ControlPlane::shared()
        .await
        .unwrap()
        .client()
        .await
        .unwrap()
}

/// Whether a service account may use a verb on `resource` (`plural` or `plural/subresource`) of an
/// API group, in any namespace.
async fn may(client: &Client, account: &str, verb: &str, group: &str, resource: &str) -> bool {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(format!(
                "system:serviceaccount:hcs-operator-system:{account}"
            )),
            resource_attributes: Some(ResourceAttributes {
                verb: Some(verb.to_owned()),
                group: Some(group.to_owned()),
                resource: Some(resource.to_owned()),
                subresource: Some(subresource.to_owned()),
                namespace: Some("default".to_owned()),
                ..ResourceAttributes::default()
            }),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    let reviews: Api<SubjectAccessReview> = Api::all(client.clone());
    let answer = reviews
        .create(&PostParams::default(), &review)
        .await
        .unwrap();
    answer.status.unwrap().allowed
}

#[tokio::test]
async fn agent_and_controller_may_do_their_work() {
    let client = client().await;
    for verb in ["get", "list", "watch", "patch", "delete"] {
        assert!(
            may(&client, AGENT, verb, OURS, "hcscontainers").await,
            "{verb}"
        );
    }
    for verb in ["list", "watch"] {
        assert!(
            may(&client, CONTROLLER, verb, OURS, "hcscontainers").await,
            "{verb}"
        );
    }
    assert!(may(&client, CONTROLLER, "get", "", "nodes").await);
    for account in [AGENT, CONTROLLER] {
        assert!(
            may(&client, account, "patch", OURS, "hcscontainers/status").await,
            "{account}"
        );
        for verb in ["create", "patch"] {
            assert!(
                may(&client, account, verb, EVENTS, "events").await,
                "{account} {verb}"
            );
        }
    }
}

#[tokio::test]
async fn neither_may_read_secrets_change_nodes_or_make_anything_that_runs() {
    let client = client().await;
    let forbidden = [
        ("", "secrets"),
        ("", "configmaps"),
        ("", "serviceaccounts/token"),
        ("", "pods"),
        ("", "pods/exec"),
        ("apps", "daemonsets"),
        ("rbac.authorization.k8s.io", "clusterroles"),
        ("apiextensions.k8s.io", "customresourcedefinitions"),
        (
            "admissionregistration.k8s.io",
            "validatingadmissionpolicies",
        ),
    ];
    for account in [AGENT, CONTROLLER] {
        for (group, resource) in forbidden {
            for verb in ["get", "list", "create", "update", "patch", "delete"] {
                let allowed = may(&client, account, verb, group, resource).await;
                assert!(!allowed, "{account} may {verb} {resource}");
            }
        }
        for verb in ["create", "update", "patch", "delete", "deletecollection"] {
            for resource in ["nodes", "nodes/status", "nodes/proxy"] {
                let allowed = may(&client, account, verb, "", resource).await;
                assert!(!allowed, "{account} may {verb} {resource}");
            }
        }
        for verb in ["create", "update", "deletecollection"] {
            let allowed = may(&client, account, verb, OURS, "hcscontainers").await;
            assert!(!allowed, "{account} may {verb} hcscontainers");
        }
    }
    assert!(!may(&client, AGENT, "get", "", "nodes").await);
    assert!(!may(&client, CONTROLLER, "list", "", "nodes").await);
    for verb in ["patch", "delete"] {
        assert!(
            !may(&client, CONTROLLER, verb, OURS, "hcscontainers").await,
            "{verb}"
        );
    }
}

#[tokio::test]
async fn no_role_of_ours_has_a_wildcard() {
    let roles: Api<ClusterRole> = Api::all(client().await);
    let ours = ListParams::default().labels("app.kubernetes.io/name=hcs-operator");
    let roles = roles.list(&ours).await.unwrap().items;
    assert!(roles.len() >= 4, "only {} roles", roles.len());
    for role in roles {
        for rule in role.rules.iter().flatten() {
            let words = [&rule.api_groups, &rule.resources]
                .into_iter()
                .flatten()
                .flatten();
            let any = words.chain(&rule.verbs).any(|word| word.contains('*'));
            assert!(!any, "{} has a wildcard: {rule:?}", role.name_any());
        }
    }
}
