//! The end of a container is seen through its shim's handle, with the exit code and at once: these nodes list their
//! containers once when the agent starts and then not for ten minutes.

use std::fs;
use std::time::Duration;

use hcs_crds::{Initiator, Phase, Reason, RestartPolicy, conditions};
use hcs_tests::live::has;
use hcs_tests::{Container, NodeOptions, Result, Scenario};

fn hardly_listing() -> NodeOptions {
    NodeOptions {
        relist_interval: Duration::from_mins(10),
        ..NodeOptions::default()
    }
}

#[tokio::test]
async fn exit_codes_are_seen_without_a_relist() -> Result {
    let scenario = Scenario::named("exits").await?;
    let node = scenario.node_with(hardly_listing()).await?;
    let end = node.dir().join("end");
    let mut jobs = Vec::new();
    for code in [0, 1, 42, 255] {
        let job = Container::named(&format!("job{code}")).on(&node).working([
            format!("--exit-code={code}"),
            format!("--until={}", node.path(&end)),
        ]);
        jobs.push((code, scenario.create(job).await?));
    }
    for (_, job) in &jobs {
        job.becomes(Phase::Running).await?;
    }
    fs::write(&end, "").unwrap();
    for (code, job) in jobs {
        let (phase, reason) = if code == 0 {
            (Phase::Stopped, Reason::Completed)
        } else {
            (Phase::Failed, Reason::ContainerFailed)
        };
        let object = job.becomes(phase).await?;
        assert_eq!(has(&object, conditions::READY, "True"), code == 0);
        assert_eq!(has(&object, conditions::STALLED, "True"), code != 0);
        let status = object.status.unwrap();
        let end = status.last_termination.unwrap();
        assert_eq!(end.exit_code, Some(code.into()));
        assert_eq!(end.exit_code_hex, Some(format!("0x{code:08X}")));
        assert_eq!(end.initiator, Initiator::Guest);
        assert!(end.started_at.is_some() && end.finished_at.is_some());
        assert_eq!((status.pid, status.started_at), (None, None));
        job.has_event(reason).await?;
    }
    let calls = node.calls()?;
    assert_eq!(calls.iter().filter(|verb| *verb == "list").count(), 1);
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn a_killed_shim_is_seen_at_once_and_its_container_is_made_anew() -> Result {
    let scenario = Scenario::named("shim-killed").await?;
    let node = scenario.node_with(hardly_listing()).await?;
    let web = Container::named("web").on(&node).running_for_ever();
    let web = scenario
        .create(web.restart_policy(RestartPolicy::Always))
        .await?;
    let before = web.becomes(Phase::Running).await?.status.unwrap();
    node.machine().kill_process(before.pid.unwrap());
    web.has_event(Reason::ContainerFailed).await?;
    let after = web.runs_again().await?.status.unwrap();
    assert_eq!(after.restart_count, 1);
    assert!(after.last_termination.unwrap().exit_code.is_some());
    let calls = node.calls()?;
    assert_eq!(calls.iter().filter(|verb| *verb == "list").count(), 1);
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn a_program_that_is_not_there_is_said_in_runhcs_words() -> Result {
    let scenario = Scenario::named("no-program").await?;
    let node = scenario.node().await?;
    let web = Container::named("web")
        .on(&node)
        .running::<String>("/nowhere/program", []);
    let web = scenario.create(web).await?;
    let failed = web.becomes(Phase::Failed).await?;
    let stalled = hcs_tests::live::condition_of(&failed, conditions::STALLED).unwrap();
    let words = "The system cannot find the file specified";
    assert!(stalled.message.contains(words), "{stalled:?}");
    let event = web.has_event(Reason::StartFailed).await?;
    assert!(event.message.unwrap().contains(words));
    scenario.is_at_rest_on(&node).await?;
    scenario.leaves_nothing_on(&node).await
}
