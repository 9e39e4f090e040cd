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
    /// What is done then, and where that leads.
    pub moves: &'static [(Move, Phase)],
}

/// Makes the end file of its container.
pub fn end_file(node: &Node) -> std::path::PathBuf {
    node.dir().join("end")
}

fn web(node: &Node) -> Container {
    let until = format!("--until={}", node.path(end_file(node)));
    Container::named("web")
        .on(node)
        .hyperv()
        .working(["--exit-code=3".to_owned(), until])
}

fn console(node: &Node) -> Container {
    web(node).tty(80, 25)
}

fn always(node: &Node) -> Container {
    web(node).restart_policy(RestartPolicy::Always)
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

/// The one that every run plays, then those that a longer one does.
pub const LIFECYCLES: &[Lifecycle] = &[
    Lifecycle {
        name: "run-end-go",
        object: web,
        first: Phase::Running,
        moves: &[(Move::Ends, Phase::Failed), (Move::Goes, Phase::Deleted)],
    },
    Lifecycle {
        name: "states",
        object: web,
        first: Phase::Running,
        moves: &[
            (Move::Wants(DesiredState::Paused), Phase::Paused),
            (Move::Wants(DesiredState::Running), Phase::Running),
            (Move::Wants(DesiredState::Stopped), Phase::Stopped),
            (Move::Wants(DesiredState::Created), Phase::Created),
            (Move::Wants(DesiredState::Deleted), Phase::Deleted),
            (Move::Goes, Phase::Deleted),
        ],
    },
    Lifecycle {
        name: "restarts",
        object: always,
        first: Phase::Running,
        moves: &[(Move::Ends, Phase::Running), (Move::Goes, Phase::Deleted)],
    },
    Lifecycle {
        name: "updates",
        object: web,
        first: Phase::Running,
        moves: &[
            (Move::Changes, Phase::Running),
            (Move::RestartRequest, Phase::Running),
            (Move::Goes, Phase::Deleted),
        ],
    },
    Lifecycle {
        name: "console",
        object: console,
        first: Phase::Running,
        moves: &[
            (Move::Resizes, Phase::Running),
            (Move::Goes, Phase::Deleted),
        ],
    },
    Lifecycle {
        name: "scratch",
        object: linux,
        first: Phase::Running,
        moves: &[(Move::Goes, Phase::Deleted)],
    },
    Lifecycle {
        name: "force",
        object: unheeding,
        first: Phase::Running,
        moves: &[(Move::Goes, Phase::Deleted)],
    },
];

impl Move {
    /// Does it.
    pub async fn make(self, node: &Node, web: &Live) -> Result {
        match self {
            Self::Wants(state) => web.set_desired(state).await,
            Self::Ends => {
                std::fs::write(end_file(node), "").unwrap();
                Ok(())
            }
            Self::Changes => {
                let process = json!({"env": ["CHANGED=1"]});
                web.patch_spec(json!({"bundle": {"config": {"process": process}}}))
                    .await
            }
            Self::RestartRequest => web.patch_spec(json!({"restartRequest": "again"})).await,
            Self::Resizes => {
                web.patch_spec(json!({"tty": {"width": 120, "height": 30}}))
                    .await
            }
            Self::Goes => web.delete().await,
        }
    }
}
