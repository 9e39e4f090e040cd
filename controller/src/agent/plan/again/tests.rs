//! Restart policies, how ends are told apart, and the backoff.

use hcs_crds::{RestartPolicy, RestartSettings};

use super::*;
use crate::agent::plan::tests::{at, record_of, settled, wanted};
use crate::agent::plan::{Observed, Step, plan};
use crate::agent::record::{Applied, Stop};

#[test]
fn restart_policies_by_exit_code() {
    use RestartPolicy::{Always, Never, OnFailure};
    let now = at(20);
    let cases = [
        (Always, Some(0), Step::Delete),
        (Always, Some(3), Step::Delete),
        (OnFailure, Some(0), settled(Settled::Completed)),
        (OnFailure, Some(3), Step::Delete),
        (OnFailure, None, Step::Delete),
        (Never, Some(0), settled(Settled::Completed)),
        (Never, Some(3), settled(Settled::Failed)),
        (Never, None, settled(Settled::Failed)),
    ];
    for (restart_policy, exit_code, expected) in cases {
        let mut r = record_of(Observed::Stopped);
        r.ended = Some(Ended {
            exit_code,
            cause: Cause::Guest,
            at: at(5),
        });
        let d = Desired {
            restart_policy,
            ..wanted(Goal::Running)
        };
        let step = plan(&d, &r, Observed::Stopped, now);
        assert_eq!(step, expected, "{restart_policy:?} {exit_code:?}");
    }
}

#[test]
fn a_container_that_was_stopped_on_request_starts_again_whatever_its_policy() {
    let mut r = record_of(Observed::Stopped);
    r.ended = Some(Ended {
        exit_code: Some(1),
        cause: Cause::Stopped,
        at: at(5),
    });
    let d = Desired {
        restart_policy: RestartPolicy::Never,
        ..wanted(Goal::Running)
    };
    assert_eq!(plan(&d, &r, Observed::Stopped, at(6)), Step::Delete);
    assert_eq!(plan(&d, &r, Observed::Absent, at(6)), Step::Create);
}

#[test]
fn the_restart_limit_ends_the_restarts() {
    let mut r = record_of(Observed::Stopped);
    r.failures = 4;
    let d = Desired {
        max_restarts: Some(3),
        ..wanted(Goal::Running)
    };
    assert_eq!(
        plan(&d, &r, Observed::Stopped, at(20)),
        settled(Settled::LimitReached)
    );
    r.failures = 3;
    assert_eq!(plan(&d, &r, Observed::Stopped, at(20)), Step::Delete);
}

type Prepare = Box<dyn Fn(&mut Record)>;

fn ending(exit_code: Option<u32>, absent: bool, boot_id: &str, second: i64) -> Ending {
    Ending {
        exit_code,
        absent,
        boot_id: boot_id.into(),
        at: at(second),
    }
}

#[test]
fn ends_are_told_apart_by_their_cause() {
    let settings = RestartSettings::default();
    let cases: [(&str, Prepare, Ending, Cause); 8] = [
        (
            "by itself",
            Box::new(|_| ()),
            ending(Some(3), false, "boot", 9),
            Cause::Guest,
        ),
        (
            "by itself, and removed since",
            Box::new(|_| ()),
            ending(Some(3), true, "boot", 9),
            Cause::Guest,
        ),
        (
            "by itself, unseen",
            Box::new(|_| ()),
            ending(None, false, "boot", 9),
            Cause::Guest,
        ),
        (
            "lost",
            Box::new(|_| ()),
            ending(None, true, "boot", 9),
            Cause::Lost,
        ),
        (
            "reboot",
            Box::new(|_| ()),
            ending(None, true, "boot2", 9),
            Cause::Rebooted,
        ),
        (
            "start failed",
            Box::new(|r| r.start_error = Some("no such file".into())),
            ending(Some(1), false, "boot", 9),
            Cause::StartFailed,
        ),
        (
            "stopped",
            Box::new(|r| {
                r.stop = Some(Stop {
                    signaled_at: at(1),
                    told: true,
                    forced: false,
                });
            }),
            ending(Some(1), false, "boot", 9),
            Cause::Stopped,
        ),
        (
            "forced",
            Box::new(|r| {
                r.stop = Some(Stop {
                    signaled_at: at(1),
                    told: true,
                    forced: true,
                });
            }),
            ending(None, true, "boot", 9),
            Cause::Forced,
        ),
    ];
    for (name, prepare, ending, cause) in cases {
        let mut r = record_of(Observed::Running);
        prepare(&mut r);
        account_end(&mut r, &settings, &ending);
        assert_eq!(r.ended.as_ref().unwrap().cause, cause, "{name}");
        assert_eq!(r.failures > 0, cause.is_charged(), "{name}");
        assert_eq!(r.retry_after.is_some(), cause.is_charged(), "{name}");
    }
}

#[test]
fn an_end_by_the_agent_makes_the_container_due_and_no_other_end_takes_that_back() {
    let settings = RestartSettings::default();
    for (stopped, before, after) in [
        (true, false, true),
        (true, true, true),
        (false, true, true),
        (false, false, false),
    ] {
        let mut r = record_of(Observed::Running);
        r.rearm = before;
        r.stop = stopped.then(|| Stop {
            signaled_at: at(1),
            told: true,
            forced: false,
        });
        account_end(&mut r, &settings, &ending(Some(1), false, "boot", 9));
        assert_eq!(r.rearm, after, "stopped: {stopped}, due before: {before}");
    }
}

#[test]
fn exit_codes_keep_all_32_bits_and_their_names() {
    let mut r = record_of(Observed::Running);
    account_end(
        &mut r,
        &RestartSettings::default(),
        &ending(Some(0xC000_0409), false, "boot", 9),
    );
    let last = r.last_termination.unwrap();
    assert_eq!(last.exit_code, Some(3_221_226_505));
    assert_eq!(last.exit_code_hex.as_deref(), Some("0xC0000409"));
    assert_eq!(last.reason.as_deref(), Some("STATUS_STACK_BUFFER_OVERRUN"));
}

#[test]
fn a_long_run_starts_the_count_of_failures_again() {
    let settings = RestartSettings::default();
    let mut r = record_of(Observed::Running);
    r.failures = 5;
    account_end(&mut r, &settings, &ending(Some(1), false, "boot", 600));
    assert_eq!(r.failures, 1);
}

#[test]
fn backoff_doubles_is_capped_and_jitters_by_a_tenth_at_most() {
    let settings = RestartSettings::default();
    for (failures, full) in [(1, 10.0), (2, 20.0), (3, 40.0), (6, 300.0), (40, 300.0)] {
        let delays: Vec<f64> = (0..50)
            .map(|seed| backoff(&settings, failures, &seed).as_secs_f64())
            .collect();
        assert!(
            delays.iter().all(|d| *d <= full && *d >= 0.9 * full),
            "{delays:?}"
        );
        assert!(delays.iter().any(|d| *d < 0.97 * full) && delays.iter().any(|d| *d > 0.95 * full));
    }
    let none = RestartSettings {
        initial_backoff_seconds: 0,
        max_backoff_seconds: 0,
        ..settings
    };
    assert!(backoff(&none, 9, &1).is_zero());
}

#[test]
fn a_restart_is_counted_only_when_the_container_ended_by_itself() {
    for (cause, rearm, counted) in [
        (Cause::Guest, false, 1),
        (Cause::Rebooted, false, 1),
        (Cause::Stopped, false, 0),
        (Cause::Guest, true, 0),
    ] {
        let mut r = record_of(Observed::Stopped);
        r.ended = Some(Ended {
            exit_code: None,
            cause,
            at: at(5),
        });
        r.rearm = rearm;
        r.begin_attempt(Applied::default(), "boot");
        assert_eq!(r.restart_count, counted, "{cause:?} {rearm}");
    }
}
