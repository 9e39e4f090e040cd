//! A reboot of the node forgets every container; what is wanted is made again, and nobody is blamed.

use hcs_crds::{DesiredState, Initiator, Phase, Reason, RestartPolicy};
use hcs_tests::{Container, Live, Result, Scenario};

use crate::nodes::{leaves_nothing_and_says_so, page_comes_to};

/// Containers of each policy.
const OF_EACH: usize = 5;

/// What makes a container one of a kind.
type Shape = fn(Container) -> Container;

async fn phase_after(object: &Live, phase: Phase, attempt: u32) -> Result {
    let what = format!("is {phase:?} as attempt {attempt}");
    object
        .comes_to(&what, |object| {
            object
                .status
                .as_ref()
                .is_some_and(|status| status.phase == phase && status.attempt == Some(attempt))
        })
        .await?;
    Ok(())
}

#[tokio::test]
async fn after_a_reboot_each_container_is_as_it_should_be() -> Result {
    let scenario = Scenario::named("reboots").await?;
    let node = scenario.node().await?;
    let named = |name: String| {
        Container::named(&name)
            .on(&node)
            .hyperv()
            .running_for_ever()
    };
    let cases: [(&str, Shape, Phase, Phase, u32); 4] = [
        (
            "always",
            |c| c.restart_policy(RestartPolicy::Always),
            Phase::Running,
            Phase::Running,
            2,
        ),
        (
            "paused",
            |c| {
                c.restart_policy(RestartPolicy::OnFailure)
                    .desired(DesiredState::Paused)
            },
            Phase::Paused,
            Phase::Paused,
            2,
        ),
        (
            "created",
            |c| c.desired(DesiredState::Created),
            Phase::Created,
            Phase::Created,
            2,
        ),
        ("never", |c| c, Phase::Running, Phase::Failed, 1),
    ];
    let mut objects = Vec::new();
    for (name, shape, before, after, attempt) in cases {
        for number in 0..OF_EACH {
            let object = shape(named(format!("{name}{number}")));
            objects.push((scenario.create(object).await?, before, after, attempt));
        }
    }
    for (object, before, ..) in &objects {
        object.becomes(*before).await?;
    }
    node.reboot().await?;
    for (object, _, phase, attempt) in &objects {
        phase_after(object, *phase, *attempt).await?;
        object.has_event(Reason::NodeRebooted).await?;
        let status = object.status().await?;
        assert!(status.backoff.is_none(), "{}", object.name());
        let end = status.last_termination.unwrap();
        assert_eq!(end.initiator, Initiator::Node);
        assert_eq!(end.reason.as_deref(), Some(Reason::NodeRebooted.as_str()));
    }
    scenario.is_at_rest_on(&node).await?;
    let all = u32::try_from(objects.len()).unwrap();
    page_comes_to(&scenario, node.name(), "knows them all", |status| {
        status.containers.total == all && status.inventory.leftovers.count == 0
    })
    .await?;
    leaves_nothing_and_says_so(&scenario, &node).await
}

#[tokio::test]
async fn a_stopped_container_stays_stopped_over_a_reboot() -> Result {
    let scenario = Scenario::named("reboot-stopped").await?;
    let node = scenario.node().await?;
    let web = Container::named("web").on(&node).running_for_ever();
    let web = scenario.create(web).await?;
    web.becomes(Phase::Running).await?;
    web.set_desired(DesiredState::Stopped).await?;
    web.becomes(Phase::Stopped).await?;
    node.reboot().await?;
    node.relists(3).await?;
    web.becomes(Phase::Stopped).await?;
    web.becomes_ready().await?;
    assert!(node.containers()?.is_empty());
    leaves_nothing_and_says_so(&scenario, &node).await
}
