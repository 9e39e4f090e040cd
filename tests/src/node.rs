//! A simulated node: a folder with an executable that acts as the node's runhcs, and a real agent that uses it.
//!
//! ```text
//! runhcs  runhcs.state/     the simulator and its state
//! data/                     the agent's data folder
//! bundles/ layers/ cache/ mounts/   the allowed roots
//! agent.log  kubeconfig
//! ```

use std::path::{Path, PathBuf};
use std::time::Duration;

use runhcs_sim::CallRecord;

use crate::eventually::eventually;
use crate::ground::{Ground, Machine, Sim};
use crate::kubeconfig::Access;
use crate::live::Live;
use crate::operator::Operator;
use crate::process::Spawn;
use crate::proxy::Proxy;
use crate::scenario::PATIENCE;
use crate::tracer::Tracing;
use crate::{ControlPlane, Error, Result, binaries};

/// Folders below the node's that the agent is allowed to use, and the flag that says so.
const ROOTS: [(&str, &str); 4] = [
    ("--bundle-roots", "bundles"),
    ("--layer-roots", "layers"),
    ("--cache-roots", "cache"),
    ("--mount-roots", "mounts"),
];

/// How a node's agent is started.
#[derive(Debug, Clone)]
pub struct NodeOptions {
    /// How often the agent lists all containers; often by default, so that scenarios which need a relist do not wait long for
    /// it: each second on Linux, every other one under wine, where a list is many times the work.
    pub relist_interval: Duration,
    /// More arguments for the agent.
    pub args: Vec<String>,
    /// More environment variables for the agent.
    pub envs: Vec<(String, String)>,
    /// The workspace's executables, if other than cargo's usual ones.
    pub executables: Option<binaries::Workspace>,
    /// Whether the agent reaches the API server through a proxy of its own, [`Node::proxy`].
    pub proxied: bool,
    /// Looks on at what the first agent does to its disk.
    pub tracing: Option<Tracing>,
    /// A folder, relative to the node's, that its runhcs lies in.
    pub runhcs_folder: PathBuf,
    /// The agent's data folder, relative to the node's.
    pub data_folder: PathBuf,
}

impl Default for NodeOptions {
    fn default() -> Self {
        let is_windows = Ground::of_this_run().is_ok_and(Ground::is_windows);
        Self {
            relist_interval: Duration::from_secs(if is_windows { 2 } else { 1 }),
            args: Vec::new(),
            envs: Vec::new(),
            executables: None,
            proxied: false,
            tracing: None,
            runhcs_folder: PathBuf::new(),
            data_folder: "data".into(),
        }
    }
}

/// A running simulated node. Dropping it stops the agent and ends all its containers.
#[derive(Debug)]
pub struct Node {
    name: String,
    dir: PathBuf,
    agent: Operator,
    machine: Machine,
    proxy: Option<Proxy>,
}

impl Node {
    /// Sets up the node `name` in the control plane's folder, starts its agent and waits until that is ready.
    pub async fn start(
        control_plane: &ControlPlane,
        name: &str,
        options: NodeOptions,
    ) -> Result<Self> {
        let dir = control_plane.dir().join("nodes").join(name);
        let data_dir = dir.join(&options.data_folder);
        for folder in ROOTS
            .iter()
            .map(|(_, folder)| dir.join(folder))
            .chain([data_dir.clone()])
        {
            std::fs::create_dir_all(&folder)
                .map_err(|source| Error::file("create the folder", &folder, source))?;
        }
        let ground = Ground::of_this_run()?;
        let runhcs = dir.join(&options.runhcs_folder);
        let machine = Machine::install(ground, &dir, &runhcs, options.executables.as_ref())?;
        control_plane.create_node(name).await?;
        let kubeconfig = dir.join("kubeconfig");
        let access = control_plane.agent_access(name).await?;
        let proxy = if options.proxied {
            Some(Proxy::start(&access).await?)
        } else {
            None
        };
        let access = proxy.as_ref().map_or(&access, Proxy::access);
        access.write_kubeconfig(&kubeconfig)?;
        let spawn = agent(&machine, name, &dir, &options);
        // One that is to be killed on its way may never be ready.
        let dies = options
            .tracing
            .as_ref()
            .is_some_and(|tracing| tracing.target.is_some());
        let agent = Operator::start(spawn, &data_dir, options.tracing)?;
        let node = Self {
            name: name.to_owned(),
            dir,
            agent,
            machine,
            proxy,
        };
        if !dies {
            node.agent.ready().await?;
        }
        Ok(node)
    }

    /// The node's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its simulated runhcs, for faults, settings and calls; only a scenario that is skipped on the ground `wine-real`
    /// may ask for it.
    pub fn sim(&self) -> &Sim {
        self.machine.sim()
    }

    /// The machine that it is.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// What stands between its agent and the API server.
    ///
    /// # Panics
    /// Without [`NodeOptions::proxied`].
    #[allow(
        clippy::expect_used,
        reason = "a scenario that asks for what it did not order is a mistake in the tests"
    )]
    pub fn proxy(&self) -> &Proxy {
        self.proxy.as_ref().expect("the node has no proxy")
    }

    /// A path of this machine as the agent and its containers see it.
    pub fn path(&self, path: impl AsRef<Path>) -> String {
        self.machine.ground().path(path.as_ref())
    }

    /// The other way: where a path that they see is on this machine.
    pub fn unix_path(&self, path: &str) -> PathBuf {
        self.machine.ground().unix_path(path)
    }

    /// Whether there is a process with this id on the node.
    pub fn has_process(&self, pid: u32) -> bool {
        self.machine.has_process(pid)
    }

    /// Its agent.
    pub fn agent(&self) -> &Operator {
        &self.agent
    }

    /// Its agent, to change how it is started the next time.
    pub fn agent_mut(&mut self) -> &mut Operator {
        &mut self.agent
    }

    /// Ids of the containers that the node's runhcs knows of, whoever made them.
    pub fn containers(&self) -> Result<Vec<String>> {
        self.machine.containers()
    }

    /// Ends the shim of a container that the agent has made, as a crash does.
    pub fn kill_shim(&self, id: &str) -> Result {
        let file = self.agent.data_dir().join("bundles").join(id);
        let file = file.join("shim.pid");
        let failed = |source| Error::file("read the pid in", &file, source);
        let text = std::fs::read_to_string(&file).map_err(failed)?;
        let pid = text.trim().parse().map_err(std::io::Error::other);
        self.machine.kill_process(pid.map_err(failed)?);
        Ok(())
    }

    /// What is there of containers, whoever made them: processes of the node's runhcs, and the agent's files.
    pub fn leftovers(&self) -> Result<Vec<String>> {
        let mut left = self.machine.processes(&self.dir);
        for folder in ["bundles", "records", "scratch"] {
            let folder = self.agent.data_dir().join(folder);
            let entries = match std::fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(source) => return Err(Error::file("list", &folder, source)),
            };
            left.extend(
                entries
                    .flatten()
                    .map(|entry| entry.path().display().to_string()),
            );
        }
        Ok(left)
    }

    /// The simulator's account of the calls that were about this object's containers, the oldest first.
    pub fn calls_about(&self, object: &Live) -> Result<Vec<CallRecord>> {
        let prefix = format!("hc-{}-", object.uid());
        let calls = self.sim().calls();
        let mut calls =
            calls.map_err(|source| Error::file("read the calls of", &self.dir, source))?;
        calls.retain(|call| call.id.starts_with(&prefix));
        Ok(calls)
    }

    /// Waits until runhcs was called with this verb for one of this object's containers, and is not done yet.
    pub async fn is_amid(&self, verb: &str, object: &Live) -> Result<CallRecord> {
        let what = format!("{verb} of {} is under way", object.name());
        eventually(PATIENCE, &what, || async {
            let calls = self.calls_about(object)?;
            let under_way = |call: &&CallRecord| call.verb == verb && call.exit_code.is_none();
            let found = calls.iter().find(under_way).cloned();
            Ok(found.ok_or((calls, self.agent.log_tail(20))))
        })
        .await
    }

    /// The verbs of all calls of the node's runhcs so far, the oldest first.
    pub fn calls(&self) -> Result<Vec<String>> {
        self.machine.calls(&self.agent.log())
    }

    /// Waits until the agent has listed all containers so many times more.
    pub async fn relists(&self, times: usize) -> Result {
        let lists =
            || -> Result<usize> { Ok(self.calls()?.iter().filter(|verb| *verb == "list").count()) };
        let enough = lists()? + times;
        let what = format!("the agent of {} has listed {times} times more", self.name);
        eventually(PATIENCE, &what, || async {
            self.agent.running()?;
            let now = lists()?;
            Ok(if now >= enough {
                Ok(())
            } else {
                Err((now, self.agent.log_tail(20)))
            })
        })
        .await
    }

    /// The program that scenarios run in their containers.
    pub fn workload(&self) -> &Path {
        self.machine.workload()
    }

    /// Restarts the node: every container is gone, the boot id is another, and the agent starts anew.
    pub async fn reboot(&self) -> Result {
        self.agent.kill();
        self.machine.reboot()?;
        self.agent.start_again()?;
        self.agent.ready().await
    }

    /// Stops the agent, then ends all containers of the node.
    pub fn stop(&self) {
        self.agent.stop();
        if let Err(error) = self.machine.power_off() {
            eprintln!("failed to end the containers of {}: {error}", self.name);
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop();
    }
}

fn agent(machine: &Machine, name: &str, dir: &Path, options: &NodeOptions) -> Spawn {
    let path = |path: &Path| machine.ground().path(path);
    let mut spawn = machine
        .operator("agent", dir)
        .arg("agent")
        .args(["--node-name", name])
        .args(["--runhcs", &path(machine.runhcs())])
        .args(["--data-dir", &path(&dir.join(&options.data_folder))])
        .args(["--http-address", "127.0.0.1:0"])
        // So that what a scenario changes is on the HcsNode before it looks for rest.
        .args(["--node-status-interval", "500ms"])
        .arg("--relist-interval")
        .arg(format!("{}ms", options.relist_interval.as_millis()))
        .env("KUBECONFIG", path(&dir.join("kubeconfig")))
        .env("HCS_OPERATOR_LOG_LEVEL", machine.log_level());
    if !machine.ground().is_windows() {
        // There the registry says when the machine was booted.
        spawn = spawn.env("HCS_OPERATOR_BOOT_ID_FILE", machine.sim().boot_id_file());
    }
    for (flag, folder) in ROOTS {
        spawn = spawn.args([flag, &path(&dir.join(folder))]);
    }
    for (variable, value) in &options.envs {
        spawn = spawn.env(variable, value);
    }
    spawn.args(&options.args)
}

/// The cluster-wide controller, in the control plane's folder. Waits until it is ready.
pub async fn start_controller(
    control_plane: &ControlPlane,
    executables: &binaries::Workspace,
    args: &[String],
) -> Result<Operator> {
    let access = control_plane.controller_access().await?;
    start_replica(control_plane, executables, "controller", &access, args).await
}

/// One of several controllers, each with a name of its own, that reaches the API server by `access`. Waits until it is
/// ready, which it is whether it leads or not.
pub async fn start_replica(
    control_plane: &ControlPlane,
    executables: &binaries::Workspace,
    name: &str,
    access: &Access,
    args: &[String],
) -> Result<Operator> {
    let dir = control_plane.dir().join(name);
    std::fs::create_dir_all(&dir)
        .map_err(|source| Error::file("create the folder", &dir, source))?;
    let kubeconfig = dir.join("kubeconfig");
    access.write_kubeconfig(&kubeconfig)?;
    let spawn = Spawn::new(name, executables.operator(), &control_plane.logs())
        .arg("controller")
        .arg("--http-address-file")
        .arg(dir.join("http-address"))
        .args(["--http-address", "127.0.0.1:0"])
        .args(args)
        .env("KUBECONFIG", &kubeconfig);
    let controller = Operator::start(spawn, &dir, None)?;
    controller.ready().await?;
    Ok(controller)
}

/// Ends the containers on all simulated nodes of a control plane's folder: a run that was killed leaves them, as a
/// killed agent should.
pub fn end_containers(control_plane: &Path) -> Result {
    let Ok(nodes) = std::fs::read_dir(control_plane.join("nodes")) else {
        return Ok(());
    };
    for node in nodes.filter_map(std::result::Result::ok) {
        // A folder in which no node was installed, as an interrupted start leaves it, has nothing running.
        let Ok(sim) = runhcs_sim::SimNode::open(&node.path()) else {
            continue;
        };
        sim.stop_all()
            .map_err(|source| Error::file("end what runs on", &node.path(), source))?;
    }
    Ok(())
}
