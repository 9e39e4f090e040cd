//! Scratch disk, console, and changes that wait for a person.

use hcs_crds::{DesiredState, HcsContainer, Isolation, Os, Scratch, Tty, UpdatePolicy};
use runhcs::ErrorKind;

use crate::agent::fixtures::{Node, Said, Shape, fails, pass, uid};

fn with_scratch(web: HcsContainer) -> HcsContainer {
    web.with(|spec| {
        spec.runtime.os = Os::Linux;
        spec.runtime.isolation = Isolation::HyperV;
        spec.scratch = Some(Scratch::default());
        spec.termination_grace_period_seconds = 0;
    })
}

fn with_console(web: HcsContainer) -> HcsContainer {
    web.with(|spec| {
        spec.tty = Some(Tty {
            width: 80,
            height: 25,
        });
    })
}

#[tokio::test(start_paused = true)]
async fn a_scratch_is_made_before_its_container_and_goes_with_it() {
    let node = Node::new().await;
    node.has(with_scratch(node.object("web")));
    node.converge("web").await;
    let calls = [
        "create-scratch 20",
        "create web-1",
        "start web-1",
        "ps web-1",
    ];
    assert_eq!(node.runtime.calls(), calls);
    assert_eq!(node.condition("web", "ScratchReady"), "True ScratchCreated");
    let disk = node.file(&format!("scratch/{}/sandbox.vhdx", uid("web")));
    assert!(disk.exists());
    node.cluster.delete("web");
    node.converge("web").await;
    assert_eq!(node.api.get("web"), None);
    assert!(!disk.exists());
}

#[tokio::test(start_paused = true)]
async fn without_its_scratch_no_container_is_made() {
    let node = Node::new().await;
    node.has(with_scratch(node.object("web")));
    node.runtime
        .next("create-scratch", fails(ErrorKind::Failed, "no LCOW here"));
    let said = node.converge("web").await;
    assert!(said.contains(&Said::event("ScratchFailed")), "{said:?}");
    assert_eq!(node.runtime.calls(), ["create-scratch 20"]);
    assert_eq!(node.condition("web", "ScratchReady"), "False ScratchFailed");
    pass(10.0).await;
    node.converge("web").await;
    assert_eq!(node.condition("web", "Ready"), "True Running");
    node.ends(1, 1);
    node.converge("web").await;
    node.runtime.calls();
    pass(10.0).await;
    node.converge("web").await;
    let calls = ["delete web-1", "create web-2", "start web-2", "ps web-2"];
    assert_eq!(node.runtime.calls(), calls, "the scratch is kept");
}

#[tokio::test(start_paused = true)]
async fn a_console_is_resized_once_and_a_new_attempt_begins_with_the_new_size() {
    let node = Node::running(with_console).await;
    node.cluster.change("web", |spec| {
        spec.tty = Some(Tty {
            width: 100,
            height: 40,
        });
    });
    let said = node.converge("web").await;
    assert_eq!(node.runtime.calls(), ["resize-tty web-1 100 40"]);
    assert!(said.contains(&Said::event("Resized")), "{said:?}");
    node.ends(1, 1);
    node.converge("web").await;
    pass(10.0).await;
    node.converge("web").await;
    let calls = ["delete web-1", "create web-2", "start web-2", "ps web-2"];
    assert_eq!(node.runtime.calls(), calls);
}

#[tokio::test(start_paused = true)]
async fn a_resize_that_fails_is_said_and_tried_again() {
    let node = Node::running(with_console).await;
    node.runtime
        .next("resize-tty", fails(ErrorKind::Failed, "no"));
    node.cluster.change("web", |spec| {
        spec.tty = Some(Tty {
            width: 100,
            height: 40,
        });
    });
    node.converge("web").await;
    assert_eq!(node.condition("web", "Ready"), "False ResizeFailed");
    pass(10.0).await;
    node.converge("web").await;
    assert_eq!(node.condition("web", "Ready"), "True Running");
    assert_eq!(node.runtime.calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn with_manual_updates_a_changed_bundle_waits_for_a_restart_request() {
    let node = Node::running(|web| {
        web.with(|spec| {
            spec.update_policy = UpdatePolicy::Manual;
            spec.termination_grace_period_seconds = 0;
        })
    })
    .await;
    assert_eq!(
        node.condition("web", "RestartRequired"),
        "False NotRequired"
    );
    node.cluster.change("web", |spec| {
        let config = spec.bundle.config.as_mut().unwrap();
        config.update(|config| config["process"]["args"] = serde_json::json!(["run", "newer"]));
    });
    node.converge("web").await;
    assert_eq!(
        node.condition("web", "RestartRequired"),
        "True RestartRequired"
    );
    assert_eq!(node.condition("web", "Ready"), "True Running");
    assert!(node.runtime.calls().is_empty());
    node.cluster
        .change("web", |spec| spec.restart_request = Some("now".into()));
    let said = node.converge("web").await;
    assert!(said.contains(&Said::event("RestartRequested")), "{said:?}");
    assert_eq!(node.runtime.has(), [("web-2".into(), "running")]);
    assert_eq!(
        node.condition("web", "RestartRequired"),
        "False NotRequired"
    );
}

#[tokio::test(start_paused = true)]
async fn one_that_is_wanted_again_while_it_stops_is_made_anew_when_it_has_ended() {
    let node = Node::running(|web| web).await;
    node.cluster
        .change("web", |spec| spec.desired_state = DesiredState::Stopped);
    node.converge("web").await;
    node.cluster
        .change("web", |spec| spec.desired_state = DesiredState::Running);
    node.converge("web").await;
    assert_eq!(node.runtime.calls(), ["kill web-1 CtrlShutdown"]);
    node.ends(1, 0xC000_013A);
    node.converge("web").await;
    let calls = ["delete web-1", "create web-2", "start web-2", "ps web-2"];
    assert_eq!(node.runtime.calls(), calls);
    assert_eq!(node.status("web").restart_count, 0);
}
