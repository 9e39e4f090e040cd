//! What `demo`, `up` and `bench` run: a control plane, the controller and simulated nodes, in one folder.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use futures::future::try_join_all;
use hcs_tests::binaries::{self, Workspace};
use hcs_tests::operator::Operator;
use hcs_tests::small_disk::SmallDisk;
use hcs_tests::{ControlPlane, Node, NodeOptions, node};

use crate::lock::FolderLock;

/// Everything that runs. The order of the fields is the order in which they stop: nodes first, so that no agent
/// complains about an API server that has gone.
pub struct Stack {
    /// The nodes, with an agent each.
    pub nodes: Vec<Node>,
    /// The controller.
    pub controller: Operator,
    /// etcd, kube-apiserver and kube-controller-manager.
    pub control_plane: Arc<ControlPlane>,
    _lock: FolderLock,
}

impl Stack {
    /// Starts everything in `dir`, says so step by step, and returns when all of it is ready.
    pub async fn start(
        dir: &Path,
        nodes: u32,
        executables: &Workspace,
        options: &NodeOptions,
    ) -> Result<Self> {
        let lock = FolderLock::acquire(dir)?;
        remove_old_nodes(dir)?;
        eprintln!(
            "Starting etcd, kube-apiserver and kube-controller-manager in {}",
            dir.display()
        );
        let control_plane = Arc::new(ControlPlane::start(dir).await?);
        control_plane.install().await?;
        eprintln!("Starting the controller");
        let controller = node::start_controller(&control_plane, executables, &[]).await?;
        eprintln!("Starting {nodes} simulated Windows node(s)");
        let options = NodeOptions {
            executables: Some(executables.clone()),
            ..options.clone()
        };
        let names = (1..=nodes).map(|number| format!("node-{number}"));
        let started = names.map(|name| {
            let (control_plane, options) = (&control_plane, options.clone());
            async move { Node::start(control_plane, &name, options).await }
        });
        let nodes = try_join_all(started).await?;
        Ok(Self {
            nodes,
            controller,
            control_plane,
            _lock: lock,
        })
    }

    /// Process ids of everything that must be gone once it is dropped.
    pub fn pids(&self) -> Vec<(String, u32)> {
        let agents = self
            .nodes
            .iter()
            .map(|node| (format!("agent of {}", node.name()), node.agent().pid()));
        let controller = ("controller".to_owned(), self.controller.pid());
        let operators = agents
            .chain([controller])
            .filter_map(|(name, pid)| Some((name, pid?)));
        operators.chain(self.control_plane.processes()).collect()
    }
}

/// Builds what a stack is made of, before anything is started: what takes long says so.
pub fn build(release: bool) -> Result<Workspace> {
    for name in binaries::CONTROL_PLANE {
        binaries::control_plane(name)?;
    }
    eprintln!(
        "Building the operator and the simulator (a few minutes the first time, seconds later)"
    );
    let given = std::env::var_os(binaries::BIN_DIR).is_some();
    Ok(if release && !given {
        Workspace::build(true)?
    } else {
        Workspace::get()?
    })
}

/// The store starts empty, so the last run's nodes have nothing to go on with.
pub fn remove_old_nodes(dir: &Path) -> Result<()> {
    node::end_containers(dir)?;
    let nodes = dir.join("nodes");
    if nodes.exists() {
        SmallDisk::remove_left_below(&nodes)?;
        fs::remove_dir_all(&nodes)
            .with_context(|| format!("failed to remove {}", nodes.display()))?;
    }
    Ok(())
}
