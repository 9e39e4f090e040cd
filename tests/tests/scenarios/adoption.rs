//! Containers go on without their agent, and the next agent takes them over: with what the last one wrote down, and
//! without it.

use std::fs;
use std::path::PathBuf;

use hcs_crds::{HcsContainerStatus, Phase, Reason, RestartPolicy, conditions};
use hcs_tests::{Container, Live, Node, Result, Scenario};

fn record_of(node: &Node, object: &Live) -> PathBuf {
    let name = format!("{}.json", object.uid());
    node.agent().data_dir().join("records").join(name)
}

/// A container that ends with exit code 9 once the file is there.
fn until(node: &Node, file: &str) -> Container {
    let file = node.path(node.dir().join(file));
    Container::named("job")
        .on(node)
        .working(["--exit-code=9".to_owned(), format!("--until={file}")])
}

async fn runs_as_before(web: &Live, before: &HcsContainerStatus) -> Result {
    let after = web.becomes_ready().await?.status.unwrap();
    assert_eq!(
        (after.pid, &after.container_id, after.attempt),
        (before.pid, &before.container_id, before.attempt)
    );
    Ok(())
}

async fn an_exit_after_a_restart_has_its_code(name: &str, end: fn(&Node)) -> Result {
    let scenario = Scenario::named(name).await?;
    let node = scenario.node().await?;
    let job = scenario.create(until(&node, "end")).await?;
    let before = job.becomes_ready().await?.status.unwrap();
    end(&node);
    assert!(node.has_process(before.pid.unwrap()));
    node.agent().start_again()?;
    node.agent().ready().await?;
    scenario.is_at_rest_on(&node).await?;
    runs_as_before(&job, &before).await?;
    fs::write(node.dir().join("end"), "").unwrap();
    let end = job.becomes(Phase::Failed).await?.status.unwrap();
    assert_eq!(end.last_termination.unwrap().exit_code, Some(9));
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn an_exit_after_the_agents_crash_still_has_its_code() -> Result {
    an_exit_after_a_restart_has_its_code("crashed", |node| node.agent().kill()).await
}

#[tokio::test]
async fn an_exit_after_the_agents_upgrade_still_has_its_code() -> Result {
    an_exit_after_a_restart_has_its_code("upgraded", |node| node.agent().stop()).await
}

#[tokio::test]
async fn an_exit_that_no_agent_saw_counts_as_a_failure() -> Result {
    let scenario = Scenario::named("unseen").await?;
    let node = scenario.node().await?;
    let never = scenario.create(until(&node, "end")).await?;
    let always = Container::named("web").on(&node).running_for_ever();
    let always = always.restart_policy(RestartPolicy::OnFailure);
    let always = scenario.create(always).await?;
    never.becomes(Phase::Running).await?;
    let shim = always.becomes(Phase::Running).await?.status.unwrap().pid;
    node.agent().kill();
    fs::write(node.dir().join("end"), "").unwrap();
    node.machine().kill_process(shim.unwrap());
    let job = never.status().await?.pid.unwrap();
    hcs_tests::eventually(hcs_tests::PATIENCE, "both have ended", || async {
        let left: Vec<u32> = [job, shim.unwrap()]
            .into_iter()
            .filter(|pid| node.has_process(*pid))
            .collect();
        Ok(if left.is_empty() { Ok(()) } else { Err(left) })
    })
    .await?;
    node.agent().start_again()?;
    never
        .says(conditions::STALLED, "True", Reason::ContainerFailed)
        .await?;
    let status = never.status().await?;
    assert_eq!(status.phase, Phase::Failed);
    // The code is gone with the process, unless nobody has buried that yet.
    let code = status.last_termination.unwrap().exit_code;
    assert!(matches!(code, None | Some(9)), "{code:?}");
    never.has_event(Reason::ContainerFailed).await?;
    let restarted = always.runs_again().await?;
    assert_eq!(restarted.status.unwrap().restart_count, 1);
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn a_container_without_a_record_is_taken_over_as_it_runs() -> Result {
    let scenario = Scenario::named("no-record").await?;
    let node = scenario.node().await?;
    let web = Container::named("web").on(&node).running_for_ever();
    let web = scenario.create(web).await?;
    let before = web.becomes_ready().await?.status.unwrap();
    node.agent().kill();
    fs::remove_dir_all(node.agent().data_dir().join("records")).unwrap();
    node.agent().start_again()?;
    web.has_event(Reason::Adopted).await?;
    runs_as_before(&web, &before).await?;
    // It is watched again, too.
    node.machine().kill_process(before.pid.unwrap());
    let end = web.becomes(Phase::Failed).await?.status.unwrap();
    assert!(end.last_termination.unwrap().exit_code.is_some());
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn an_unreadable_record_is_set_aside_and_its_container_taken_over() -> Result {
    let scenario = Scenario::named("bad-record").await?;
    let node = scenario.node().await?;
    let web = Container::named("web").on(&node).running_for_ever();
    let web = scenario.create(web).await?;
    let other = Container::named("other").on(&node).running_for_ever();
    let other = scenario.create(other).await?;
    let before = web.becomes_ready().await?.status.unwrap();
    let before_other = other.becomes_ready().await?.status.unwrap();
    node.agent().kill();
    let record = record_of(&node, &web);
    let text = fs::read(&record).unwrap();
    fs::write(&record, &text[..text.len() / 2]).unwrap();
    node.agent().start_again()?;
    let event = web.has_event(Reason::RecordUnreadable).await?;
    runs_as_before(&web, &before).await?;
    runs_as_before(&other, &before_other).await?;
    let aside = record.with_extension("unreadable");
    assert!(aside.exists() && record.exists());
    let file = aside.file_name().unwrap().to_str().unwrap();
    assert!(event.message.is_some_and(|message| message.contains(file)));
    fs::remove_file(aside).unwrap();
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn an_object_deleted_while_its_record_was_lost_takes_its_container_along() -> Result {
    let scenario = Scenario::named("lost-both").await?;
    let node = scenario.node().await?;
    let web = Container::named("web").on(&node).running_for_ever();
    let web = scenario.create(web).await?;
    web.becomes(Phase::Running).await?;
    node.agent().kill();
    fs::remove_dir_all(node.agent().data_dir().join("records")).unwrap();
    web.delete().await?;
    node.agent().start_again()?;
    web.is_gone().await?;
    assert!(node.containers()?.is_empty());
    scenario.leaves_nothing_on(&node).await
}

#[tokio::test]
async fn a_completed_container_stays_completed_when_its_record_is_lost() -> Result {
    let scenario = Scenario::named("done-record").await?;
    let node = scenario.node().await?;
    let job = Container::named("job").on(&node).exiting_with(0);
    let job = scenario.create(job).await?;
    job.says(conditions::READY, "True", Reason::Completed)
        .await?;
    node.agent().kill();
    fs::remove_dir_all(node.agent().data_dir().join("records")).unwrap();
    node.agent().start_again()?;
    node.agent().ready().await?;
    node.relists(3).await?;
    assert_eq!(job.status().await?.attempt, Some(1));
    assert_eq!(node.containers()?.len(), 1);
    scenario.leaves_nothing_on(&node).await
}
