//! Where the script is played: the real runhcs under wine, the simulator under wine, or the simulator on Linux.

use std::fs;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hcs_tests::binaries::Workspace;
use hcs_tests::windows::{self, Executables, PROBE, Toolchain};
use runhcs_sim::{Action, Fault, PauseProcessIsolation, Point, Settings, ShimStdio, SimNode};
use serde_json::Value;

use crate::Result;
use crate::patience::{end_of, line_of, wait_until};
use crate::runner::{Job, Windows};

/// A node without an agent.
pub struct Machine {
    /// Folder of bundles, pid files and what else the script makes.
    pub work: PathBuf,
    runhcs: PathBuf,
    workload: PathBuf,
    windows: Option<Windows>,
    sim: Option<SimNode>,
    /// Variables for the emulation of the Host Compute Service.
    emulation: Mutex<Vec<(&'static str, String)>>,
}

impl Machine {
    /// The real runhcs, on the emulated Host Compute Service.
    pub fn real(dir: &Path, toolchain: &Toolchain) -> Result<Self> {
        let workload = Executables::build(toolchain)?.workload();
        let machine = Windows::new(toolchain, &dir.join("wine"))?;
        Self::new(dir, windows::runhcs()?, workload, Some(machine), None)
    }

    /// The simulator on Linux.
    pub fn simulated(dir: &Path, executables: &Workspace) -> Result<Self> {
        let sim = SimNode::install(&dir.join("node"), &executables.simulator())?;
        let runhcs = sim.executable().to_owned();
        Self::new(dir, runhcs, executables.workload(), None, Some(sim))
    }

    /// The simulator built for Windows.
    pub fn simulated_on_windows(dir: &Path, toolchain: &Toolchain) -> Result<Self> {
        let executables = Executables::build(toolchain)?;
        let machine = Windows::new(toolchain, &dir.join("wine"))?;
        let sim = SimNode::install(&dir.join("node"), &executables.simulator())?;
        let runhcs = sim.executable().with_extension("exe");
        fs::hard_link(sim.executable(), &runhcs)?;
        Self::new(
            dir,
            runhcs,
            executables.workload(),
            Some(machine),
            Some(sim),
        )
    }

    fn new(
        dir: &Path,
        runhcs: PathBuf,
        workload: PathBuf,
        windows: Option<Windows>,
        sim: Option<SimNode>,
    ) -> Result<Self> {
        let work = dir.canonicalize()?.join("work");
        fs::create_dir_all(work.join("layer"))?;
        let emulation = Mutex::default();
        let machine = Self {
            work,
            runhcs,
            workload,
            windows,
            sim,
            emulation,
        };
        machine.shut_down_slowly(false)?;
        Ok(machine)
    }

    /// Whether this is what the others are measured by.
    pub fn is_real(&self) -> bool {
        self.sim.is_none()
    }

    /// A path as programs there see it.
    pub fn path(&self, path: &Path) -> String {
        match self.windows {
            Some(_) => windows::path(path),
            None => path.display().to_string(),
        }
    }

    /// The program that containers run.
    pub fn workload(&self) -> String {
        self.path(&self.workload)
    }

    /// One call of runhcs, with the work folder as its current one. To files, as clients do: a pipe would be held by what
    /// runhcs leaves running.
    pub fn runhcs(&self, args: &[String]) -> Result<Output> {
        let files = [self.work.join("../stdout"), self.work.join("../stderr")];
        let status = if let Some(windows) = &self.windows {
            let emulation = self.emulation();
            let variable = emulation.last();
            windows.run(&Job {
                program: &self.runhcs,
                args,
                files: &files,
                folder: &self.work,
                variable: variable.map(|(name, value)| (*name, value.as_str())),
            })?
        } else {
            let mut command = self.command(args);
            command
                .stdout(fs::File::create(&files[0])?)
                .stderr(fs::File::create(&files[1])?);
            end_of(command.spawn()?, &format!("runhcs {args:?}"))?
        };
        Ok(Output {
            status,
            stdout: fs::read(&files[0])?,
            stderr: fs::read(&files[1])?,
        })
    }

    /// Whether the containers that are created from now on take longer than any test to shut down.
    pub fn shut_down_slowly(&self, slowly: bool) -> Result {
        const DELAY: u64 = 600_000;
        if let Some(sim) = &self.sim {
            // As the emulation does it, so that the script can pause; and the real one loses a container's output.
            sim.set_settings(&Settings {
                pause_process_isolation: PauseProcessIsolation::Allow,
                shim_stdio: ShimStdio::Lost,
                shutdown_delay_ms: if slowly { DELAY } else { 0 },
                ..Settings::default()
            })?;
        } else {
            let delay = (
                "WINE_HCS_DELAY",
                format!("HcsShutdownComputeSystem={DELAY}"),
            );
            *self.emulation() = if slowly { vec![delay] } else { Vec::new() };
        }
        Ok(())
    }

    /// A `create` that dies when its record is written and there is no system yet.
    pub fn create_and_die(&self, bundle: &str, id: &str) -> Result {
        let args: Vec<String> = ["create", "--bundle", bundle, id]
            .iter()
            .map(|arg| (*arg).to_owned())
            .collect();
        if let Some(sim) = &self.sim {
            sim.inject(Fault::new("create", Point::RecordWritten, Action::Die))?;
            self.runhcs(&args)?;
            return Ok(sim.clear_faults()?);
        }
        let delay = ("WINE_HCS_DELAY", "HcsCreateComputeSystem=600000".to_owned());
        self.emulation().push(delay);
        let mut create = self.command(&args);
        create.stdout(Stdio::null()).stderr(Stdio::null());
        let create = create.spawn();
        self.emulation().clear();
        let mut create = create?;
        wait_until("the record is written", || {
            let list = self.runhcs(&["list".to_owned(), "-q".to_owned()]);
            list.is_ok_and(|list| {
                String::from_utf8_lossy(&list.stdout)
                    .lines()
                    .any(|line| line == id)
            })
        })?;
        create.kill()?;
        create.wait()?;
        Ok(())
    }

    fn emulation(&self) -> MutexGuard<'_, Vec<(&'static str, String)>> {
        self.emulation
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// A call of runhcs, with the work folder as its current one.
    fn command(&self, args: &[String]) -> Command {
        let mut command = match &self.windows {
            Some(prefix) => prefix.command(&self.runhcs),
            None => Command::new(&self.runhcs),
        };
        command
            .args(args)
            .current_dir(&self.work)
            .stdin(Stdio::null());
        command.envs(self.emulation().iter().map(|(name, value)| (name, value)));
        command
    }

    /// Ends a process as a crash would.
    pub fn kill(&self, pid: u32) -> Result {
        let mut kill = match &self.windows {
            Some(prefix) => prefix.command(Path::new(PROBE)),
            None => Command::new("kill"),
        };
        let how = self.windows.as_ref().map_or("-KILL", |_| "kill");
        kill.args([how, &pid.to_string()]);
        end_of(kill.spawn()?, "kill").map(drop)
    }

    /// Begins to watch a shim, so that its exit code is not missed.
    pub fn watch(&self, pid: u32, id: &str) -> Result<Watch<'_>> {
        let mut probe = None;
        if let Some(prefix) = &self.windows {
            let mut wait = prefix.command(Path::new(PROBE));
            let mut child = wait
                .args(["wait", &pid.to_string()])
                .stdout(Stdio::piped())
                .spawn()?;
            let mut output = BufReader::new(child.stdout.take().ok_or("no output")?);
            let first = line_of(&mut output, "the shim is watched")?;
            if first != "watching" {
                return Err(format!("the shim {pid} of {id} cannot be watched: {first}").into());
            }
            probe = Some((child, output));
        }
        Ok(Watch {
            machine: self,
            pid,
            id: id.to_owned(),
            probe,
        })
    }

    /// What the emulation or the simulator says of a container, beyond what runhcs tells.
    pub fn processes(&self, id: &str) -> Vec<Process> {
        // One that died before it had a system has none.
        let mirror = self.mirror(id).unwrap_or_default();
        let list = if self.is_real() {
            &mirror["Processes"]
        } else {
            &mirror["processes"]
        };
        let processes = list.as_array().map(Vec::as_slice).unwrap_or_default();
        let read = if self.is_real() {
            Process::of_emulation
        } else {
            Process::of_simulator
        };
        processes.iter().map(read).collect()
    }

    fn mirror(&self, id: &str) -> Result<Value> {
        let file = match (&self.sim, &self.windows) {
            (Some(sim), _) => {
                let node = runhcs_sim::node::Node::at(sim.state_dir());
                runhcs_sim::systems::Systems::open(&node).mirror_file(id)
            }
            (None, Some(prefix)) => prefix.drive_c().join("wine-hcs").join(format!("{id}.json")),
            (None, None) => return Err("the real runhcs has no mirror".into()),
        };
        Ok(serde_json::from_slice(&fs::read(file)?)?)
    }

    /// The scratch layers that are mounted, by the last part of their names.
    pub fn mounted(&self) -> Result<Vec<String>> {
        let folder = match (&self.sim, &self.windows) {
            (Some(sim), _) => sim.state_dir().join("layers"),
            (None, Some(prefix)) => prefix.drive_c().join("wine-hcs/layers"),
            (None, None) => return Ok(Vec::new()),
        };
        let mut names = Vec::new();
        // It is made with the first layer.
        for file in fs::read_dir(folder).into_iter().flatten() {
            let text = fs::read_to_string(file?.path())?;
            if let Some(path) = text.trim_end().strip_prefix("prepared ") {
                names.push(
                    path.rsplit(['/', '\\'])
                        .nth(1)
                        .unwrap_or_default()
                        .to_owned(),
                );
            }
        }
        names.sort();
        Ok(names)
    }
}

/// A shim whose end is waited for.
pub struct Watch<'a> {
    machine: &'a Machine,
    pid: u32,
    id: String,
    probe: Option<(Child, BufReader<ChildStdout>)>,
}

impl Watch<'_> {
    /// Waits for the end and gives the exit code, all 32 bits.
    pub fn exit_code(self) -> Result<u32> {
        if let Some((child, mut output)) = self.probe {
            let what = format!("the shim {} of {} has ended", self.pid, self.id);
            let last = line_of(&mut output, &what)?;
            end_of(child, "the watch of a shim")?;
            let code = last.strip_prefix("exit code ").ok_or("no exit code")?;
            return Ok(code.parse()?);
        }
        wait_until("the shim has ended", || is_gone(self.pid))?;
        let mirror = self.machine.mirror(&self.id)?;
        let processes = mirror["processes"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let of_exec = processes
            .iter()
            .skip(1)
            .find(|process| process["shim"] == self.pid);
        let code = of_exec.map_or(&mirror["shimExitCode"], |process| &process["exitCode"]);
        // A shim that was killed could not say what it ends with.
        Ok(code.as_u64().map_or(Ok(1), u32::try_from)?)
    }

    /// Waits for the end.
    pub fn end(self) -> Result {
        if self.probe.is_some() {
            return self.exit_code().map(drop);
        }
        wait_until("the shim has ended", || is_gone(self.pid))
    }

    /// Waits no longer.
    pub fn give_up(self) -> Result {
        if let Some((mut child, _)) = self.probe {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }
}

/// A process that was made in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// All 32 bits, once it has ended.
    pub exit_code: Option<u64>,
    /// Columns and lines of its terminal; zeros if it was never given any.
    pub size: (u64, u64),
}

impl Process {
    fn of_emulation(mirror: &Value) -> Self {
        let number = |value: &Value| value.as_u64().unwrap_or_default();
        let size = &mirror["ConsoleSize"];
        Self {
            exit_code: mirror["ExitCode"]
                .as_u64()
                .filter(|_| mirror["Exited"] == true),
            size: (number(&size["Width"]), number(&size["Height"])),
        }
    }

    fn of_simulator(mirror: &Value) -> Self {
        let number = |value: &Value| value.as_u64().unwrap_or_default();
        let size = &mirror["size"];
        Self {
            exit_code: mirror["exitCode"].as_u64(),
            size: (number(&size["width"]), number(&size["height"])),
        }
    }
}

/// Whether a process of Linux has ended with all of its threads: one that was killed may still hold files by another
/// thread when its first is a zombie.
fn is_gone(pid: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task"));
    !hcs_tests::process::alive(pid) && threads.map_or(0, Iterator::count) <= 1
}
