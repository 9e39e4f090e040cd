//! From `kubectl apply` to Running: the state that most containers are in most of the time, and what it costs.

use hcs_crds::{Phase, conditions};
use hcs_tests::live::condition_of;
use hcs_tests::{Container, Result, Scenario};

use crate::nodes::page_comes_to;

#[tokio::test]
async fn an_applied_container_reaches_running_and_says_so() -> Result {
    let scenario = Scenario::named("reaches-running").await?;
    let node = scenario.node().await?;
    let web = scenario
        .create(Container::named("web").on(&node).running_for_ever())
        .await?;
    web.becomes(Phase::Running).await?;
    let object = web.becomes_ready().await?;
    let status = object.status.as_ref().unwrap();
    assert_eq!(
        status.container_id.as_deref(),
        Some(format!("hc-{}-1", web.uid()).as_str())
    );
    assert_eq!(status.attempt, Some(1));
    assert!(status.pid.is_some_and(|pid| node.has_process(pid)));
    assert_eq!(status.processes.as_ref().unwrap().count, 1);
    assert!(condition_of(&object, conditions::RECONCILING).is_none());
    assert!(condition_of(&object, conditions::STALLED).is_none());
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn to_become_running_costs_three_processes_and_two_writes() -> Result {
    let scenario = Scenario::named("cost").await?;
    let node = scenario.node().await?;
    let audit = scenario.audit_from_now();
    let web = scenario
        .create(Container::named("web").on(&node).running_for_ever())
        .await?;
    let asked = std::time::Instant::now();
    web.becomes(Phase::Running).await?;
    // A node that takes longer says in between that it is creating the container.
    let interim = usize::from(asked.elapsed() > std::time::Duration::from_secs(1));
    let verbs: Vec<String> = node
        .calls()?
        .into_iter()
        .filter(|verb| verb != "list")
        .collect();
    assert_eq!(verbs, ["create", "start", "ps"]);
    let writes: Vec<_> = audit
        .writes()?
        .into_iter()
        .filter(|write| write.node == node.name())
        .collect();
    let of_object = writes
        .iter()
        .filter(|write| write.resource == "hcscontainers")
        .count();
    assert!(of_object <= 2 + interim, "{writes:#?}");
    Ok(())
}

#[tokio::test]
async fn a_steady_state_writes_nothing_and_only_lists() -> Result {
    let scenario = Scenario::named("steady").await?;
    let node = scenario.node().await?;
    let web = scenario
        .create(Container::named("web").on(&node).running_for_ever())
        .await?;
    web.becomes_ready().await?;
    // What follows Running.
    page_comes_to(&scenario, node.name(), "counts it", |status| {
        status.containers.running == 1
    })
    .await?;
    node.relists(2).await?;
    let audit = scenario.audit_from_now();
    let before = node.calls()?.len();
    node.relists(3).await?;
    let calls = node.calls()?.split_off(before);
    assert!(calls.iter().all(|verb| verb == "list"), "{calls:?}");
    assert_eq!(audit.count(|write| write.node == node.name())?, 0);
    Ok(())
}

#[tokio::test]
async fn many_containers_of_one_node_reach_running_side_by_side() -> Result {
    let scenario = Scenario::named("many").await?;
    let node = scenario.node().await?;
    let mut all = Vec::new();
    for number in 0..12 {
        let container = Container::named(&format!("c{number}"))
            .on(&node)
            .running_for_ever();
        all.push(scenario.create(container).await?);
    }
    for container in &all {
        container.becomes(Phase::Running).await?;
    }
    assert_eq!(node.containers()?.len(), all.len());
    scenario.leaves_nothing_on(&node).await
}
