//! A runhcs whose `list` does not answer as it should: then nothing is known, and nothing may be done.

use hcs_crds::{Phase, Reason, conditions};
use hcs_tests::{Container, NodeOptions, Result, Scenario};
use runhcs_sim::{Action, Fault, Point};

use super::{dies, fails, hangs};

/// While `list` is like this, the containers stay as they are and the objects say why; afterwards all is well again.
async fn nothing_is_done_while(name: &str, fault: Fault, reason: Reason) -> Result {
    let scenario = Scenario::named(name).await?;
    // Only a list that hangs is waited for. Any other call must be able to take its time on a busy machine.
    let deadline: &[&str] = if fault.action == Action::Hang {
        &["--runhcs-timeout", "8s"]
    } else {
        &[]
    };
    let options = NodeOptions {
        args: deadline.iter().map(|&arg| arg.to_owned()).collect(),
        ..NodeOptions::default()
    };
    let node = scenario.node_with(options).await?;
    let web = Container::named("web").on(&node).running_for_ever();
    let web = scenario.create(web).await?;
    let before = web.becomes(Phase::Running).await?.status.unwrap();
    let flag = node.dir().join("end");
    let job = Container::named("job").on(&node).working([
        format!("--until={}", node.path(&flag)),
        "--exit-code=5".to_owned(),
    ]);
    let job = scenario.create(job).await?;
    job.becomes(Phase::Running).await?;
    node.sim().inject(fault).unwrap();
    let unknown = web
        .says(conditions::RUNTIME_RESPONSIVE, "False", reason)
        .await?;
    assert_eq!(unknown.status.unwrap().phase, Phase::Unknown);
    web.has_event(reason).await?;
    let (status, _) = node.agent().get("/readyz").await?;
    assert_eq!(status, 503);
    // What ends, what is asked for and what is deleted meanwhile waits.
    std::fs::write(&flag, "").unwrap();
    web.patch_spec(serde_json::json!({"restartRequest": "1"}))
        .await?;
    job.delete().await?;
    let activity = scenario.activity(&node, 3).await?;
    assert!(activity.commands.is_empty(), "{activity:#?}");
    // That the newest specs and the end were seen, once each, and an Event for each object. The node's own page says
    // it too, beside them.
    let of_objects = activity
        .writes
        .iter()
        .filter(|write| write.resource != "hcsnodes");
    assert!(of_objects.count() <= 5, "{activity:#?}");
    assert_eq!(node.containers()?.len(), 2);
    assert!(node.has_process(before.pid.unwrap()));
    node.sim().clear_faults().unwrap();
    job.is_gone().await?;
    let after = web.becomes(Phase::Running).await?.status.unwrap();
    assert_eq!(after.attempt, Some(2));
    web.says(
        conditions::RUNTIME_RESPONSIVE,
        "True",
        Reason::RuntimeResponds,
    )
    .await?;
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn nothing_is_done_while_list_fails() -> Result {
    nothing_is_done_while(
        "list-fails",
        fails("list", Point::Begin),
        Reason::ListFailed,
    )
    .await
}

#[tokio::test]
async fn nothing_is_done_while_list_hangs() -> Result {
    nothing_is_done_while("list-hangs", hangs("list"), Reason::RuntimeHung).await
}

#[tokio::test]
async fn nothing_is_done_while_list_dies() -> Result {
    nothing_is_done_while(
        "list-dies",
        dies("list", Point::Output),
        Reason::RuntimeFailed,
    )
    .await
}

#[tokio::test]
async fn nothing_is_done_while_list_prints_garbage() -> Result {
    let garbage = Action::Garbage {
        stdout: "<html>502 Bad Gateway</html>".to_owned(),
    };
    nothing_is_done_while(
        "list-garbage",
        Fault::new("list", Point::Output, garbage),
        Reason::RuntimeBadOutput,
    )
    .await
}

#[tokio::test]
async fn nothing_is_done_while_lists_are_cut_off() -> Result {
    nothing_is_done_while(
        "list-cut",
        Fault::new("list", Point::Output, Action::Truncate { bytes: 100 }),
        Reason::RuntimeBadOutput,
    )
    .await
}

#[tokio::test]
async fn one_list_that_fails_alone_is_not_worth_a_word() -> Result {
    let scenario = Scenario::named("list-once").await?;
    let node = scenario.node().await?;
    let web = Container::named("web").on(&node).running_for_ever();
    let web = scenario.create(web).await?;
    web.becomes_ready().await?;
    node.relists(2).await?;
    node.sim()
        .inject(fails("list", Point::Begin).times(1))
        .unwrap();
    scenario.is_at_rest_on(&node).await?;
    scenario.leaves_nothing_on(&node).await
}
