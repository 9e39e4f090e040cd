//! Those in which someone has to do something: what only another spec or another setting of the node helps against.

use std::fs;

use hcs_crds::{DesiredState, Phase, Reason, RestartPolicy};
use hcs_tests::{Container, Node, Result};
use runhcs_sim::{Action, Fault, Point};
use serde_json::{Value, json};

use super::{Expected, Step, Way, desired, exiting, forever};

fn bad(name: &'static str, container: Container, reason: Reason) -> Way {
    Way::of(container, name, Expected::Bad, reason)
}

/// All of them.
pub fn stalled(node: &Node) -> Result<Vec<Way>> {
    let mut ways = ended(node);
    ways.extend(denied(node)?);
    ways.extend(refused_by_runhcs(node));
    Ok(ways)
}

/// It ended and is left so.
fn ended(node: &Node) -> Vec<Way> {
    let no_program = Container::named("x").on(node);
    let no_program = no_program.running("/no/such/program", ["x"]);
    let given_up = exiting(node, 3).with(|spec| {
        spec.restart_policy = RestartPolicy::OnFailure;
        spec.restart.max_restarts = Some(0);
    });
    vec![
        bad("failed", exiting(node, 3), Reason::ContainerFailed),
        bad("no-such-program", no_program, Reason::ContainerFailed),
        bad("given-up", given_up, Reason::RestartLimitReached),
    ]
}

/// The agent does not let it through.
fn denied(node: &Node) -> Result<Vec<Way>> {
    let elsewhere = node.dir().join("elsewhere/bundle");
    let broken = node.dir().join("bundles/broken");
    let device = node.dir().join("bundles/device");
    for (folder, config) in [(&broken, json!({})), (&device, with_a_device(node))] {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join("config.json"), config.to_string()).unwrap();
    }
    let from = |folder| forever(node).from_bundle(folder);
    let outside = forever(node).in_bundle(&elsewhere)?;
    Ok(vec![
        bad("outside-of-roots", outside, Reason::PathNotAllowed),
        bad("bundle-invalid", from(&broken), Reason::BundleInvalid),
        bad("host-denied", from(&device), Reason::HostPolicyDenied),
        bad("spec-invalid", misspelled(node), Reason::InvalidSpec),
    ])
}

/// A configuration that asks for what the node's settings do not list.
fn with_a_device(node: &Node) -> Value {
    let mut config = Value::Object(forever(node).config());
    config["windows"]["devices"] = json!([{"id": "x", "idType": "class"}]);
    config
}

/// What the schema lets pass, as it does not know the whole of an OCI configuration.
fn misspelled(node: &Node) -> Container {
    let mut container = forever(node);
    let mut config = container.config();
    config["process"]["user"] = json!("ContainerUser");
    container.from_config(config)
}

/// runhcs says that it cannot do this, now or ever.
fn refused_by_runhcs(node: &Node) -> Vec<Way> {
    let no = |verb, said: &str| {
        let action = Action::Fail {
            exit_code: 1,
            stderr: format!("{said}: The request is not supported."),
        };
        Step::Fault(Fault::new(verb, Point::BeforeEffect, action))
    };
    let pause = bad(
        "pause-unsupported",
        forever(node).hyperv(),
        Reason::PauseUnsupported,
    );
    let stopped = forever(node).desired(DesiredState::Stopped);
    vec![
        pause.after([
            Step::Is(Phase::Running),
            no("pause", "hcs::System::Pause x"),
            desired(DesiredState::Paused),
        ]),
        bad("create-unsupported", stopped, Reason::Unsupported).after([
            Step::Is(Phase::Stopped),
            no("create", "hcs::CreateComputeSystem x"),
            desired(DesiredState::Running),
        ]),
    ]
}
