//! The lifecycles: what a person, a program or the node does, one move after the other.

use hcs_crds::{DesiredState, HcsContainer, ManagementPolicy, Os, ReclaimPolicy, RestartPolicy};
use hcs_crds::{Scratch, Tty};
use runhcs::ErrorKind;

use super::world::World;
use crate::agent::fixtures::{Shape, fails, hangs, late};

/// What is done to the agent before it has come to rest.
type Move = fn(&mut World);

/// A lifecycle.
pub struct Script {
    /// Its name, for whoever plays one point again.
    pub name: &'static str,
    /// Its moves; before each the agent has come to rest.
    pub moves: &'static [Move],
}

fn web(world: &World) -> HcsContainer {
    crate::agent::fixtures::object("web", world.dir())
}

fn runs(world: &mut World) {
    world.applies(&web(world));
}

fn runs_in_a_vm(world: &mut World) {
    world.applies(&web(world).in_a_vm());
}

fn runs_never_again(world: &mut World) {
    world.applies(&web(world).with(|spec| spec.restart_policy = RestartPolicy::Never));
}

fn is(state: DesiredState) -> impl Fn(&mut World) {
    move |world: &mut World| world.changes(|object| object.spec.desired_state = state)
}

fn created(world: &mut World) {
    is(DesiredState::Created)(world);
}

fn running(world: &mut World) {
    is(DesiredState::Running)(world);
}

fn paused(world: &mut World) {
    is(DesiredState::Paused)(world);
}

fn stopped(world: &mut World) {
    is(DesiredState::Stopped)(world);
}

fn absent(world: &mut World) {
    is(DesiredState::Deleted)(world);
}

fn deleted(world: &mut World) {
    world.deletes();
}

fn ends_badly(world: &mut World) {
    world.ends(3);
}

fn ends_well(world: &mut World) {
    world.ends(0);
}

/// The one that the container's answer to a stop signal is.
fn ends_when_told(world: &mut World) {
    world.runtime.obeys();
}

fn other_bundle(world: &mut World) {
    world.changes(|object| {
        let config = object.spec.bundle.config.as_mut().unwrap();
        config.update(|config| config["process"]["args"] = serde_json::json!(["run", "else"]));
    });
}

fn restart_requested(world: &mut World) {
    world.changes(|object| object.spec.restart_request = Some("again".into()));
}

fn linux(world: &mut World) {
    let object = web(world).in_a_vm().with(|spec| {
        spec.runtime.os = Os::Linux;
        spec.scratch = Some(Scratch {
            size_gb: 20,
            ..Scratch::default()
        });
    });
    world.applies(&object);
}

fn larger_scratch(world: &mut World) {
    world.changes(|object| object.spec.scratch.as_mut().unwrap().size_gb = 40);
}

fn retained_scratch(world: &mut World) {
    world.changes(|object| {
        object.spec.scratch.as_mut().unwrap().reclaim_policy = ReclaimPolicy::Retain;
    });
}

fn from_a_folder(world: &mut World) {
    let object = web(world).with(|spec| {
        let config = spec.bundle.config.take().unwrap();
        let folder = world.dir().join("bundles/web");
        std::fs::create_dir_all(&folder).unwrap();
        let text = serde_json::to_vec(&config).unwrap();
        std::fs::write(folder.join("config.json"), text).unwrap();
        spec.bundle.path = Some(folder.to_string_lossy().into_owned());
    });
    world.applies(&object);
}

fn with_a_console(world: &mut World) {
    let tty = Tty {
        width: 80,
        height: 25,
    };
    world.applies(&web(world).with(|spec| spec.tty = Some(tty)));
}

fn wider_console(world: &mut World) {
    world.changes(|object| object.spec.tty.as_mut().unwrap().width = 120);
}

fn short_lived(world: &mut World) {
    world.applies(&web(world).with(|spec| {
        spec.restart_policy = RestartPolicy::Never;
        spec.ttl_seconds_after_finished = Some(20);
    }));
}

fn observed(world: &mut World) {
    world.changes(|object| object.spec.management_policy = ManagementPolicy::Observe);
}

fn managed(world: &mut World) {
    world.changes(|object| object.spec.management_policy = ManagementPolicy::Manage);
}

fn torn_away(world: &mut World) {
    world.api.remove("web");
}

fn restarted_agent(world: &mut World) {
    world.is_born();
}

fn lost_records(world: &mut World) {
    world.dies();
    std::fs::remove_dir_all(world.data().join("records")).unwrap();
    world.is_born();
}

fn rebooted(world: &mut World) {
    world.dies();
    world.runtime.loses_all();
    world.forgets_its_boot();
    world.is_born();
}

fn create_half_made(world: &mut World) {
    let half_made = fails(ErrorKind::Killed, "killed").leaving("half-made");
    world.runtime.next("create", half_made);
}

fn create_hangs(world: &mut World) {
    world.runtime.next("create", hangs().leaving("created"));
}

fn start_fails(world: &mut World) {
    let ended = fails(ErrorKind::Failed, "no such program").leaving("stopped");
    world.runtime.next("start", ended);
}

fn all_is_late(world: &mut World) {
    for verb in ["create", "start", "ps", "kill", "delete"] {
        world.runtime.next(verb, late(2));
    }
}

/// All of them.
pub const SCRIPTS: &[Script] = &[
    Script {
        name: "run-delete",
        moves: &[runs, deleted],
    },
    Script {
        name: "run-delete-obeying",
        moves: &[ends_when_told, runs, deleted],
    },
    Script {
        name: "all-states",
        moves: &[
            ends_when_told,
            runs,
            created,
            running,
            stopped,
            running,
            absent,
            running,
            deleted,
        ],
    },
    Script {
        name: "pause",
        moves: &[
            runs_in_a_vm,
            paused,
            running,
            paused,
            stopped,
            paused,
            deleted,
        ],
    },
    Script {
        name: "ends-and-runs-again",
        moves: &[runs, ends_badly, ends_well, deleted],
    },
    Script {
        name: "ends-for-good",
        moves: &[
            runs_never_again,
            ends_badly,
            restart_requested,
            ends_well,
            deleted,
        ],
    },
    Script {
        name: "update",
        moves: &[
            ends_when_told,
            runs,
            other_bundle,
            restart_requested,
            deleted,
        ],
    },
    Script {
        name: "scratch",
        moves: &[
            linux,
            larger_scratch,
            retained_scratch,
            larger_scratch_again,
            deleted,
        ],
    },
    Script {
        name: "folder",
        moves: &[from_a_folder, stopped, absent, running, deleted],
    },
    Script {
        name: "console",
        moves: &[with_a_console, wider_console, deleted],
    },
    Script {
        name: "time-to-live",
        moves: &[short_lived, ends_well],
    },
    Script {
        name: "observe",
        moves: &[runs, observed, managed, observed, deleted],
    },
    Script {
        name: "torn-away",
        moves: &[runs, torn_away],
    },
    Script {
        name: "torn-away-with-scratch",
        moves: &[linux, torn_away],
    },
    Script {
        name: "agents-come-and-go",
        moves: &[
            runs,
            restarted_agent,
            lost_records,
            stopped,
            restarted_agent,
            deleted,
        ],
    },
    Script {
        name: "reboot",
        moves: &[runs, rebooted, stopped, rebooted, deleted],
    },
    Script {
        name: "create-half-made",
        moves: &[create_half_made, runs, deleted],
    },
    Script {
        name: "create-hangs",
        moves: &[create_hangs, runs, deleted],
    },
    Script {
        name: "start-fails",
        moves: &[start_fails, runs, deleted],
    },
    Script {
        name: "slow",
        moves: &[all_is_late, runs, all_is_late, deleted],
    },
];

fn larger_scratch_again(world: &mut World) {
    world.changes(|object| object.spec.scratch.as_mut().unwrap().size_gb = 60);
}
