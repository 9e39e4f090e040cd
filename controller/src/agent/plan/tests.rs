//! The plan table of `docs/architecture.md`, each cell a case, and what surrounds it.

use hcs_crds::{RestartPolicy, UpdatePolicy};
use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::agent::record::{
    Applied, Cause, Ended, ObjectId, Processes, ScratchMade, Stop, Trouble,
};

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

pub(super) fn wanted(goal: Goal) -> Desired {
    Desired {
        generation: 1,
        goal,
        hash: "h1".into(),
        restart_request: None,
        restart_policy: RestartPolicy::Always,
        max_restarts: None,
        update_policy: UpdatePolicy::Recreate,
        scratch_gb: None,
        tty: None,
        grace: SignedDuration::from_secs(30),
        reset_after: SignedDuration::from_secs(600),
        ttl: None,
    }
}

fn fresh() -> Record {
    Record::new(ObjectId::new("u", "n", "web"))
}

/// A record whose stage fits what is observed.
pub(super) fn record_of(observed: Observed) -> Record {
    let mut r = fresh();
    if observed == Observed::Absent {
        return r;
    }
    r.begin_attempt(
        Applied {
            hash: "h1".into(),
            restart_request: None,
        },
        "boot",
    );
    r.stage = Stage::Created;
    if matches!(
        observed,
        Observed::Running | Observed::Paused | Observed::Stopped
    ) {
        r.stage = Stage::Started;
        r.started_at = Some(at(0));
        r.processes = Some(Processes {
            count: 1,
            pids: vec![8],
        });
    }
    if observed == Observed::HalfMade {
        r.stage = Stage::Creating;
    }
    if observed == Observed::Stopped {
        r.ended = Some(Ended {
            exit_code: Some(3),
            cause: Cause::Guest,
            at: at(5),
        });
        r.failures = 1;
        r.retry_after = Some(at(15));
    }
    r
}

pub(super) fn settled(how: Settled) -> Step {
    Step::Settled { how, wake: None }
}

const ALL: [Observed; 6] = [
    Observed::Absent,
    Observed::Created,
    Observed::Running,
    Observed::Paused,
    Observed::Stopped,
    Observed::HalfMade,
];

fn row(goal: Goal, second: i64) -> Vec<Step> {
    ALL.iter()
        .map(|o| plan(&wanted(goal), &record_of(*o), *o, at(second)))
        .collect()
}

#[test]
fn the_row_created() {
    let expected = [
        Step::Create,
        settled(Settled::Reached),
        Step::Kill,
        Step::Resume,
        Step::Delete,
        Step::ForceDelete,
    ];
    assert_eq!(row(Goal::Created, 20), expected);
}

#[test]
fn the_row_running() {
    let expected = [
        Step::Create,
        Step::Start,
        settled(Settled::Reached),
        Step::Resume,
        Step::Delete,
        Step::ForceDelete,
    ];
    assert_eq!(row(Goal::Running, 20), expected);
}

#[test]
fn the_row_paused() {
    let expected = [
        Step::Create,
        Step::Start,
        Step::Pause,
        settled(Settled::Reached),
        Step::Delete,
        Step::ForceDelete,
    ];
    assert_eq!(row(Goal::Paused, 20), expected);
}

#[test]
fn the_row_stopped() {
    let reached = settled(Settled::Reached);
    let expected = [
        reached.clone(),
        reached.clone(),
        Step::Kill,
        Step::Resume,
        reached,
        Step::ForceDelete,
    ];
    assert_eq!(row(Goal::Stopped, 20), expected);
}

#[test]
fn the_row_deleted() {
    let expected = [
        settled(Settled::Reached),
        Step::Delete,
        Step::Kill,
        Step::Resume,
        Step::Delete,
        Step::ForceDelete,
    ];
    assert_eq!(row(Goal::Deleted, 20), expected);
}

#[test]
fn the_row_of_an_object_being_deleted() {
    let expected = [
        Step::Finalize,
        Step::Delete,
        Step::Kill,
        Step::Resume,
        Step::Delete,
        Step::ForceDelete,
    ];
    assert_eq!(row(Goal::Gone, 20), expected);
}

#[test]
fn an_end_is_accounted_for_before_anything_else() {
    for goal in [
        Goal::Created,
        Goal::Running,
        Goal::Paused,
        Goal::Stopped,
        Goal::Deleted,
        Goal::Gone,
    ] {
        for observed in [Observed::Absent, Observed::Stopped] {
            let mut r = record_of(Observed::Running);
            r.ended = None;
            assert_eq!(
                plan(&wanted(goal), &r, observed, at(1)),
                Step::AccountEnd,
                "{goal:?}"
            );
        }
    }
}

#[test]
fn what_goes_while_it_is_deleted_has_an_end_only_if_it_was_started() {
    let mut r = record_of(Observed::Running);
    r.stage = Stage::Deleting;
    let next = |r: &Record| plan(&wanted(Goal::Deleted), r, Observed::Absent, at(1));
    assert_eq!(next(&r), Step::AccountEnd);
    r.started_at = None;
    assert_eq!(next(&r), settled(Settled::Reached));
}

#[test]
fn a_stop_that_was_written_down_is_told_first_unless_it_is_by_force() {
    for (told, forced, step) in [
        (false, false, Step::Kill),
        (false, true, Step::ForceDelete),
        (true, true, Step::ForceDelete),
    ] {
        let mut r = record_of(Observed::Running);
        let signaled_at = at(0);
        r.stop = Some(Stop {
            signaled_at,
            told,
            forced,
        });
        let next = plan(&wanted(Goal::Stopped), &r, Observed::Running, at(1));
        assert_eq!(next, step, "told: {told}, forced: {forced}");
    }
}

#[test]
fn a_signalled_container_is_forced_after_its_grace_period_and_not_before() {
    let mut r = record_of(Observed::Running);
    r.stop = Some(Stop {
        signaled_at: at(0),
        told: true,
        forced: false,
    });
    for goal in [
        Goal::Stopped,
        Goal::Deleted,
        Goal::Gone,
        Goal::Created,
        Goal::Running,
    ] {
        let wait = Step::Wait {
            until: at(30),
            why: Waiting::Grace,
        };
        assert_eq!(
            plan(&wanted(goal), &r, Observed::Running, at(29)),
            wait,
            "{goal:?}"
        );
        let step = plan(&wanted(goal), &r, Observed::Running, at(30));
        assert_eq!(step, Step::ForceDelete, "{goal:?}");
    }
}

#[test]
fn a_paused_container_that_cannot_be_resumed_is_forced() {
    for (failed, generation, step) in [
        (StepKind::Resume, 1, Step::ForceDelete),
        (StepKind::Resume, 2, Step::Resume),
        (StepKind::Kill, 1, Step::Resume),
    ] {
        let mut r = record_of(Observed::Paused);
        r.trouble = Some(trouble(failed, generation, at(100)));
        let next = plan(&wanted(Goal::Stopped), &r, Observed::Paused, at(1));
        assert_eq!(next, step, "{failed:?} of generation {generation}");
    }
}

fn trouble(step: StepKind, generation: i64, retry_after: Timestamp) -> Trouble {
    Trouble {
        step,
        reason: "R".into(),
        message: "m".into(),
        count: 1,
        retry_after,
        generation,
    }
}

#[test]
fn a_failed_step_waits_for_its_retry_unless_the_spec_changed() {
    let mut r = record_of(Observed::Created);
    r.trouble = Some(trouble(StepKind::Start, 1, at(100)));
    let d = wanted(Goal::Running);
    let wait = Step::Wait {
        until: at(100),
        why: Waiting::Retry,
    };
    assert_eq!(plan(&d, &r, Observed::Created, at(99)), wait);
    assert_eq!(plan(&d, &r, Observed::Created, at(100)), Step::Start);
    let changed = Desired { generation: 2, ..d };
    assert_eq!(plan(&changed, &r, Observed::Created, at(1)), Step::Start);
}

#[test]
fn a_failed_step_does_not_hold_up_another_step() {
    let mut r = record_of(Observed::Running);
    r.trouble = Some(trouble(StepKind::Resize, 1, at(100)));
    assert_eq!(
        plan(&wanted(Goal::Stopped), &r, Observed::Running, at(1)),
        Step::Kill
    );
}

#[test]
fn a_restart_waits_for_its_backoff() {
    for goal in [Goal::Running, Goal::Paused, Goal::Created] {
        let r = record_of(Observed::Stopped);
        let wait = Step::Wait {
            until: at(15),
            why: Waiting::Backoff,
        };
        assert_eq!(
            plan(&wanted(goal), &r, Observed::Stopped, at(14)),
            wait,
            "{goal:?}"
        );
        assert_eq!(
            plan(&wanted(goal), &r, Observed::Absent, at(14)),
            wait,
            "{goal:?}"
        );
        assert_eq!(
            plan(&wanted(goal), &r, Observed::Stopped, at(15)),
            Step::Delete,
            "{goal:?}"
        );
        assert_eq!(
            plan(&wanted(goal), &r, Observed::Absent, at(15)),
            Step::Create,
            "{goal:?}"
        );
    }
}

#[test]
fn a_restart_request_recreates_once_and_overrides_policy_and_backoff() {
    let d = Desired {
        restart_request: Some("again".into()),
        restart_policy: RestartPolicy::Never,
        ..wanted(Goal::Running)
    };
    assert_eq!(
        plan(&d, &record_of(Observed::Running), Observed::Running, at(1)),
        Step::Kill
    );
    assert_eq!(
        plan(&d, &record_of(Observed::Stopped), Observed::Stopped, at(1)),
        Step::Delete
    );
    let mut done = record_of(Observed::Running);
    done.applied.restart_request = Some("again".into());
    let step = plan(&d, &done, Observed::Running, at(1));
    assert_eq!(step, settled(Settled::Reached));
}

#[test]
fn a_changed_bundle_recreates_or_waits_for_a_person() {
    let mut d = Desired {
        hash: "h2".into(),
        ..wanted(Goal::Running)
    };
    assert_eq!(
        plan(&d, &record_of(Observed::Running), Observed::Running, at(1)),
        Step::Kill
    );
    assert_eq!(
        plan(&d, &record_of(Observed::Paused), Observed::Paused, at(1)),
        Step::Resume
    );
    assert_eq!(
        plan(&d, &record_of(Observed::Created), Observed::Created, at(1)),
        Step::Delete
    );
    d.update_policy = UpdatePolicy::Manual;
    let step = plan(&d, &record_of(Observed::Running), Observed::Running, at(1));
    assert_eq!(step, settled(Settled::Reached));
    assert!(differs(&d, &record_of(Observed::Running)));
}

#[test]
fn a_scratch_comes_before_the_container_and_is_made_anew_in_another_size() {
    let d = Desired {
        scratch_gb: Some(40),
        ..wanted(Goal::Running)
    };
    let mut r = fresh();
    assert_eq!(plan(&d, &r, Observed::Absent, at(1)), Step::CreateScratch);
    r.scratch = Some(ScratchMade {
        size_gb: 40,
        path: "p".into(),
    });
    assert_eq!(plan(&d, &r, Observed::Absent, at(1)), Step::Create);
    r.scratch = Some(ScratchMade {
        size_gb: 20,
        path: "p".into(),
    });
    assert_eq!(plan(&d, &r, Observed::Absent, at(1)), Step::CreateScratch);
}

#[test]
fn a_terminal_is_resized_when_its_size_differs() {
    let size = TerminalSize {
        width: 120,
        height: 30,
    };
    let d = Desired {
        tty: Some(size),
        ..wanted(Goal::Running)
    };
    let mut r = record_of(Observed::Running);
    r.tty = Some(TerminalSize { width: 80, ..size });
    assert_eq!(plan(&d, &r, Observed::Running, at(1)), Step::Resize(size));
    r.tty = Some(size);
    assert_eq!(
        plan(&d, &r, Observed::Running, at(1)),
        settled(Settled::Reached)
    );
}

#[test]
fn a_console_that_is_added_or_taken_away_needs_a_new_container() {
    let size = TerminalSize {
        width: 120,
        height: 30,
    };
    for (has, wants) in [(None, Some(size)), (Some(size), None)] {
        let mut d = Desired {
            tty: wants,
            ..wanted(Goal::Running)
        };
        let mut r = record_of(Observed::Running);
        r.tty = has;
        assert_eq!(plan(&d, &r, Observed::Running, at(1)), Step::Kill);
        d.update_policy = UpdatePolicy::Manual;
        assert!(differs(&d, &r) && !outdated(&d, &r));
    }
}

#[test]
fn processes_are_listed_once_after_a_start() {
    let mut r = record_of(Observed::Running);
    r.processes = None;
    let step = plan(&wanted(Goal::Running), &r, Observed::Running, at(1));
    assert_eq!(step, Step::ListProcesses);
}

#[test]
fn failures_are_forgotten_after_a_long_run() {
    let mut r = record_of(Observed::Running);
    r.failures = 2;
    let d = wanted(Goal::Running);
    let wake = Step::Settled {
        how: Settled::Reached,
        wake: Some(at(600)),
    };
    assert_eq!(plan(&d, &r, Observed::Running, at(1)), wake);
    assert_eq!(
        plan(&d, &r, Observed::Running, at(600)),
        Step::ForgetFailures
    );
}

#[test]
fn a_finished_object_is_deleted_when_its_time_to_live_is_over() {
    let mut r = record_of(Observed::Stopped);
    r.ended = Some(Ended {
        exit_code: Some(0),
        cause: Cause::Guest,
        at: at(5),
    });
    let d = Desired {
        restart_policy: RestartPolicy::Never,
        ttl: Some(SignedDuration::from_secs(60)),
        ..wanted(Goal::Running)
    };
    let wait = Step::Settled {
        how: Settled::Completed,
        wake: Some(at(65)),
    };
    assert_eq!(plan(&d, &r, Observed::Stopped, at(64)), wait);
    assert_eq!(plan(&d, &r, Observed::Stopped, at(65)), Step::DeleteObject);
}

#[test]
fn observe_says_what_manage_would_run() {
    let now = at(20);
    let says = |goal, o| predict(&wanted(goal), &record_of(o), o, now);
    assert_eq!(says(Goal::Running, Observed::Absent), ["create", "start"]);
    assert_eq!(says(Goal::Paused, Observed::Created), ["start", "pause"]);
    assert_eq!(says(Goal::Gone, Observed::Running), ["kill", "delete"]);
    assert_eq!(
        says(Goal::Created, Observed::Paused),
        ["resume", "kill", "delete", "create"]
    );
    assert!(says(Goal::Running, Observed::Running).is_empty());
    assert_eq!(
        says(Goal::Running, Observed::HalfMade),
        ["delete --force", "create", "start"]
    );
}
