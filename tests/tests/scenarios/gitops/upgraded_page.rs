//! A node's page that an earlier version, or a newer one, left on the API server.

use std::fs;

use hcs_crds::{HcsNode, HcsNodeStatus};
use hcs_tests::{Error, Result, Scenario};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::recorded::{PageCase, page_file};
use super::upgrade::shift;
use crate::nodes::{condition, page_comes_to};

/// How long ago a page was left.
const AGO: SignedDuration = SignedDuration::from_hours(24);
/// The version that a page is from, for today's agent to write over.
const FORMER: &str = "0.0.1";

/// Puts the recorded page in place of the one that is there, as its agent would have.
async fn put(scenario: &Scenario, node: &str, change: fn(&mut Value)) -> Result<HcsNodeStatus> {
    let text = fs::read_to_string(page_file("v0.1.0")).unwrap();
    let case: PageCase = serde_json::from_str(&text).unwrap();
    let mut status = case.status;
    let by = Timestamp::now().duration_since(case.recorded_at) - AGO;
    shift(&mut status, SignedDuration::from_secs(by.as_secs()));
    status["agentVersion"] = json!(FORMER);
    change(&mut status);
    let page = json!({
        "apiVersion": "hcs-operator.dev/v1alpha1",
        "kind": "HcsNode",
        "metadata": {"name": node},
        "status": status,
    });
    let params = PatchParams::apply(&format!("hcs-operator-agent-{node}")).force();
    let pages: Api<HcsNode> = Api::all(scenario.client());
    let written = pages.patch_status(node, &params, &Patch::Apply(page)).await;
    let written = written.map_err(Error::api("write a recorded page"))?;
    Ok(written.status.unwrap())
}

async fn is_taken_over(name: &str, change: fn(&mut Value)) -> Result {
    let scenario = Scenario::named(name).await?;
    let node = scenario.node().await?;
    let own = page_comes_to(&scenario, node.name(), "is known", |status| {
        condition(status, "Ready") == "True AgentReady"
    })
    .await?;
    node.agent().stop();
    let left = put(&scenario, node.name(), change).await?;
    node.agent().start_again()?;
    let now = page_comes_to(&scenario, node.name(), "is today's", |status| {
        status.agent_version == own.agent_version
    })
    .await?;
    assert_ne!(own.agent_version.as_deref(), Some(FORMER));
    // A condition that speaks of the machine, such as its room on disk, may have become another since.
    let mut stayed = 0;
    for now in &now.conditions {
        let left = left.conditions.iter().find(|left| left.type_ == now.type_);
        if let Some(left) = left.filter(|left| left.status == now.status) {
            assert_eq!(now.last_transition_time, left.last_transition_time);
            stayed += 1;
        }
    }
    assert!(stayed >= 2, "{left:#?} {now:#?}");
    let named = |status: &HcsNodeStatus| -> Vec<_> {
        let all = status.capabilities.iter();
        all.map(|c| (c.name.clone(), c.supported)).collect()
    };
    assert_eq!(named(&now), named(&own));
    assert_eq!((now.boot_id, now.os_build), (own.boot_id, own.os_build));
    assert_eq!(
        (now.containers, now.inventory),
        (own.containers, own.inventory)
    );
    let types =
        |all: &[hcs_crds::Condition]| -> Vec<_> { all.iter().map(|c| c.type_.clone()).collect() };
    assert_eq!(types(&now.conditions), types(&own.conditions));
    scenario.is_at_rest_on(&node).await
}

#[tokio::test]
async fn a_page_that_v0_1_0_left_is_brought_up_to_date_and_keeps_its_times() -> Result {
    is_taken_over("page-upgrade", |_| {}).await
}

#[tokio::test]
async fn a_page_that_a_newer_version_left_loses_what_is_not_known_of_it() -> Result {
    is_taken_over("page-downgrade", |status| {
        let capability = json!({"name": "Teleport", "supported": "True", "message": "it does"});
        status["capabilities"]
            .as_array_mut()
            .unwrap()
            .push(capability);
        let mut condition = status["conditions"][0].clone();
        condition["type"] = json!("FromTheFuture");
        status["conditions"].as_array_mut().unwrap().push(condition);
    })
    .await
}
