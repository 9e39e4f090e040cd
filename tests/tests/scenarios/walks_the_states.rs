//! Each desired state, reached from the one before, as the API server shows it.

use hcs_crds::{DesiredState, Phase, Tty};
use hcs_tests::live::observed;
use hcs_tests::{Container, Result, Scenario};
use serde_json::json;

#[tokio::test]
async fn a_container_walks_through_all_states() -> Result {
    let scenario = Scenario::named("walks").await?;
    let node = scenario.node().await?;
    let container = Container::named("walker")
        .on(&node)
        .hyperv()
        .tty(80, 25)
        .running_for_ever();
    let walker = scenario
        .create(container.desired(DesiredState::Created))
        .await?;
    walker.becomes(Phase::Created).await?;
    let steps = [
        (DesiredState::Running, Phase::Running),
        (DesiredState::Paused, Phase::Paused),
        (DesiredState::Running, Phase::Running),
        (DesiredState::Stopped, Phase::Stopped),
        (DesiredState::Running, Phase::Running),
        (DesiredState::Deleted, Phase::Deleted),
    ];
    for (desired, phase) in steps {
        walker.set_desired(desired).await?;
        walker.becomes(phase).await?;
        walker.becomes_ready().await?;
    }
    assert!(node.containers()?.is_empty());
    walker.delete().await?;
    walker.is_gone().await
}

#[tokio::test]
async fn a_console_is_resized_while_it_runs_and_again_after_a_restart() -> Result {
    let scenario = Scenario::named("resize").await?;
    let node = scenario.node().await?;
    let shell = scenario
        .create(
            Container::named("shell")
                .on(&node)
                .tty(80, 25)
                .running_for_ever(),
        )
        .await?;
    shell.becomes(Phase::Running).await?;
    shell
        .patch_spec(json!({"tty": {"width": 132, "height": 43}}))
        .await?;
    let wide = Tty {
        width: 132,
        height: 43,
    };
    shell
        .comes_to("has the new size", |object| {
            observed(object)
                && object
                    .status
                    .as_ref()
                    .is_some_and(|status| status.tty == Some(wide))
        })
        .await?;
    assert_eq!(
        node.calls()?
            .iter()
            .filter(|verb| *verb == "resize-tty")
            .count(),
        1
    );
    shell.patch_spec(json!({"restartRequest": "again"})).await?;
    shell
        .comes_to(
            "is Running as a second attempt, with the new size",
            |object| {
                let status = object.status.as_ref();
                status.is_some_and(|status| {
                    status.attempt == Some(2)
                        && status.phase == Phase::Running
                        && status.tty == Some(wide)
                })
            },
        )
        .await?;
    Ok(())
}
