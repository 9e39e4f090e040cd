//! Where nodes are: the same scenarios run with the agent on Linux and the simulator, with the agent's `.exe` under wine
//! and the simulator's, and with both and the real `runhcs.exe`. The environment variable [`GROUND`] says which.
//!
//! A scenario does not ask where it runs. What a ground cannot do is listed, with the call that says so, in
//! `tests/windows/skipped.txt`.

use std::fs;
use std::io::{Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, OnceLock};

use runhcs_sim::{CallRecord, ContainerSnapshot, SimNode};
use serde::Deserialize;

use crate::process::Spawn;
use crate::windows::{self, Executables, Prefix, Toolchain};
use crate::{Error, Result, binaries};

mod sim;

pub use sim::Sim;

/// Names the ground: `linux` (as without it), `wine-sim` or `wine-real`.
pub const GROUND: &str = "HCS_TEST_GROUND";

/// How the harness' own calls of runhcs are told from the agent's; it changes nothing in a list.
const NOT_THE_AGENT: [&str; 2] = ["--owner", "hcs-tests"];

/// The container by which the agent finds out what its runhcs can do.
const PROBE_ID: &str = "hcs-operator-probe";

/// Where nodes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ground {
    /// The agent built for this machine, and the simulator.
    Linux,
    /// The agent's `.exe` and the simulator's under wine.
    WineSim,
    /// The agent's `.exe` and the real `runhcs.exe` under wine, over the emulated Host Compute Service.
    WineReal,
}

impl Ground {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Linux, Self::WineSim, Self::WineReal];

    /// The one that [`GROUND`] names.
    pub fn of_this_run() -> Result<Self> {
        let Some(name) = std::env::var_os(GROUND).filter(|name| !name.is_empty()) else {
            return Ok(Self::Linux);
        };
        let known = Self::ALL.into_iter().find(|ground| name == ground.name());
        known.ok_or_else(|| Error::Ground {
            name: name.to_string_lossy().into_owned(),
        })
    }

    /// Its name in [`GROUND`].
    pub fn name(self) -> &'static str {
        match self {
            Self::Linux => "linux",
            Self::WineSim => "wine-sim",
            Self::WineReal => "wine-real",
        }
    }

    /// Whether the agent is a Windows program.
    pub fn is_windows(self) -> bool {
        self != Self::Linux
    }

    /// A path of this machine as the node's programs see it.
    pub fn path(self, path: &Path) -> String {
        if self.is_windows() {
            windows::path(path)
        } else {
            path.display().to_string()
        }
    }

    /// The other way: where a path that a node's programs see is on this machine.
    pub fn unix_path(self, path: &str) -> PathBuf {
        let windows = self.is_windows().then(|| windows::unix_path(path));
        windows.flatten().unwrap_or_else(|| path.into())
    }
}

/// A node's machine: its runhcs, and how programs are run there.
#[derive(Debug)]
pub struct Machine {
    ground: Ground,
    runhcs: PathBuf,
    operator: PathBuf,
    workload: PathBuf,
    sim: Option<Sim>,
    windows: Option<Arc<Prefix>>,
}

impl Machine {
    /// Sets it up in the node's folder, with its runhcs in the folder `place`. `executables` are those for this machine.
    pub fn install(
        ground: Ground,
        dir: &Path,
        place: &Path,
        executables: Option<&binaries::Workspace>,
    ) -> Result<Self> {
        if !ground.is_windows() {
            let executables =
                executables.map_or_else(binaries::Workspace::get, |it| Ok(it.clone()))?;
            let sim = install_sim(place, &executables.simulator())?;
            return Ok(Self {
                ground,
                runhcs: sim.executable().to_owned(),
                operator: executables.operator(),
                workload: executables.workload(),
                sim: Some(Sim::here(sim)),
                windows: None,
            });
        }
        let (toolchain, executables) = for_windows()?;
        let prefix = Arc::new(Prefix::new(toolchain, &dir.join("wine"))?);
        let (sim, runhcs) = if ground == Ground::WineReal {
            (None, install_real(dir, place)?)
        } else {
            let sim = install_sim(place, &executables.simulator())?;
            let runhcs = sim.executable().with_extension("exe");
            fs::hard_link(sim.executable(), &runhcs)
                .map_err(|source| Error::file("install", &runhcs, source))?;
            (
                Some(Sim::on_windows(
                    sim,
                    Arc::clone(&prefix),
                    executables.simctl(),
                )),
                runhcs,
            )
        };
        Ok(Self {
            ground,
            runhcs,
            operator: executables.operator(),
            workload: executables.workload(),
            sim,
            windows: Some(prefix),
        })
    }

    /// Where it is.
    pub fn ground(&self) -> Ground {
        self.ground
    }

    /// Its runhcs.
    pub fn runhcs(&self) -> &Path {
        &self.runhcs
    }

    /// The program that scenarios run in its containers.
    pub fn workload(&self) -> &Path {
        &self.workload
    }

    /// Its simulator, to inject faults, to change settings and to count calls.
    ///
    /// # Panics
    /// With the real runhcs: a scenario that asks for it belongs in `tests/windows/skipped.txt` for `wine-real`.
    #[allow(
        clippy::expect_used,
        reason = "a scenario on the wrong ground is a mistake in the tests"
    )]
    pub fn sim(&self) -> &Sim {
        self.sim
            .as_ref()
            .expect("there is no simulator on the ground wine-real")
    }

    /// What starts the operator there, under this name in messages and with its log in this folder.
    pub fn operator(&self, name: &str, logs: &Path) -> Spawn {
        self.spawn(name, &self.operator, logs)
    }

    /// The operator's executable.
    pub fn operator_file(&self) -> &Path {
        &self.operator
    }

    /// What runs a Windows command line as a pod does: in a job whose processes end when it is closed.
    pub fn in_job(&self, name: &str, command_line: &str, logs: &Path) -> Spawn {
        let spawn = self.spawn(name, Path::new(windows::PROBE), logs);
        spawn.args(["job", command_line])
    }

    /// Drive C of a Windows node.
    pub fn drive_c(&self) -> Option<PathBuf> {
        self.windows.as_ref().map(|prefix| prefix.drive_c())
    }

    fn spawn(&self, name: &str, program: &Path, logs: &Path) -> Spawn {
        match &self.windows {
            None => Spawn::new(name, program, logs),
            Some(prefix) => {
                let [wine, args @ ..] = prefix.wine();
                let spawn = Spawn::new(name, wine, logs).args(args).arg(program);
                prefix
                    .envs()
                    .into_iter()
                    .fold(spawn, |spawn, (name, value)| spawn.env(name, value))
            }
        }
    }

    /// Ids of the containers that its runhcs knows of.
    pub fn containers(&self) -> Result<Vec<String>> {
        let all = self.list()?.into_iter();
        Ok(all.map(|container| container.id).collect())
    }

    /// Ids of those that run.
    pub fn running(&self) -> Result<Vec<String>> {
        let mut all = self.list()?;
        all.retain(|container| container.status == "running");
        Ok(all.into_iter().map(|container| container.id).collect())
    }

    fn list(&self) -> Result<Vec<Listed>> {
        if let Some(sim) = &self.sim {
            let all = sim.containers();
            let all =
                all.map_err(|source| Error::file("list the containers of", &self.runhcs, source))?;
            let listed = |container: ContainerSnapshot| Listed {
                id: container.id,
                status: container.status,
            };
            return Ok(all.into_iter().map(listed).collect());
        }
        let Output { status, stdout, .. } = self.call(&["list", "--format", "json"])?;
        if !status.success() {
            return Err(Error::Command {
                what: "runhcs list".into(),
                status,
            });
        }
        let containers: Option<Vec<Listed>> =
            serde_json::from_slice(&stdout).map_err(|source| Error::Json {
                path: self.runhcs.clone(),
                source,
            })?;
        Ok(containers.unwrap_or_default())
    }

    /// What was noted of two attempts of one object that lived at once, if anything. The real runhcs takes no such notes.
    pub fn overlaps(&self) -> Result<Option<String>> {
        let overlaps = self.sim.as_ref().map(|sim| sim.overlaps()).transpose();
        let failed = |source| Error::file("read the overlaps of", &self.runhcs, source);
        Ok(overlaps.map_err(failed)?.flatten())
    }

    /// How its system says that a disk is full.
    pub fn says_no_room(&self) -> &'static str {
        if self.ground.is_windows() {
            "(os error 112)"
        } else {
            "No space left on device"
        }
    }

    /// How its system says that a disk cannot be written to; Windows itself would say 19.
    pub fn says_read_only(&self) -> &'static str {
        if self.ground.is_windows() {
            "(os error 5)"
        } else {
            "Read-only file system"
        }
    }

    /// One call of its runhcs, as a person makes it, with its standard output; [`Machine::calls`] does not show it.
    pub fn call(&self, args: &[&str]) -> Result<Output> {
        let mut command = match &self.windows {
            None => Command::new(&self.runhcs),
            Some(prefix) => prefix.command(&self.runhcs),
        };
        command.args(NOT_THE_AGENT).args(args).stdin(Stdio::null());
        command.stderr(Stdio::null());
        // To a file, as the agent does it: a shim may hold a pipe for as long as its container runs.
        let failed = |source| Error::Start {
            what: format!("runhcs {args:?}"),
            source,
        };
        let mut stdout = tempfile::tempfile().map_err(failed)?;
        command.stdout(stdout.try_clone().map_err(failed)?);
        let status = command.status().map_err(failed)?;
        let mut output = Output {
            status,
            stdout: Vec::new(),
            stderr: Vec::new(),
        };
        stdout.rewind().map_err(failed)?;
        stdout.read_to_end(&mut output.stdout).map_err(failed)?;
        Ok(output)
    }

    /// The verbs of all calls of its runhcs that the agent made for containers, in the order in which they ended. The simulator keeps
    /// account of them; where there is none, the agent's log does, if it was started with [`Machine::log_level`].
    pub fn calls(&self, agent_log: &str) -> Result<Vec<String>> {
        let Some(sim) = &self.sim else {
            let lines = agent_log
                .lines()
                .filter_map(|line| line.split_once("called runhcs verb=\""));
            let verbs = lines.filter_map(|(_, rest)| rest.split('"').next());
            return Ok(verbs.map(str::to_owned).collect());
        };
        let calls = sim
            .calls()
            .map_err(|source| Error::file("read the calls of", &self.runhcs, source))?;
        let own = NOT_THE_AGENT.map(str::to_owned);
        let is_probe = |call: &CallRecord| call.id == PROBE_ID || call.verb == "help";
        let of_agent = calls
            .into_iter()
            .filter(|call| !call.argv.starts_with(&own) && !is_probe(call));
        Ok(of_agent.map(|call| call.verb).collect())
    }

    /// The level at which an agent there must log.
    pub fn log_level(&self) -> &'static str {
        if self.sim.is_some() {
            "info"
        } else {
            "info,hcs_operator::agent::runtime=debug"
        }
    }

    /// Whether there is a process with this id there.
    pub fn has_process(&self, pid: u32) -> bool {
        match &self.windows {
            None => crate::process::alive(pid),
            Some(prefix) => prefix.probe(&["alive", &pid.to_string()]),
        }
    }

    /// When a process was started, as the agent notes it: in ticks since the boot, or as a FILETIME.
    pub fn start_time(&self, pid: u32) -> Result<u64> {
        let said = match &self.windows {
            None => crate::process::start_time(pid),
            Some(prefix) => prefix.ask(&["started", &pid.to_string()])?.parse().ok(),
        };
        said.ok_or_else(|| Error::Unexpected {
            what: format!("process {pid} was started at some time"),
            evidence: "no such process".to_owned(),
        })
    }

    /// The processes of its containers: calls of runhcs under way, shims, and workloads that run in `dir`, the node's
    /// folder. None are told under wine.
    pub fn processes(&self, dir: &Path) -> Vec<String> {
        let (None, Some(sim)) = (&self.windows, &self.sim) else {
            return Vec::new();
        };
        let runhcs = runhcs_sim::platform::processes_of_executable(sim.executable())
            .into_iter()
            .map(|pid| (pid, crate::process::command_line(pid)));
        let workload = self.workload.display().to_string();
        let workloads = crate::process::concerned_with(dir)
            .into_iter()
            .filter(|(_, line)| line.starts_with(&workload));
        runhcs
            .chain(workloads)
            .map(|(pid, line)| format!("{pid} {line}"))
            .collect()
    }

    /// Ends a container's shim as a crash does.
    pub fn kill_process(&self, pid: u32) {
        match &self.windows {
            None => runhcs_sim::platform::kill_process(pid),
            Some(prefix) => {
                prefix.probe(&["kill", &pid.to_string()]);
            }
        }
    }

    /// Ends all its processes; its containers are gone.
    pub fn power_off(&self) -> Result {
        if let Some(prefix) = &self.windows {
            prefix.power_off();
        } else if let Some(sim) = &self.sim {
            sim.stop_all()
                .map_err(|source| Error::file("end the processes of", &self.runhcs, source))?;
        }
        Ok(())
    }

    /// Ends all its processes, forgets its containers and starts it again.
    pub fn reboot(&self) -> Result {
        self.power_off()?;
        if let Some(sim) = &self.sim {
            sim.reboot()
                .map_err(|source| Error::file("reboot", &self.runhcs, source))?;
        }
        self.windows
            .as_ref()
            .map_or(Ok(()), |prefix| prefix.reboot())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some(prefix) = &self.windows {
            // What is worth a look after a failure lies beside it.
            prefix.remove();
        }
    }
}

/// One of the containers in runhcs' list.
#[derive(Deserialize)]
struct Listed {
    id: String,
    status: String,
}

/// The real runhcs: the one in the cache, unless it is to lie in another folder than the node's own.
fn install_real(dir: &Path, place: &Path) -> Result<PathBuf> {
    let runhcs = windows::runhcs()?;
    if place == dir {
        return Ok(runhcs);
    }
    let copy = place.join("runhcs.exe");
    fs::create_dir_all(place)
        .and_then(|()| fs::copy(&runhcs, &copy))
        .map_err(|source| Error::file("install", &copy, source))?;
    Ok(copy)
}

fn install_sim(dir: &Path, executable: &Path) -> Result<SimNode> {
    SimNode::install(dir, executable)
        .map_err(|source| Error::file("set up a simulated node in", dir, source))
}

/// What Windows nodes are made with; found and built once for all scenarios of a run.
fn for_windows() -> Result<&'static (Toolchain, Executables)> {
    static MADE: OnceLock<(Toolchain, Executables)> = OnceLock::new();
    if MADE.get().is_none() {
        let toolchain = Toolchain::find()?;
        let executables = Executables::build(&toolchain)?;
        let _ = MADE.set((toolchain, executables));
    }
    Ok(MADE.get_or_init(|| unreachable!("it was set above")))
}
