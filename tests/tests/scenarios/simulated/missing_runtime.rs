//! A node without its runhcs.

use std::fs;

use hcs_crds::{Phase, Reason, conditions};
use hcs_tests::{Container, Result, Scenario};

#[tokio::test]
async fn a_runhcs_that_comes_later_than_the_agent_is_used_then() -> Result {
    let scenario = Scenario::named("runhcs-later").await?;
    let node = scenario.node().await?;
    node.agent().stop();
    let (runhcs, away) = (node.machine().runhcs(), node.dir().join("away"));
    fs::rename(runhcs, &away).unwrap();
    node.agent().start_again()?;
    let web = Container::named("web").on(&node).running_for_ever();
    let web = scenario.create(web).await?;
    let said = web
        .says(
            conditions::RUNTIME_RESPONSIVE,
            "False",
            Reason::RuntimeMissing,
        )
        .await?;
    assert_eq!(said.status.unwrap().phase, Phase::Unknown);
    web.has_event(Reason::RuntimeMissing).await?;
    fs::rename(&away, runhcs).unwrap();
    web.becomes(Phase::Running).await?;
    web.becomes_ready().await?;
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn containers_run_on_while_runhcs_is_being_replaced() -> Result {
    let scenario = Scenario::named("runhcs-replaced").await?;
    let node = scenario.node().await?;
    let web = Container::named("web").on(&node).running_for_ever();
    let web = scenario.create(web).await?;
    let before = web.becomes(Phase::Running).await?.status.unwrap();
    let (runhcs, away) = (node.machine().runhcs(), node.dir().join("away"));
    fs::rename(runhcs, &away).unwrap();
    web.says(
        conditions::RUNTIME_RESPONSIVE,
        "False",
        Reason::RuntimeMissing,
    )
    .await?;
    web.has_event(Reason::RuntimeMissing).await?;
    fs::rename(&away, runhcs).unwrap();
    let after = web.becomes_ready().await?.status.unwrap();
    assert_eq!((after.attempt, after.pid), (before.attempt, before.pid));
    scenario.leaves_nothing_on(&node).await
}
