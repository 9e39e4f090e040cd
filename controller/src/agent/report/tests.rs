//! What a reader sees in each situation.

use hcs_crds::RestartPolicy;
use jiff::SignedDuration;

use super::*;
use crate::agent::record::{Applied, Cause, Ended, ObjectId, ScratchMade, Shim, Stage};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn report(outcome: Outcome) -> Report {
    let id = ObjectId::new("u", "n", "web");
    let mut record = Record::new(id);
    record.begin_attempt(
        Applied {
            hash: "h".into(),
            restart_request: None,
        },
        "boot",
    );
    record.stage = Stage::Started;
    record.shim = Some(Shim {
        pid: 42,
        start_time: 1,
    });
    Report {
        record,
        observed: Observed::Running,
        wanted: Desired {
            generation: 4,
            goal: Goal::Running,
            hash: "h".into(),
            restart_request: None,
            restart_policy: RestartPolicy::Always,
            max_restarts: Some(3),
            update_policy: UpdatePolicy::Recreate,
            scratch_gb: None,
            tty: None,
            grace: SignedDuration::from_secs(30),
            reset_after: SignedDuration::from_secs(600),
            ttl: None,
        },
        health: Health::Responds,
        outcome,
        now: at(0),
    }
}

fn settled(how: Settled) -> Outcome {
    Outcome::Planned(Step::Settled { how, wake: None })
}

/// Phase, and each condition as `Type=Status/Reason`.
fn reads(report: &Report) -> String {
    let status = report.status(None);
    let conditions: Vec<_> = status
        .conditions
        .iter()
        .filter(|c| c.type_ != RUNTIME_RESPONSIVE || c.status == "False")
        .map(|c| format!("{}={}/{}", c.type_, c.status, c.reason))
        .collect();
    format!("{:?} {}", status.phase, conditions.join(" "))
}

#[test]
fn a_running_container_is_ready_and_shows_its_pid() {
    let report = report(settled(Settled::Reached));
    assert_eq!(reads(&report), "Running Ready=True/Running");
    let status = report.status(None);
    assert_eq!((status.pid, status.observed_generation), (Some(42), 4));
    assert_eq!(status.container_id.as_deref(), Some("hc-u-1"));
}

#[test]
fn a_paused_container_is_ready_where_that_is_asked() {
    let mut report = report(settled(Settled::Reached));
    report.wanted.goal = Goal::Paused;
    report.observed = Observed::Paused;
    assert_eq!(reads(&report), "Paused Ready=True/Paused");
}

#[test]
fn an_end_that_was_to_be_is_ready_and_one_that_was_not_is_stalled() {
    let mut report = report(settled(Settled::Completed));
    report.observed = Observed::Stopped;
    assert_eq!(reads(&report), "Stopped Ready=True/Completed");
    assert_eq!(report.status(None).pid, None);
    report.outcome = settled(Settled::Failed);
    let failed = "Failed Ready=False/ContainerFailed Stalled=True/ContainerFailed";
    assert_eq!(reads(&report), failed);
    report.outcome = settled(Settled::LimitReached);
    let limit = "Failed Ready=False/RestartLimitReached Stalled=True/RestartLimitReached";
    assert_eq!(reads(&report), limit);
}

#[test]
fn a_backoff_says_how_it_ended_and_when_it_goes_on() {
    let wait = Step::Wait {
        until: at(10),
        why: Waiting::Backoff,
    };
    let mut report = report(Outcome::Planned(wait));
    report.observed = Observed::Stopped;
    report.record.failures = 2;
    report.record.retry_after = Some(at(10));
    report.record.ended = Some(Ended {
        exit_code: Some(3),
        cause: Cause::Guest,
        at: at(0),
    });
    report.record.last_termination = Some(Box::new(hcs_crds::Termination::of_exit_code(3)));
    let status = report.status(None);
    let reading = "Stopped Ready=False/WaitingForBackoff Reconciling=True/WaitingForBackoff";
    assert_eq!(reads(&report), reading);
    let message = "ended with exit code 3 (0x00000003); next try at 2023-11-14T22:13:30Z";
    assert_eq!(status.conditions[0].message, message);
    let backoff = status.backoff.unwrap();
    assert_eq!(backoff.consecutive_failures, 2);
    assert_eq!(backoff.retry_after, Some(whole_seconds(at(10))));
    assert_eq!(report.wake(), Some(at(10)));
}

#[test]
fn a_step_that_fails_gives_its_own_reason_and_message() {
    let wait = Step::Wait {
        until: at(10),
        why: Waiting::Retry,
    };
    let mut report = report(Outcome::Planned(wait));
    report.observed = Observed::Absent;
    report.record.trouble = Some(Trouble {
        step: StepKind::Create,
        reason: "RuntimeHung".into(),
        message: "create did not end".into(),
        count: 2,
        retry_after: at(10),
        generation: 4,
    });
    let expected = "Pending Ready=False/RuntimeHung Reconciling=True/RuntimeHung \
                    RuntimeResponsive=False/RuntimeHung";
    assert_eq!(reads(&report), expected);
}

#[test]
fn what_a_person_has_to_change_is_stalled_and_a_list_of_processes_is_a_courtesy() {
    let wait = Step::Wait {
        until: at(10),
        why: Waiting::Retry,
    };
    let mut report = report(Outcome::Planned(wait));
    let trouble = |step, reason: &str| Trouble {
        step,
        reason: reason.into(),
        message: "m".into(),
        count: 1,
        retry_after: at(10),
        generation: 4,
    };
    report.record.trouble = Some(trouble(StepKind::Pause, "PauseUnsupported"));
    let stalled = "Running Ready=False/PauseUnsupported Stalled=True/PauseUnsupported";
    assert_eq!(reads(&report), stalled);
    report.record.trouble = Some(trouble(StepKind::Create, "PathNotAllowed"));
    let stalled = "Running Ready=False/PathNotAllowed Stalled=True/PathNotAllowed";
    assert_eq!(reads(&report), stalled);
    // A bundle can come by itself: somebody may be copying it.
    report.record.trouble = Some(trouble(StepKind::Create, "BundleMissing"));
    let waits = "Running Ready=False/BundleMissing Reconciling=True/BundleMissing";
    assert_eq!(reads(&report), waits);
    report.record.trouble = Some(trouble(StepKind::ListProcesses, "RuntimeFailed"));
    assert!(
        reads(&report).contains("Ready=True/Running"),
        "{}",
        reads(&report)
    );
}

#[test]
fn a_runtime_that_does_not_answer_makes_the_state_unknown() {
    let mut report = report(Outcome::RuntimeFails);
    report.health = Health::Fails {
        reason: Reason::RuntimeMissing,
        message: "no such file".into(),
    };
    let expected = "Unknown Ready=False/RuntimeMissing Reconciling=True/RuntimeMissing \
                    RuntimeResponsive=False/RuntimeMissing";
    assert_eq!(reads(&report), expected);
}

#[test]
fn an_invalid_spec_is_stalled_and_leaves_the_phase_of_what_runs() {
    let report = report(Outcome::Invalid("spec.tty: no".into()));
    assert_eq!(
        reads(&report),
        "Running Ready=False/InvalidSpec Stalled=True/InvalidSpec"
    );
}

#[test]
fn observe_lists_what_would_be_run() {
    let report = report(Outcome::Observing(
        vec!["create".into(), "start".into()],
        Step::Create,
    ));
    let status = report.status(None);
    assert_eq!(status.planned_actions, ["create", "start"]);
    assert_eq!(status.conditions[0].reason, "Observing");
    assert_eq!(status.conditions[0].status, "False");
}

#[test]
fn observe_does_not_call_a_failed_container_ready() {
    let settled = |how| Step::Settled { how, wake: None };
    let mut report = report(Outcome::Observing(Vec::new(), settled(Settled::Reached)));
    assert_eq!(reads(&report), "Running Ready=True/Observing");
    report.outcome = Outcome::Observing(Vec::new(), settled(Settled::Failed));
    report.observed = Observed::Stopped;
    let failed = "Stopped Ready=False/ContainerFailed Stalled=True/ContainerFailed";
    assert_eq!(reads(&report), failed);
}

#[test]
fn a_manual_update_says_whether_a_restart_is_required() {
    let mut report = report(settled(Settled::Reached));
    report.wanted.update_policy = UpdatePolicy::Manual;
    assert!(reads(&report).ends_with("RestartRequired=False/NotRequired"));
    report.wanted.hash = "other".into();
    assert!(reads(&report).ends_with("RestartRequired=True/RestartRequired"));
}

#[test]
fn what_was_stopped_on_request_requires_no_restart_to_come_back_with_the_newest_spec() {
    let mut report = report(settled(Settled::Reached));
    report.wanted.update_policy = UpdatePolicy::Manual;
    report.wanted.hash = "other".into();
    for (cause, required) in [
        (Cause::Stopped, "False/NotRequired"),
        (Cause::Forced, "False/NotRequired"),
        (Cause::Guest, "True/RestartRequired"),
    ] {
        report.record.ended = Some(Ended {
            exit_code: Some(0),
            cause,
            at: Timestamp::UNIX_EPOCH,
        });
        let text = reads(&report);
        assert!(
            text.ends_with(&format!("RestartRequired={required}")),
            "{text}"
        );
    }
}

#[test]
fn a_scratch_has_its_condition() {
    let mut report = report(Outcome::Doing(Step::CreateScratch));
    report.wanted.scratch_gb = Some(40);
    assert!(reads(&report).ends_with("ScratchReady=False/ScratchCreating"));
    report.record.scratch = Some(ScratchMade {
        size_gb: 40,
        path: "p".into(),
    });
    assert!(reads(&report).ends_with("ScratchReady=True/ScratchCreated"));
}

#[test]
fn a_transition_time_stays_while_the_status_of_its_condition_stays() {
    let mut report = report(settled(Settled::Reached));
    let first = report.status(None);
    report.now = at(100);
    assert_eq!(report.status(Some(&first)), first);
    report.outcome = settled(Settled::Failed);
    let second = report.status(Some(&first));
    assert_eq!(
        second.conditions[0].last_transition_time,
        whole_seconds(at(100))
    );
    let responsive = |s: &HcsContainerStatus| {
        s.conditions
            .iter()
            .find(|c| c.type_ == RUNTIME_RESPONSIVE)
            .cloned()
    };
    assert_eq!(responsive(&second), responsive(&first));
}
