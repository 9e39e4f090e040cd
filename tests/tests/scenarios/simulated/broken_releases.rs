//! Releases of hcsshim whose runhcs runs no container: the agent says so, with what to do, and goes on once the node has
//! one that works.

use hcs_crds::{Phase, Reason, conditions};
use hcs_tests::live::condition_of;
use hcs_tests::{Container, Node, Result, Scenario};
use runhcs_sim::{Release, Settings};

fn be_as(node: &Node, release: Release) {
    let settings = Settings {
        release,
        ..node.sim().settings().unwrap()
    };
    node.sim().set_settings(&settings).unwrap();
}

async fn is_said_and_healed(release: Release, name: &str, words: &str) -> Result {
    let scenario = Scenario::named(name).await?;
    let node = scenario.node().await?;
    be_as(&node, release);
    node.agent().crash_and_restart().await?;
    let web = Container::named("web").on(&node).running_for_ever();
    let web = scenario
        .create(web.with(|spec| spec.restart_policy = hcs_crds::RestartPolicy::Always))
        .await?;
    let said = web
        .says(conditions::READY, "False", Reason::Unsupported)
        .await?;
    let message = &condition_of(&said, conditions::READY).unwrap().message;
    assert!(message.contains(words), "{message}");
    assert!(message.contains("install runhcs v0.11.7"), "{message}");
    web.has_event(Reason::Unsupported).await?;
    be_as(&node, Release::V0_11);
    web.becomes(Phase::Running).await?;
    web.becomes_ready().await?;
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn a_runhcs_that_hands_on_no_layers_is_said_to_be_unsupported() -> Result {
    is_said_and_healed(Release::V0_13, "as-v013", "invalid layer type <nil>").await
}

#[tokio::test]
async fn a_runhcs_whose_shim_crashes_is_said_to_be_unsupported() -> Result {
    is_said_and_healed(
        Release::V0_12,
        "as-v012",
        "unknown shim failure, exit code 2",
    )
    .await
}
