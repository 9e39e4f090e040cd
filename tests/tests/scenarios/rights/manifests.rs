//! What the roles in `manifests/` must never have, whatever a cluster makes of them.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use hcs_tests::{ControlPlane, binaries, eventually};
use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicy;
use kube::Api;
use regex::Regex;
use serde::Deserialize as _;
use serde_json::Value;

/// Every document of the YAML files in a folder of `manifests/`.
fn documents(folder: &str) -> Vec<Value> {
    let folder = binaries::workspace().join("manifests").join(folder);
    let files = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let texts = files
        .filter(|path| path.extension().is_some_and(|e| e == "yaml"))
        .map(|path| std::fs::read_to_string(path).unwrap());
    let read = |text: String| {
        let documents = serde_yaml_ng::Deserializer::from_str(&text);
        documents
            .map(|document| Value::deserialize(document).unwrap())
            .collect::<Vec<_>>()
    };
    texts.flat_map(read).collect()
}

/// The rules of all roles, each with its role's name.
fn rules() -> Vec<(String, Value)> {
    let roles = documents("rbac").into_iter().filter(|object| {
        ["Role", "ClusterRole"].contains(&object["kind"].as_str().unwrap_or_default())
    });
    let of_role = |role: Value| {
        let name = format!(
            "{} {}",
            role["kind"].as_str().unwrap(),
            role["metadata"]["name"].as_str().unwrap()
        );
        role["rules"]
            .as_array()
            .unwrap()
            .clone()
            .into_iter()
            .map(move |rule| (name.clone(), rule))
    };
    roles.flat_map(of_role).collect()
}

fn words<'a>(rule: &'a Value, field: &str) -> Vec<&'a str> {
    rule[field]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

#[test]
fn no_role_has_a_wildcard_or_a_way_to_more_rights() {
    let rules = rules();
    assert!(rules.len() >= 8, "only {}", rules.len());
    for (role, rule) in &rules {
        for field in ["apiGroups", "resources", "verbs", "nonResourceURLs"] {
            for word in words(rule, field) {
                assert!(!word.contains('*'), "{role}: {rule}");
            }
        }
        for verb in words(rule, "verbs") {
            assert!(
                !["escalate", "bind", "impersonate", "approve", "sign"].contains(&verb),
                "{role}: {rule}"
            );
        }
    }
}

#[test]
fn no_role_reads_secrets_or_reaches_pods_tokens_and_rights() {
    let never = [
        "secrets",
        "configmaps",
        "pods",
        "serviceaccounts",
        "daemonsets",
        "deployments",
        "namespaces",
    ];
    for (role, rule) in rules() {
        for resource in words(&rule, "resources") {
            let kind = resource.split('/').next().unwrap_or_default();
            assert!(!never.contains(&kind), "{role}: {rule}");
        }
        for group in words(&rule, "apiGroups") {
            let ours = [
                "",
                "hcs-operator.dev",
                "events.k8s.io",
                "coordination.k8s.io",
            ];
            assert!(ours.contains(&group), "{role}: {rule}");
        }
    }
}

#[test]
fn of_nodes_no_role_has_more_than_to_read_them() {
    for (role, rule) in rules() {
        let nodes = words(&rule, "resources")
            .iter()
            .any(|resource| resource.starts_with("nodes"));
        if nodes {
            assert_eq!(words(&rule, "resources"), ["nodes"], "{role}");
            for verb in words(&rule, "verbs") {
                assert!(["get", "list", "watch"].contains(&verb), "{role}: {rule}");
            }
            assert!(!role.ends_with("hcs-operator-agent"), "{role}: {rule}");
        }
    }
}

#[test]
fn roles_are_bound_to_the_two_service_accounts_alone_and_those_of_people_to_nobody() {
    let bindings: Vec<Value> = documents("rbac")
        .into_iter()
        .filter(|object| {
            object["kind"]
                .as_str()
                .is_some_and(|kind| kind.ends_with("Binding"))
        })
        .collect();
    assert!(bindings.len() >= 3, "only {}", bindings.len());
    for binding in bindings {
        let subjects = binding["subjects"].as_array().unwrap();
        assert_eq!(subjects.len(), 1, "{binding}");
        assert_eq!(subjects[0]["kind"], "ServiceAccount", "{binding}");
        // A role of its own each: what the controller may is no agent's business.
        assert_eq!(subjects[0]["name"], binding["roleRef"]["name"], "{binding}");
    }
}

/// The distinct texts that a pattern's first group finds in a file of the repository.
fn found(file: &str, pattern: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(binaries::workspace().join(file)).unwrap();
    let pattern = Regex::new(pattern).unwrap();
    pattern
        .captures_iter(&text)
        .map(|found| found[1].to_owned())
        .collect()
}

#[test]
fn the_parameters_of_the_host_policy_are_the_agents_settings_in_policy_chart_and_documents() {
    let policy = found(
        "manifests/policy/host-policy.yaml",
        r"variables\.data\[\??'(\w+)'\]",
    );
    assert!(policy.len() >= 10, "{policy:?}");
    let settings = found("docs/settings.md", r"\| `--[^|]*\|[^|]*\| `(\w+)` \|");
    let unknown: Vec<_> = policy.difference(&settings).collect();
    assert!(unknown.is_empty(), "no settings of the agent: {unknown:?}");
    let chart = "charts/hcs-operator/templates/policy/host-policy-parameters.yaml";
    let named = found(
        chart,
        r#"["{.]((?:\w+Roots)|allowed\w+|allow\w+|hostAccess|max\w+)\b"#,
    );
    assert_eq!(named, policy, "{chart}");
    let doc = std::fs::read_to_string(binaries::workspace().join("docs/security.md")).unwrap();
    let undocumented: Vec<_> = policy
        .iter()
        .filter(|key| !doc.contains(&format!("`{key}`")))
        .collect();
    assert!(
        undocumented.is_empty(),
        "not in docs/security.md: {undocumented:?}"
    );
}

#[test]
fn each_test_that_the_threat_table_names_is_there() {
    let doc = std::fs::read_to_string(binaries::workspace().join("docs/security.md")).unwrap();
    let (_, threats) = doc.split_once("\n## Threats\n").unwrap();
    let threats = threats.split("\n## ").next().unwrap();
    let rows = threats.lines().filter(|line| line.starts_with('|')).skip(2);
    let mut sources = String::new();
    for folder in ["tests/tests", "controller/src"] {
        read_sources(&binaries::workspace().join(folder), &mut sources);
    }
    let mut count = 0;
    for row in rows {
        let named = row.trim_matches('|').rsplit('|').next().unwrap();
        let named: Vec<&str> = named.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "no test shows that {row}");
        for test in named {
            assert!(
                sources.contains(&format!("fn {test}()")),
                "there is no test {test}"
            );
            count += 1;
        }
    }
    assert!(count >= 30, "only {count}");
}

/// The text of every Rust file below a folder.
fn read_sources(folder: &Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_sources(&path, text);
        } else if path.extension().is_some_and(|it| it == "rs") {
            text.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn each_policy_is_bound_refuses_and_fails_closed() {
    let documents = documents("policy");
    let of_kind = |kind: &str| -> Vec<&Value> {
        documents
            .iter()
            .filter(|object| object["kind"] == kind)
            .collect()
    };
    let policies = of_kind("ValidatingAdmissionPolicy");
    assert!(!policies.is_empty());
    for policy in policies {
        assert_eq!(policy["spec"]["failurePolicy"], "Fail");
        let binding = of_kind("ValidatingAdmissionPolicyBinding");
        let binding = binding
            .iter()
            .find(|binding| binding["spec"]["policyName"] == policy["metadata"]["name"]);
        let actions = &binding.unwrap()["spec"]["validationActions"];
        assert_eq!(actions[0], "Deny", "{policy}");
    }
}

#[tokio::test]
async fn the_api_server_finds_nothing_to_warn_of_in_the_policies() {
    let control_plane = ControlPlane::shared().await.unwrap();
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(control_plane.client().await.unwrap());
    for object in documents("policy") {
        if object["kind"] != "ValidatingAdmissionPolicy" {
            continue;
        }
        let name = object["metadata"]["name"].as_str().unwrap();
        let checked = eventually(
            Duration::from_mins(1),
            "the policy is type-checked",
            || async {
                let policy = policies.get(name).await.unwrap();
                let current = policy.metadata.generation;
                let status = policy.status.unwrap_or_default();
                let seen = status.observed_generation == current && status.type_checking.is_some();
                Ok(if seen { Ok(status) } else { Err(status) })
            },
        );
        let warnings = checked
            .await
            .unwrap()
            .type_checking
            .unwrap()
            .expression_warnings;
        assert_eq!(warnings, None, "{name}");
    }
}
