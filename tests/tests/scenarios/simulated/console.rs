//! A console's size: set at create, on each change, and again after a restart.

use hcs_crds::{Phase, Reason, Tty};
use hcs_tests::live::observed;
use hcs_tests::{Container, Live, Node, Result, Scenario};
use serde_json::json;

async fn has_size(node: &Node, object: &Live, width: u16, height: u16, attempt: u32) -> Result {
    let what = format!("has {width} x {height} cells as attempt {attempt}");
    let size = Some(Tty { width, height });
    let now = object
        .comes_to(&what, |object| {
            let status = object.status.as_ref();
            observed(object)
                && status.is_some_and(|status| {
                    status.tty == size
                        && status.attempt == Some(attempt)
                        && status.phase == Phase::Running
                })
        })
        .await?;
    let id = now.status.unwrap().container_id.unwrap();
    let shown = node.sim().container(&id).unwrap();
    let size = shown.terminal_size.unwrap();
    assert_eq!((size.width, size.height), (width.into(), height.into()));
    assert!(shown.processes[0].terminal);
    Ok(())
}

#[tokio::test]
async fn a_console_has_its_size_from_create_on_and_after_each_change_and_restart() -> Result {
    let scenario = Scenario::named("console").await?;
    let node = scenario.node().await?;
    let shell = Container::named("shell").on(&node).running_for_ever();
    let shell = scenario.create(shell.tty(80, 25)).await?;
    has_size(&node, &shell, 80, 25, 1).await?;
    assert_eq!(node.sim().count("resize-tty").unwrap(), 0);
    shell
        .patch_spec(json!({"tty": {"width": 65535, "height": 1}}))
        .await?;
    has_size(&node, &shell, 65535, 1, 1).await?;
    shell.has_event(Reason::Resized).await?;
    shell.patch_spec(json!({"restartRequest": "1"})).await?;
    has_size(&node, &shell, 65535, 1, 2).await?;
    assert_eq!(node.sim().count("resize-tty").unwrap(), 1);
    // A change that no agent saw is made up for.
    node.agent().kill();
    shell
        .patch_spec(json!({"tty": {"width": 100, "height": 40}}))
        .await?;
    node.agent().start_again()?;
    has_size(&node, &shell, 100, 40, 2).await?;
    shell
        .has_event_saying(Reason::Resized, "100 columns")
        .await?;
    scenario.is_at_rest_on(&node).await?;
    scenario.leaves_nothing_on(&node).await
}
