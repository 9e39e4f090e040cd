//! The alerts ask for metrics that there are, of the services that there are.

use hcs_crds::{Phase, Reason, conditions};
use hcs_tests::{Container, Result, Scenario};
use regex::Regex;
use runhcs_sim::{Action, Fault, Point};

use crate::chart::Values;
use crate::objects::only;

/// The expressions of all alerts.
fn expressions() -> Vec<String> {
    let objects = Values::named("monitored").objects().unwrap();
    let groups = only(&objects, "PrometheusRule", "hcs-operator")["spec"]["groups"].clone();
    let rules = groups
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|it| it["rules"].as_array().unwrap().clone());
    let expressions: Vec<String> = rules
        .map(|it| it["expr"].as_str().unwrap().to_owned())
        .collect();
    assert!(!expressions.is_empty());
    expressions
}

fn found(pattern: &str) -> Vec<String> {
    let pattern = Regex::new(pattern).unwrap();
    let all = expressions().join("\n");
    let mut found: Vec<String> = pattern
        .captures_iter(&all)
        .map(|it| it[1].to_owned())
        .collect();
    found.sort();
    found.dedup();
    found
}

#[tokio::test]
async fn each_metric_of_an_alert_is_one_that_the_agent_has() -> Result {
    let scenario = Scenario::named("alerts").await?;
    let node = scenario.node().await?;
    let web = scenario
        .create(Container::named("web").on(&node).running_for_ever())
        .await?;
    web.becomes(Phase::Running).await?;
    // A counter of failures is there from the first one on.
    let action = Action::Fail {
        exit_code: 1,
        stderr: "no".to_owned(),
    };
    node.sim()
        .inject(Fault::new("create", Point::RecordWritten, action))
        .unwrap();
    let broken = scenario
        .create(Container::named("broken").on(&node).running_for_ever())
        .await?;
    broken
        .says(conditions::READY, "False", Reason::CreateFailed)
        .await?;
    let (_, metrics) = node.agent().get("/metrics").await?;
    for name in found("(hcs_operator_[a-z_]+)") {
        let family = name.trim_end_matches("_total").trim_end_matches("_bucket");
        let line = format!("# TYPE {family} ");
        assert!(metrics.contains(&line), "{name} is none of {metrics}");
    }
    node.sim().clear_faults().unwrap();
    scenario.leaves_nothing_on(&node).await
}

#[test]
fn each_job_of_an_alert_is_a_service() {
    let objects = Values::named("monitored").objects().unwrap();
    let jobs = found("job=\"([^\"]+)\"");
    assert_eq!(jobs.len(), 2);
    for job in jobs {
        let service = |it: &&serde_json::Value| {
            it["kind"] == "Service" && it["metadata"]["name"] == job.as_str()
        };
        assert!(
            objects.iter().any(|it| service(&it)),
            "there is no Service {job}"
        );
    }
}
