//! What happens to a container when its object, its agent or its node goes and comes.

use hcs_crds::{Phase, RestartPolicy};
use hcs_tests::{Container, Result, Scenario};

#[tokio::test]
async fn a_deleted_object_takes_its_container_along() -> Result {
    let scenario = Scenario::named("deleted").await?;
    let node = scenario.node().await?;
    let web = scenario
        .create(Container::named("web").on(&node).running_for_ever())
        .await?;
    let object = web.becomes(Phase::Running).await?;
    let shim = object.status.unwrap().pid.unwrap();
    web.delete().await?;
    web.is_gone().await?;
    assert!(node.containers()?.is_empty());
    assert!(!node.has_process(shim));
    Ok(())
}

#[tokio::test]
async fn an_object_deleted_right_after_its_creation_leaves_nothing() -> Result {
    let scenario = Scenario::named("deleted-at-once").await?;
    let node = scenario.node().await?;
    let web = scenario
        .create(Container::named("web").on(&node).running_for_ever())
        .await?;
    web.delete().await?;
    web.is_gone().await?;
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn an_exited_container_shows_its_exit_code() -> Result {
    let scenario = Scenario::named("exit-code").await?;
    let node = scenario.node().await?;
    let job = scenario
        .create(Container::named("job").on(&node).exiting_with(7))
        .await?;
    let object = job
        .comes_to("has ended", |object| {
            object
                .status
                .as_ref()
                .is_some_and(|status| status.last_termination.is_some())
        })
        .await?;
    let end = object.status.unwrap().last_termination.unwrap();
    assert_eq!(end.exit_code, Some(7));
    Ok(())
}

#[tokio::test]
async fn exited_container_with_restart_always_is_recreated() -> Result {
    let scenario = Scenario::named("restart-always").await?;
    let node = scenario.node().await?;
    let container = Container::named("flapping").on(&node).exiting_after(100, 3);
    let flapping = scenario
        .create(container.restart_policy(RestartPolicy::Always))
        .await?;
    let object = flapping
        .comes_to("has restarted twice", |object| {
            object
                .status
                .as_ref()
                .is_some_and(|status| status.restart_count >= 2)
        })
        .await?;
    let status = object.status.unwrap();
    assert_eq!(status.last_termination.unwrap().exit_code, Some(3));
    assert!(status.attempt >= Some(3));
    Ok(())
}

#[tokio::test]
async fn a_container_survives_its_agents_crash_and_is_adopted() -> Result {
    let scenario = Scenario::named("crash").await?;
    let node = scenario.node().await?;
    let web = scenario
        .create(Container::named("web").on(&node).running_for_ever())
        .await?;
    let before = web.becomes(Phase::Running).await?.status.unwrap();
    node.agent().crash_and_restart().await?;
    node.relists(2).await?;
    let after = web.becomes(Phase::Running).await?.status.unwrap();
    assert_eq!(
        (before.pid, before.container_id),
        (after.pid, after.container_id)
    );
    assert_eq!(
        node.calls()?
            .iter()
            .filter(|verb| *verb == "create")
            .count(),
        1
    );
    Ok(())
}

#[tokio::test]
async fn a_rebooted_node_gets_its_containers_back_without_a_backoff() -> Result {
    let scenario = Scenario::named("reboot").await?;
    let node = scenario.node().await?;
    let web = Container::named("web").on(&node).running_for_ever();
    let web = scenario
        .create(web.restart_policy(RestartPolicy::Always))
        .await?;
    let before = web.becomes(Phase::Running).await?.status.unwrap();
    node.reboot().await?;
    let after = web
        .comes_to("is Running again after the reboot", |object| {
            object.status.as_ref().is_some_and(|status| {
                status.phase == Phase::Running && status.boot_id != before.boot_id
            })
        })
        .await?;
    assert!(after.status.unwrap().backoff.is_none());
    Ok(())
}
