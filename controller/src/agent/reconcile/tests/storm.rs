//! Whatever goes wrong, in whatever order: never two containers of one object, and in the end all
//! is as it should be.

use std::time::Duration;

use hcs_crds::DesiredState;
use proptest::prelude::*;
use runhcs::ErrorKind;

use crate::agent::fixtures::{Answer, Manner, Node, fails, hangs, pass, uid};
use crate::agent::record::container_id;

/// Something that happens between two reconciles.
#[derive(Clone, Debug)]
enum Event {
    CallFails(&'static str),
    CallHangs(&'static str, Option<&'static str>),
    ApiFails(&'static str, Answer),
    Wanted(DesiredState),
    BundleChanges(u8),
    ContainerEnds(u32),
    AllIsLost,
    Relist,
    Passes(u16),
    AgentIsKilledAfter(u64),
}

fn event() -> impl Strategy<Value = Event> {
    let verb = prop::sample::select(vec!["create", "start", "kill", "delete", "list", "ps"]);
    let hang = prop::sample::select(vec![
        ("create", None),
        ("create", Some("created")),
        ("create", Some("half-made")),
        ("start", None),
        ("start", Some("running")),
        ("start", Some("stopped")),
        ("kill", None),
        ("delete", None),
        ("list", None),
    ]);
    let answer = prop::sample::select(vec![
        Answer::Refuses(409),
        Answer::Refuses(500),
        Answer::Silence,
    ]);
    let wanted = prop::sample::select(vec![
        DesiredState::Created,
        DesiredState::Running,
        DesiredState::Stopped,
        DesiredState::Deleted,
    ]);
    prop_oneof![
        verb.prop_map(Event::CallFails),
        hang.prop_map(|(verb, leaves)| Event::CallHangs(verb, leaves)),
        (prop::sample::select(vec!["finalizer", "status"]), answer)
            .prop_map(|(topic, answer)| Event::ApiFails(topic, answer)),
        wanted.prop_map(Event::Wanted),
        any::<u8>().prop_map(Event::BundleChanges),
        (0_u32..3).prop_map(Event::ContainerEnds),
        Just(Event::AllIsLost),
        Just(Event::Relist),
        (1_u16..400).prop_map(Event::Passes),
        (0_u64..100).prop_map(Event::AgentIsKilledAfter),
    ]
}

/// The end of the container that is there, by itself.
fn container_ends(node: &Node, code: u32) {
    let attempt = node.record("web").map_or(0, |record| record.attempt);
    if node
        .runtime
        .has()
        .iter()
        .any(|(_, state)| *state == "running")
    {
        node.runtime.ends(&container_id(&uid("web"), attempt), code);
    }
}

async fn happen(node: Node, event: Event) -> Node {
    match event {
        Event::CallFails(verb) => node.runtime.next(verb, fails(ErrorKind::Failed, "no")),
        Event::CallHangs(verb, leaves) => {
            let manner = leaves.map_or_else(hangs, |state| Manner::leaving(hangs(), state));
            node.runtime.next(verb, manner);
        }
        Event::ApiFails(topic, answer) => node.api.next(topic, answer),
        Event::Wanted(state) => node
            .cluster
            .change("web", |spec| spec.desired_state = state),
        Event::BundleChanges(n) => node.cluster.change("web", |spec| {
            let config = spec.bundle.config.as_mut().unwrap();
            config.update(|config| {
                config["process"]["args"] = serde_json::json!(["run", n.to_string()]);
            });
        }),
        Event::ContainerEnds(code) => container_ends(&node, code),
        Event::AllIsLost => {
            node.runtime.loses_all();
            node.ctx.relist.refresh().await;
        }
        Event::Relist => drop(node.ctx.relist.refresh().await),
        Event::Passes(seconds) => pass(seconds.into()).await,
        Event::AgentIsKilledAfter(seconds) => {
            let patience = Duration::from_secs(seconds);
            let _ = tokio::time::timeout(patience, node.reconcile("web")).await;
            return node.restarted().await;
        }
    }
    let _ = node.reconcile("web").await;
    assert!(node.runtime.most_at_once() <= 1, "two containers at once");
    node
}

async fn play(events: Vec<Event>) {
    let mut node = Node::new().await;
    node.has(node.object("web"));
    for event in events {
        node = happen(node, event).await;
    }
    node.runtime.heals();
    node.api.heals();
    node = happen(node, Event::Wanted(DesiredState::Running)).await;
    for _ in 0..12 {
        node = happen(node, Event::Relist).await;
        pass(301.0).await;
    }
    assert_eq!(node.condition("web", "Ready"), "True Running");
    assert_eq!(node.runtime.has().len(), 1);
    node.api.said();
    assert_eq!(node.converge("web").await, [], "it is at rest");

    node.cluster.delete("web");
    node.converge("web").await;
    pass(31.0).await;
    node.converge("web").await;
    assert_eq!(node.api.get("web"), None);
    assert!(node.runtime.has().is_empty());
    for folder in ["bundles", "records"] {
        let left = std::fs::read_dir(node.file(folder)).unwrap().count();
        assert_eq!(left, 0, "{folder}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_fails_there_is_never_a_second_container_and_in_the_end_all_is_well(
        events in prop::collection::vec(event(), 1..25)
    ) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().start_paused(true).build().unwrap();
        runtime.block_on(play(events));
    }
}
