//! What the agent stands on gives way: an API server that does not answer or refuses, its data folder, a pid that is
//! another's.

use std::time::Duration;

use hcs_crds::{Phase, RestartPolicy};
use hcs_tests::process::alive;
use hcs_tests::proxy::Mood;
use hcs_tests::{Container, Live, Node, NodeOptions, PATIENCE, Result, Scenario, eventually};

use crate::nodes::leaves_nothing_and_says_so;

/// Requests that an agent may make over five lists, a second each, while none succeeds.
const CALM: usize = 60;
/// Statuses that say that a container has ended, is being made, runs again, and has these processes: as many where each
/// step takes over a second, else fewer.
const STATUSES: usize = 4;

async fn always(scenario: &Scenario, node: &Node) -> Result<Live> {
    let web = Container::named("web").on(node).running_for_ever();
    let web = web.restart_policy(RestartPolicy::Always);
    let web = scenario.create(web).await?;
    web.becomes(Phase::Running).await?;
    Ok(web)
}

/// Waits until this attempt runs and no other is there.
async fn runs_alone(node: &Node, web: &Live, attempt: u32) -> Result {
    let id = format!("hc-{}-{attempt}", web.uid());
    eventually(PATIENCE, &format!("{id} runs"), || async {
        let now = node.sim().containers().unwrap();
        let now: Vec<_> = now.into_iter().map(|c| (c.id, c.status)).collect();
        Ok(if now == [(id.clone(), "running".to_owned())] {
            Ok(())
        } else {
            Err((now, node.agent().log_tail(20)))
        })
    })
    .await
}

/// While the API server is like this, a container that ends is made again, and the agent does not press; afterwards it
/// says so, in no more words than ever.
async fn goes_on_while(name: &str, mood: Mood) -> Result {
    let scenario = Scenario::named(name).await?;
    let options = NodeOptions {
        proxied: true,
        ..NodeOptions::default()
    };
    let node = scenario.node_with(options).await?;
    let web = always(&scenario, &node).await?;
    let audit = scenario.audit_from_now();
    node.proxy().is(mood);
    node.sim()
        .kill_shim(&format!("hc-{}-1", web.uid()))
        .unwrap();
    runs_alone(&node, &web, 2).await?;
    node.relists(5).await?;
    assert!(
        node.proxy().asked() <= CALM,
        "{} requests",
        node.proxy().asked()
    );
    node.proxy().is(Mood::Honest);
    web.runs_as(2).await?;
    let of_web = |write: &hcs_tests::audit::Write| {
        write.node == node.name() && write.resource == "hcscontainers" && write.name == web.name()
    };
    let writes = audit.writes()?.into_iter().filter(of_web);
    let writes: Vec<_> = writes.collect();
    assert!(writes.len() <= STATUSES, "{writes:#?}");
    runs_alone(&node, &web, 2).await?;
    leaves_nothing_and_says_so(&scenario, &node).await
}

#[tokio::test]
async fn an_api_server_that_answers_nothing_holds_up_no_container() -> Result {
    goes_on_while("api-silent", Mood::Silent).await
}

#[tokio::test]
async fn an_api_server_that_is_asked_too_much_is_left_in_peace() -> Result {
    goes_on_while("api-429", Mood::Refusing(429)).await
}

#[tokio::test]
async fn an_api_server_that_fails_holds_up_no_container() -> Result {
    goes_on_while("api-500", Mood::Refusing(500)).await
}

#[tokio::test]
async fn an_api_server_that_is_slow_holds_up_no_container() -> Result {
    goes_on_while("api-slow", Mood::Slow(Duration::from_secs(2))).await
}

#[tokio::test]
async fn a_data_folder_that_is_deleted_while_the_agent_runs_is_made_again() -> Result {
    let scenario = Scenario::named("data-deleted").await?;
    let node = scenario.node().await?;
    let web = always(&scenario, &node).await?;
    // At once, as the agent goes on putting files into it.
    let deleted = node.dir().join("deleted");
    std::fs::rename(node.agent().data_dir(), &deleted).unwrap();
    std::fs::remove_dir_all(deleted).unwrap();
    node.sim()
        .kill_shim(&format!("hc-{}-1", web.uid()))
        .unwrap();
    runs_alone(&node, &web, 2).await?;
    web.runs_as(2).await?;
    let record = format!("records/{}.json", web.uid());
    assert!(node.agent().data_dir().join(record).exists());
    leaves_nothing_and_says_so(&scenario, &node).await
}

#[tokio::test]
#[expect(
    clippy::zombie_processes,
    reason = "only a failure leaves it, with which the test ends"
)]
async fn a_process_that_has_got_the_pid_of_a_shim_is_neither_waited_for_nor_touched() -> Result {
    let scenario = Scenario::named("pid-reused").await?;
    let node = scenario.node().await?;
    let web = always(&scenario, &node).await?;
    node.agent().kill();
    node.sim()
        .kill_shim(&format!("hc-{}-1", web.uid()))
        .unwrap();
    let mut foreign = std::process::Command::new("sleep")
        .arg("600")
        .spawn()
        .unwrap();
    let record = node.agent().data_dir().join("records");
    let record = record.join(format!("{}.json", web.uid()));
    let text = std::fs::read(&record).unwrap();
    let mut known: serde_json::Value = serde_json::from_slice(&text).unwrap();
    known["shim"]["pid"] = foreign.id().into();
    std::fs::write(&record, known.to_string()).unwrap();
    node.agent().start_again()?;
    // Whoever waited for it would wait for ten minutes.
    runs_alone(&node, &web, 2).await?;
    web.runs_as(2).await?;
    leaves_nothing_and_says_so(&scenario, &node).await?;
    assert!(alive(foreign.id()) && foreign.try_wait().unwrap().is_none());
    foreign.kill().unwrap();
    foreign.wait().unwrap();
    Ok(())
}
