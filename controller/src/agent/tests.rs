//! The agent as a whole: what comes in by the watch, by the relist and from the records.

use std::sync::Arc;

use hcs_crds::{DesiredState, HcsContainer};
use jiff::Timestamp;
use runhcs::ErrorKind;
use serde_json::json;

use super::fixtures::{
    Answer, Node, Said, View, Whole, clock_jumps, fails, hangs, panics, pass, uid,
};
use super::record::container_id;
use crate::platform::Process;

fn lists(api: &super::fixtures::FakeApi) -> usize {
    let said = api.said();
    said.iter().filter(|said| **said == Said::Lists).count()
}

/// An object that this version cannot read.
fn malformed(node: &Node) -> serde_json::Value {
    let mut object = serde_json::to_value(node.object("bad")).unwrap();
    object["spec"]["bundle"] = json!(7);
    object
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_applied_runs_and_one_that_is_changed_follows() {
    let node = Node::unlisted();
    let (web, cluster) = (node.object("web"), node.cluster.clone());
    let agent = Whole::start(node).await;
    agent.until("ready", |a| a.readiness.check().is_ok()).await;
    agent.api.put(serde_json::to_value(web).unwrap());
    agent.until_has("web-1", "running").await;
    cluster.change("web", |spec| spec.desired_state = DesiredState::Deleted);
    agent
        .until("no container", |a| a.runtime.has().is_empty())
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_agent_is_not_ready_before_both_lists_are_in() {
    let node = Node::unlisted();
    node.runtime.next("list", hangs());
    for _ in 0..4 {
        node.api.next("list", Answer::Silence);
    }
    let agent = Whole::start(node).await;
    let missing = |what: &'static str| move |a: &Whole| a.readiness.check() == Err(what);
    agent
        .until("no answer", missing("runhcs list has not answered yet"))
        .await;
    agent.until("hung", missing("runhcs list fails")).await;
    agent
        .until("no objects", missing("the API server's list is not in yet"))
        .await;
    agent.until("ready", |a| a.readiness.check().is_ok()).await;
}

#[tokio::test(start_paused = true)]
async fn while_the_api_server_is_away_the_records_say_what_should_run() {
    let node = Node::running(|web| web).await;
    node.ends(1, 1);
    for _ in 0..1000 {
        node.api.next("list", Answer::Refuses(503));
        node.api.next("status", Answer::Refuses(503));
    }
    let agent = Whole::start(node).await;
    agent.until_has("web-2", "running").await;
    assert!(agent.readiness.check().is_err());
    pass(100.0).await;
    assert_eq!(agent.runtime.has(), [("web-2".into(), "running")]);
}

#[tokio::test(start_paused = true)]
async fn after_a_reboot_a_container_is_made_again_at_once() {
    let node = Node::running(|web| web).await;
    node.runtime.loses_all();
    let begun = tokio::time::Instant::now();
    let agent = Whole::start(node).await;
    agent.until_has("web-2", "running").await;
    assert!(begun.elapsed().as_secs() < 5);
    let reason =
        |a: &Whole| a.api.get("web").unwrap()["status"]["lastTermination"]["reason"].clone();
    agent.until("told", |a| reason(a) == "NodeRebooted").await;
    let status = agent.api.get("web").unwrap()["status"].clone();
    assert_eq!(status["backoff"], json!(null));
}

#[tokio::test(start_paused = true)]
async fn a_running_container_survives_the_agent() {
    let node = Node::running(|web| web).await;
    let agent = Whole::start(node).await;
    agent.until("ready", |a| a.readiness.check().is_ok()).await;
    pass(100.0).await;
    assert!(agent.runtime.calls().is_empty());
    assert_eq!(agent.runtime.has(), [("web-1".into(), "running")]);
}

#[tokio::test(start_paused = true)]
async fn without_a_record_a_container_that_runs_is_taken_on_and_not_made_again() {
    let node = Node::running(|web| web).await;
    std::fs::remove_dir_all(node.file("records")).unwrap();
    let agent = Whole::start(node).await;
    let adopted = |a: &Whole| a.api.said().contains(&Said::event("Adopted"));
    agent.until("adopted", adopted).await;
    assert_eq!(agent.runtime.calls(), ["ps web-1"]);
    assert_eq!(agent.runtime.has(), [("web-1".into(), "running")]);
}

#[tokio::test(start_paused = true)]
async fn an_end_that_only_a_list_shows_is_seen() {
    let node = Node::unlisted();
    node.has(node.object("web"));
    let agent = Whole::start(node).await;
    agent.until_has("web-1", "running").await;
    agent.runtime.ends(&container_id(&uid("web"), 1), 1);
    agent.until_has("web-2", "running").await;
}

#[tokio::test(start_paused = true)]
async fn a_malformed_object_stops_neither_the_list_nor_the_watch() {
    let node = Node::unlisted();
    let (bad, cluster) = (malformed(&node), node.cluster.clone());
    node.has(node.object("web"));
    node.api.put(bad.clone());
    let agent = Whole::start(node).await;
    agent.until_has("web-1", "running").await;
    agent.api.remove("bad");
    agent.api.put(bad);
    let web = agent.api.get("web").unwrap();
    let mut web: HcsContainer = serde_json::from_value(web).unwrap();
    web.spec.desired_state = DesiredState::Deleted;
    web.metadata.generation = Some(2);
    agent.api.put(serde_json::to_value(web).unwrap());
    agent
        .until("no container", |a| a.runtime.has().is_empty())
        .await;
    drop(cluster);
}

#[tokio::test(start_paused = true)]
async fn the_container_of_an_object_that_cannot_be_read_is_left_until_the_object_is_gone() {
    let node = Node::unlisted();
    let id = container_id(&uid("bad"), 1);
    node.runtime.put(&id, "running", &node.ctx.bundle(&id));
    node.api.put(malformed(&node));
    let agent = Whole::start(node).await;
    pass(200.0).await;
    assert_eq!(agent.runtime.has(), [("bad-1".into(), "running")]);
    agent.api.remove("bad");
    agent.until("swept", |a| a.runtime.has().is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn what_went_while_the_agent_was_away_is_removed_once_the_list_is_in() {
    let node = Node::running(|web| web).await;
    node.api.remove("web");
    let agent = Whole::start(node).await;
    agent.until("swept", |a| a.runtime.has().is_empty()).await;
    assert_eq!(agent.runtime.calls(), ["delete --force web-1"]);
}

#[tokio::test(start_paused = true)]
async fn a_watch_in_which_nothing_happens_costs_no_list() {
    let node = Node::unlisted();
    let web = serde_json::to_value(node.object("web")).unwrap();
    let agent = Whole::start(node).await;
    agent.until("ready", |a| a.readiness.check().is_ok()).await;
    assert_eq!(lists(&agent.api), 1);
    pass(600.0).await;
    assert_eq!(lists(&agent.api), 0);
    agent.api.put(web);
    agent.until_has("web-1", "running").await;
    assert_eq!(lists(&agent.api), 0);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_fails_is_tried_again() {
    let node = Node::unlisted();
    node.has(node.object("web"));
    for answer in [Answer::Refuses(500), Answer::Refuses(403), Answer::Silence] {
        node.api.next("list", answer);
    }
    node.api.next("watch", Answer::Refuses(410));
    let agent = Whole::start(node).await;
    agent.until_has("web-1", "running").await;
    assert!(agent.readiness.check().is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_lease_is_renewed_only_while_runhcs_answers_and_at_once_when_it_does_again() {
    let agent = Whole::start(Node::unlisted()).await;
    agent.until("renewed", |a| a.api.renewals() == 1).await;
    pass(100.0).await;
    let before = agent.api.renewals();
    assert_eq!(before, 11);
    for _ in 0..1000 {
        agent.runtime.next("list", fails(ErrorKind::Failed, "no"));
    }
    let fails = |a: &Whole| a.api.page().0.unwrap()["status"]["conditions"][0]["status"] == "False";
    agent.until("says so", fails).await;
    let stopped = agent.api.renewals();
    pass(100.0).await;
    assert_eq!(agent.api.renewals(), stopped);
    agent.runtime.heals();
    agent.until("says so", |a| !fails(a)).await;
    pass(1.0).await;
    assert!(agent.api.renewals() > stopped);
}

#[tokio::test(start_paused = true)]
async fn the_lease_is_not_renewed_while_the_watch_fails_and_soon_when_it_is_back() {
    let node = Node::unlisted();
    let web = serde_json::to_value(node.object("web")).unwrap();
    let agent = Whole::start(node).await;
    agent.until("renewed", |a| a.api.renewals() == 1).await;
    for topic in ["list", "watch"] {
        for _ in 0..1000 {
            agent.api.next(topic, Answer::Refuses(503));
        }
    }
    // With the next change, the watch breaks off.
    agent.api.shows(View::Broken(agent.api.changes()));
    agent.api.put(web);
    for _ in 0..10 {
        agent.api.passes();
    }
    pass(1.0).await;
    let stopped = agent.api.renewals();
    pass(100.0).await;
    assert_eq!(agent.api.renewals(), stopped);
    agent.api.heals();
    pass(10.0).await;
    assert!(agent.api.renewals() > stopped);
    agent.until_has("web-1", "running").await;
}

#[tokio::test(start_paused = true)]
async fn the_lease_is_renewed_as_often_whatever_the_clock_says() {
    let agent = Whole::start(Node::unlisted()).await;
    agent.until("renewed", |a| a.api.renewals() == 1).await;
    for hours in [3, -6] {
        let before = agent.api.renewals();
        clock_jumps(hours);
        pass(100.0).await;
        assert_eq!(agent.api.renewals(), before + 10, "{hours} h");
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_is_written_once_and_again_only_when_it_has_changed_or_another_has_written_it() {
    let agent = Whole::start(Node::unlisted()).await;
    agent.until("written", |a| a.api.page().1 == 1).await;
    let ready = |a: &Whole| a.api.page().0.unwrap()["status"]["conditions"][0].clone();
    assert_eq!(ready(&agent)["reason"], "AgentReady");
    pass(600.0).await;
    assert_eq!(agent.api.page().1, 1);
    let mut page = agent.api.page().0.unwrap();
    page["status"]["conditions"][0]["status"] = "Unknown".into();
    page["status"]["conditions"][0]["reason"] = "NodeLost".into();
    agent.api.put_page(page);
    agent
        .until("taken back", |a| ready(a)["status"] == "True")
        .await;
    assert_eq!(agent.api.page().1, 2);
}

#[tokio::test(start_paused = true)]
async fn a_page_that_is_refused_is_tried_ever_more_rarely_until_it_is_taken() {
    for code in [401, 404] {
        let node = Node::unlisted();
        node.api.refuses_page(Some(code));
        let agent = Whole::start(node).await;
        agent.until("ready", |a| a.readiness.check().is_ok()).await;
        pass(300.0).await;
        let tries = agent.api.refuses_page(None);
        assert!((8..=16).contains(&tries), "{tries} tries in 300 s, {code}");
        pass(31.0).await;
        assert_eq!(agent.api.page().1, 1, "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn counts_that_flicker_are_written_at_most_once_an_interval() {
    let node = Node::unlisted();
    let web = serde_json::to_value(node.object("web")).unwrap();
    let agent = Whole::start(node).await;
    agent.until("written", |a| a.api.page().1 == 1).await;
    for _ in 0..30 {
        agent.api.put(web.clone());
        pass(1.0).await;
        agent.api.remove("web");
        pass(1.0).await;
    }
    let writes = agent.api.page().1;
    assert!((2..=8).contains(&writes), "{writes} writes in 60 s");
}

#[tokio::test(start_paused = true)]
async fn a_reconcile_that_panics_holds_up_no_other_and_is_tried_again() {
    let node = Node::unlisted();
    let api = node.object("api");
    node.has(node.object("web"));
    node.runtime.next("create", panics());
    let agent = Whole::start(node).await;
    agent
        .until("panicked", |a| !a.runtime.calls().is_empty())
        .await;
    agent.api.put(serde_json::to_value(api).unwrap());
    agent.until_has("api-1", "running").await;
    agent.until_has("web-2", "running").await;
}

/// How long it takes from the end of a container to its status, while so many others hang.
async fn end_to_status(hung: &[&str]) -> std::time::Duration {
    let node = Node::unlisted();
    node.has(node.object("web"));
    let others: Vec<_> = hung.iter().map(|name| node.object(name)).collect();
    let agent = Whole::start(node).await;
    agent.until_has("web-1", "running").await;
    for other in others {
        agent.runtime.next("create", hangs());
        agent.api.put(serde_json::to_value(other).unwrap());
    }
    pass(0.5).await;
    agent.runtime.ends(&container_id(&uid("web"), 1), 3);
    let begun = tokio::time::Instant::now();
    agent
        .until("told", |a| {
            a.api.get("web").unwrap()["status"]["lastTermination"].is_object()
        })
        .await;
    begun.elapsed()
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_container_is_told_no_later_while_others_hang() {
    let alone = end_to_status(&[]).await;
    let beside = end_to_status(&["api", "old"]).await;
    let bound = alone + std::time::Duration::from_millis(100);
    assert!(beside <= bound, "{beside:?}, alone {alone:?}");
}

#[tokio::test(start_paused = true)]
async fn a_create_that_hangs_holds_up_no_other() {
    let node = Node::unlisted();
    let api = node.object("api");
    node.has(node.object("web"));
    node.runtime.next("create", hangs());
    let agent = Whole::start(node).await;
    agent.until("hung", |a| !a.runtime.calls().is_empty()).await;
    let begun = tokio::time::Instant::now();
    agent.api.put(serde_json::to_value(api).unwrap());
    agent.until_has("api-1", "running").await;
    assert!(begun.elapsed().as_secs() < 5);
}

#[tokio::test(start_paused = true)]
async fn all_objects_hear_of_it_when_runhcs_fails_and_when_it_is_back() {
    let node = Node::unlisted();
    node.has(node.object("web"));
    let agent = Whole::start(node).await;
    agent.until_has("web-1", "running").await;
    for _ in 0..3 {
        agent.runtime.next("list", fails(ErrorKind::Failed, "no"));
    }
    let phase = |a: &Whole| a.api.get("web").unwrap()["status"]["phase"].clone();
    agent.until("unknown", |a| phase(a) == "Unknown").await;
    agent.until("running", |a| phase(a) == "Running").await;
    let calls = ["create web-1", "start web-1", "ps web-1"];
    assert_eq!(agent.runtime.calls(), calls);
}

#[tokio::test(start_paused = true)]
async fn lists_that_fail_in_other_words_each_time_are_said_once() {
    let node = Node::running(|web| web).await;
    let agent = Whole::start(node).await;
    agent.until("ready", |a| a.readiness.check().is_ok()).await;
    let words = ["at 10:00:01", "at 10:00:02", "at 10:00:04", "at 10:00:08"];
    for word in words {
        agent
            .runtime
            .next("list", fails(ErrorKind::BadOutput, word));
    }
    agent.api.said();
    let responds = |a: &Whole| {
        let object = a.api.get("web").unwrap();
        let conditions = object["status"]["conditions"].as_array().unwrap().clone();
        let mut conditions = conditions.iter();
        conditions.any(|c| c["type"] == "RuntimeResponsive" && c["status"] == "True")
    };
    agent.until("silence", |a| !responds(a)).await;
    agent.until("an answer", responds).await;
    let said = agent.api.said();
    let of_web = said.into_iter().filter(|s| matches!(s, Said::Status(..)));
    assert_eq!(
        of_web.collect::<Vec<_>>(),
        [
            Said::status("web", "Unknown", "RuntimeBadOutput"),
            Said::status("web", "Running", "Running"),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn the_shim_of_a_container_whose_end_is_known_is_not_looked_for_again() {
    let node = Node::running(|web| web).await;
    let mut record = node.record("web").unwrap();
    let pid = std::process::id();
    record.shim = Some(super::record::Shim {
        pid,
        start_time: Process::open(pid).unwrap().unwrap().start_time(),
    });
    let id = record.container_id().unwrap();
    // Whatever the clock says: the start of a process is no time of day.
    clock_jumps(3);
    for (ended, watched) in [(true, false), (false, true)] {
        let (exits, _ends) = super::exits::Exits::new(Arc::clone(&node.ctx.table));
        record.ended = ended.then_some(super::record::Ended {
            exit_code: None,
            cause: super::record::Cause::Stopped,
            at: Timestamp::UNIX_EPOCH,
        });
        super::watch_known_shims(&exits, &[record.clone()], &node.ctx.boot_id);
        assert_eq!(exits.watches(&id), watched);
    }
}
