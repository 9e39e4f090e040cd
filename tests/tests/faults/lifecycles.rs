//! The lifecycles: what a person or a program does, and the phase that it leads to.

use hcs_crds::{DesiredState, Phase, ReclaimPolicy, RestartPolicy, Scratch};
use hcs_tests::{Container, Live, Node, Result};
use serde_json::json;

/// What is done to the object.
#[derive(Debug, Clone, Copy)]
pub enum Move {
    /// `spec.desiredState` changes.
    Wants(DesiredState),
    /// Its process ends by itself, with exit code 3.
    Ends,
    /// Its bundle changes.
    Changes,
    /// `spec.restartRequest` changes.
    RestartRequest,
    /// `spec.tty` changes.
    Resizes,
    /// `spec.scratch.sizeGB` changes.
    Grows,
    /// `spec.managementPolicy` changes: true for Observe.
    Observes(bool),
    /// It is deleted.
    Goes,
}

/// How an object lives.
#[derive(Debug)]
pub struct Lifecycle {
    /// Its name.
    pub name: &'static str,
    /// The object that is applied.
    pub object: fn(&Node) -> Container,
    /// What it comes to first.
    pub first: Phase,
    /// What is done then, and where that leads; none where the object is gone then.
    pub moves: &'static [(Move, Option<Phase>)],
}

/// The file that ends its container, and with it is gone.
fn end_file(node: &Node) -> std::path::PathBuf {
    node.dir().join("end")
}

fn web(node: &Node) -> Container {
    let until = format!("--taking={}", node.path(end_file(node)));
    Container::named("web")
        .on(node)
        .hyperv()
        .working(["--exit-code=3".to_owned(), until])
}

fn console(node: &Node) -> Container {
    web(node).tty(80, 25)
}

fn always(node: &Node) -> Container {
    web(node)
        .restart_policy(RestartPolicy::Always)
        .with(|spec| spec.restart.initial_backoff_seconds = 1)
}

fn by_hand(node: &Node) -> Container {
    web(node).updated_manually()
}

fn short_lived(node: &Node) -> Container {
    web(node).with(|spec| spec.ttl_seconds_after_finished = Some(1))
}

fn linux(node: &Node) -> Container {
    let scratch = Scratch {
        size_gb: 20,
        reclaim_policy: ReclaimPolicy::Delete,
        ..Scratch::default()
    };
    Container::named("web")
        .on(node)
        .running_for_ever()
        .linux_with(scratch)
}

fn unheeding(node: &Node) -> Container {
    Container::named("web")
        .on(node)
        .working(["--ignore-term"])
        .with(|spec| spec.termination_grace_period_seconds = 1)
}

const RUNNING: Option<Phase> = Some(Phase::Running);
const GONE: (Move, Option<Phase>) = (Move::Goes, None);

/// A run of all tests plays a part of the first one.
pub const LIFECYCLES: &[Lifecycle] = &[
    Lifecycle {
        name: "end",
        object: web,
        first: Phase::Running,
        moves: &[(Move::Ends, Some(Phase::Failed)), GONE],
    },
    Lifecycle {
        name: "states",
        object: web,
        first: Phase::Running,
        moves: &[
            (Move::Wants(DesiredState::Paused), Some(Phase::Paused)),
            (Move::Wants(DesiredState::Running), RUNNING),
            (Move::Wants(DesiredState::Stopped), Some(Phase::Stopped)),
            (Move::Wants(DesiredState::Created), Some(Phase::Created)),
            (Move::Wants(DesiredState::Deleted), Some(Phase::Deleted)),
            GONE,
        ],
    },
    Lifecycle {
        name: "restart",
        object: always,
        first: Phase::Running,
        moves: &[(Move::Ends, RUNNING), GONE],
    },
    Lifecycle {
        name: "update",
        object: web,
        first: Phase::Running,
        moves: &[(Move::Changes, RUNNING), GONE],
    },
    Lifecycle {
        name: "update-by-hand",
        object: by_hand,
        first: Phase::Running,
        moves: &[
            (Move::Changes, RUNNING),
            (Move::RestartRequest, RUNNING),
            GONE,
        ],
    },
    Lifecycle {
        name: "console",
        object: console,
        first: Phase::Running,
        moves: &[(Move::Resizes, RUNNING), GONE],
    },
    Lifecycle {
        name: "scratch",
        object: linux,
        first: Phase::Running,
        moves: &[(Move::Grows, RUNNING), GONE],
    },
    Lifecycle {
        name: "force",
        object: unheeding,
        first: Phase::Running,
        moves: &[GONE],
    },
    Lifecycle {
        name: "observe",
        object: web,
        first: Phase::Running,
        moves: &[
            (Move::Observes(true), RUNNING),
            (Move::Observes(false), RUNNING),
            GONE,
        ],
    },
    Lifecycle {
        name: "time-to-live",
        object: short_lived,
        first: Phase::Running,
        moves: &[(Move::Ends, None)],
    },
];

impl Move {
    /// Does it.
    pub async fn make(self, node: &Node, web: &Live) -> Result {
        let spec = match self {
            Self::Wants(state) => return web.set_desired(state).await,
            Self::Goes => return web.delete().await,
            Self::Ends => {
                std::fs::write(end_file(node), "").unwrap();
                return Ok(());
            }
            Self::Changes => {
                let process = json!({"env": ["CHANGED=1"]});
                json!({"bundle": {"config": {"process": process}}})
            }
            Self::RestartRequest => json!({"restartRequest": "again"}),
            Self::Resizes => json!({"tty": {"width": 120, "height": 30}}),
            Self::Grows => json!({"scratch": {"sizeGB": 30}}),
            Self::Observes(true) => json!({"managementPolicy": "Observe"}),
            Self::Observes(false) => json!({"managementPolicy": "Manage"}),
        };
        web.patch_spec(spec).await
    }
}
