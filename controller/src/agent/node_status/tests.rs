//! The page of a node: what it says, and when it is written.

use hcs_crds::conditions::{DISK_PRESSURE, READY, RUNTIME_RESPONSIVE, STALLED};
use hcs_crds::{ContainerCounts, HcsNode, Inventory, Phase, Reason, RunhcsInfo};
use jiff::Timestamp;

use super::disk::{DiskLimits, Room};
use super::status::{Facts, of};
use super::{facts, newest, tells_more};
use crate::agent::relist::Health;

const DAY: i64 = 1_800_000_000;

fn sound(second: i64) -> Facts {
    Facts {
        runhcs: RunhcsInfo::default(),
        os_build: Some("10.0.20348.1".into()),
        boot_id: "boot-1".into(),
        capabilities: Vec::new(),
        defect: None,
        containers: ContainerCounts::default(),
        inventory: Inventory::default(),
        health: Health::Responds,
        room: Ok(Room {
            free: 50,
            total: 100,
        }),
        limits: DiskLimits { percent: 10, gb: 0 },
        now: Timestamp::from_second(DAY + second).unwrap(),
    }
}

fn hung(second: i64, reason: Reason) -> Facts {
    Facts {
        health: Health::Fails {
            reason,
            message: "no answer".into(),
        },
        ..sound(second)
    }
}

fn object(facts: &Facts, previous: Option<&HcsNode>, version: u32) -> HcsNode {
    let mut node = HcsNode::new("win-1");
    node.metadata.generation = Some(1);
    node.metadata.uid = Some("u".into());
    node.metadata.resource_version = Some(version.to_string());
    node.status = Some(of(facts, previous));
    node
}

/// `type status reason` of each condition.
fn says(node: &HcsNode) -> Vec<String> {
    let conditions = &node.status.as_ref().unwrap().conditions;
    let words = |c: &hcs_crds::Condition| format!("{} {} {}", c.type_, c.status, c.reason);
    conditions.iter().map(words).collect()
}

fn since(node: &HcsNode, type_: &str) -> i64 {
    let conditions = &node.status.as_ref().unwrap().conditions;
    let condition = conditions.iter().find(|c| c.type_ == type_).unwrap();
    condition.last_transition_time.0.as_second() - DAY
}

#[test]
fn a_node_whose_runhcs_answers_is_ready_and_one_whose_does_not_is_not() {
    let well = object(&sound(0), None, 1);
    assert_eq!(
        says(&well),
        [
            "Ready True AgentReady",
            "RuntimeResponsive True RuntimeResponds",
            "DiskPressure False DiskSpaceEnough"
        ]
    );
    assert_eq!(well.status.as_ref().unwrap().observed_generation, 1);
    let ill = object(&hung(9, Reason::RuntimeHung), Some(&well), 2);
    assert_eq!(
        says(&ill)[..2],
        [
            "Ready False RuntimeHung",
            "RuntimeResponsive False RuntimeHung"
        ]
    );
    assert_eq!((since(&ill, READY), since(&ill, DISK_PRESSURE)), (9, 0));
    assert_eq!(since(&ill, RUNTIME_RESPONSIVE), 9);
}

#[test]
fn what_needs_a_person_is_stalled_and_what_may_pass_is_not() {
    let is_stalled = |facts: &Facts| {
        let node = object(facts, None, 1);
        says(&node).iter().any(|line| line.starts_with(STALLED))
    };
    assert!(is_stalled(&hung(0, Reason::RuntimeMissing)));
    assert!(!is_stalled(&hung(0, Reason::RuntimeHung)));
    let useless = Facts {
        defect: Some("it cannot create".into()),
        ..sound(0)
    };
    assert!(is_stalled(&useless));
    let node = object(&useless, None, 1);
    assert_eq!(says(&node)[0], "Ready False Unsupported");
}

#[test]
fn the_same_facts_later_are_the_same_status() {
    let first = object(&sound(0), None, 1);
    let later = of(&sound(500), Some(&first));
    assert_eq!(first.status, Some(later));
}

#[test]
fn a_changed_count_can_wait_and_a_changed_condition_or_boot_cannot() {
    let first = object(&sound(0), None, 1);
    let before = first.status.as_ref();
    let more = Facts {
        containers: facts::counts([Phase::Running, Phase::Failed].into_iter()),
        ..sound(1)
    };
    let more = of(&more, Some(&first));
    assert_eq!((more.containers.total, more.containers.running), (2, 1));
    assert!(before != Some(&more) && !tells_more(before, &more));
    assert!(tells_more(
        before,
        &of(&hung(1, Reason::RuntimeHung), Some(&first))
    ));
    let rebooted = Facts {
        boot_id: "boot-2".into(),
        ..sound(1)
    };
    assert!(tells_more(before, &of(&rebooted, Some(&first))));
    assert!(tells_more(None, &more));
}

#[test]
fn what_was_written_counts_until_it_has_come_back_or_the_object_is_another() {
    let (old, new) = (object(&sound(0), None, 9), object(&sound(1), None, 10));
    let version = |node: Option<&HcsNode>| node.unwrap().metadata.resource_version.clone().unwrap();
    assert_eq!(version(newest(Some(&old), Some(&new))), "10");
    assert_eq!(version(newest(Some(&new), Some(&old))), "10");
    let mut another = old.clone();
    another.metadata.uid = Some("v".into());
    assert_eq!(version(newest(Some(&another), Some(&new))), "9");
    assert!(newest(None, Some(&new)).is_none());
}
