//! A simulated node from the outside: installed, observed, broken, rebooted by tests.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::calls::{self, CallRecord};
use crate::container;
use crate::faults::{Fault, Faults};
use crate::node::{Node, Settings, state_dir_of, write_atomically};
use crate::platform::{self, EXECUTABLE_NAME};
use crate::registry::{Registry, Summary};
use crate::systems::{MirrorProcess, Systems, TerminalSize};

/// How long processes may take to be gone once killed.
const PATIENCE: Duration = Duration::from_secs(20);

/// One simulated node: a folder with an executable `runhcs` and, beside it, its state.
#[derive(Debug, Clone)]
pub struct SimNode {
    executable: PathBuf,
    node: Node,
}

/// What is known of a container, beyond what runhcs tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContainerSnapshot {
    /// Its id.
    pub id: String,
    /// `created`, `running`, `paused` or `stopped`.
    pub status: String,
    /// Pid of the shim as `list` shows it: 0 once it ended by itself, -1 if never known.
    pub shim: i64,
    /// Exit code that the shim ended with, all 32 bits.
    pub shim_exit_code: Option<u32>,
    /// The bundle's absolute path.
    pub bundle: PathBuf,
    /// RFC 3339.
    pub created: String,
    /// Annotations of `config.json`.
    pub annotations: std::collections::BTreeMap<String, String>,
    /// Processes made by `start` and `exec`, ended ones too; the init process first.
    pub processes: Vec<MirrorProcess>,
    /// Size of the init process's terminal, if it was ever set.
    pub terminal_size: Option<TerminalSize>,
}

impl SimNode {
    /// Installs `runhcs_sim_exe` as `dir/runhcs` (a hard link, else a copy), with fresh state
    /// unless there is some already.
    ///
    /// # Errors
    /// The folder cannot be made or written.
    pub fn install(dir: &Path, runhcs_sim_exe: &Path) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let executable = dir.join(EXECUTABLE_NAME);
        if let Err(error) = fs::remove_file(&executable)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
        if fs::hard_link(runhcs_sim_exe, &executable).is_err() {
            fs::copy(runhcs_sim_exe, &executable)?;
        }
        let sim = Self::open(dir)?;
        sim.node.prepare("default")?;
        Ok(sim)
    }

    /// The node that is installed in `dir`.
    ///
    /// # Errors
    /// There is none.
    pub fn open(dir: &Path) -> io::Result<Self> {
        let executable = std::path::absolute(dir)?.join(EXECUTABLE_NAME);
        fs::metadata(&executable)?;
        let executable = fs::canonicalize(executable.parent().unwrap_or(&executable))
            .map(|folder| folder.join(EXECUTABLE_NAME))?;
        let node = Node::at(state_dir_of(&executable));
        Ok(Self { executable, node })
    }

    /// The absolute path of the node's `runhcs`.
    pub fn executable(&self) -> &Path {
        &self.executable
    }

    /// The folder of its state.
    pub fn state_dir(&self) -> &Path {
        self.node.state()
    }

    /// The file with its boot id.
    pub fn boot_id_file(&self) -> PathBuf {
        self.node.boot_id_file()
    }

    /// Its boot id, in the form of Linux's own; another after each reboot.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn boot_id(&self) -> io::Result<String> {
        Ok(fs::read_to_string(self.node.boot_id_file())?
            .trim()
            .to_owned())
    }

    /// Ends every process of the node and forgets all containers and mounts. Bundles, scratch
    /// layers, settings, faults and the account of calls stay; the boot id is another.
    ///
    /// # Errors
    /// A process does not end, or a file cannot be removed.
    pub fn reboot(&self) -> io::Result<()> {
        self.stop_all()?;
        for folder in [self.node.roots(), self.node.systems(), self.node.layers()] {
            match fs::remove_dir_all(folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        self.node.new_boot_id()?;
        self.node.prepare("default")
    }

    /// Ends every process of the node: calls under way, shims, and what their containers run.
    /// Records stay, as after a crash of all of them.
    ///
    /// # Errors
    /// A process does not end.
    pub fn stop_all(&self) -> io::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        // What a process runs cannot be told any more some time before it has ended.
        let mut running = BTreeSet::new();
        loop {
            running.retain(|&pid| platform::process_is_alive(pid));
            running.extend(platform::processes_of_executable(&self.executable));
            if running.is_empty() {
                break;
            }
            if Instant::now() > deadline {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!("processes {running:?} do not end"),
                ));
            }
            running.iter().copied().for_each(platform::kill_process);
            std::thread::yield_now();
        }
        let systems = Systems::open(&self.node);
        let ids: Vec<String> = self
            .records()?
            .into_iter()
            .map(|record| record.id)
            .collect();
        // Looking at them buries them.
        drop(systems.states(ids.iter().map(String::as_str)));
        Ok(())
    }

    /// Adds a fault.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn inject(&self, fault: Fault) -> io::Result<()> {
        Faults::open(&self.node).add(fault)
    }

    /// How many calls have come to the fault with this key, of those that count: they have a number of calls to spare or
    /// to strike.
    ///
    /// # Errors
    /// The count cannot be read.
    pub fn met(&self, key: &str) -> io::Result<u64> {
        Faults::open(&self.node).met(key)
    }

    /// Forgets all faults. Calls that already hang go on hanging.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn clear_faults(&self) -> io::Result<()> {
        Faults::open(&self.node).clear()
    }

    /// All calls so far, shims not counted.
    ///
    /// # Errors
    /// The account cannot be read.
    pub fn calls(&self) -> io::Result<Vec<CallRecord>> {
        calls::read(&self.node.calls_file())
    }

    /// Number of calls of one verb so far.
    ///
    /// # Errors
    /// The account cannot be read.
    pub fn count(&self, verb: &str) -> io::Result<usize> {
        Ok(self
            .calls()?
            .iter()
            .filter(|call| call.verb == verb)
            .count())
    }

    /// Begins the account of calls anew.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn forget_calls(&self) -> io::Result<()> {
        match fs::remove_file(self.node.calls_file()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Its settings.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn settings(&self) -> io::Result<Settings> {
        self.node.settings()
    }

    /// Changes its settings, for all calls from now on.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn set_settings(&self, settings: &Settings) -> io::Result<()> {
        write_atomically(
            &self.node.settings_file(),
            &serde_json::to_vec_pretty(settings)?,
        )
    }

    /// All containers of all roots.
    ///
    /// # Errors
    /// A record cannot be read.
    pub fn containers(&self) -> io::Result<Vec<ContainerSnapshot>> {
        let systems = Systems::open(&self.node);
        let records = self.records()?;
        let states = systems.states(records.iter().map(|record| record.id.as_str()));
        records
            .iter()
            .zip(states)
            .map(|(record, state)| {
                let mirror = systems
                    .mirror(&record.id)?
                    .filter(|mirror| mirror.unique_id == record.unique_id);
                let exit_code = mirror.as_ref().and_then(|mirror| mirror.shim_exit_code);
                let processes = mirror.map(|mirror| mirror.processes).unwrap_or_default();
                Ok(ContainerSnapshot {
                    id: record.id.clone(),
                    status: container::status(record.shim, state?).as_str().to_owned(),
                    shim: record.shim.unwrap_or(-1),
                    shim_exit_code: exit_code,
                    bundle: PathBuf::from(&record.bundle),
                    created: record.created.clone(),
                    annotations: record.spec.annotations.clone(),
                    terminal_size: processes.first().and_then(|process| process.size),
                    processes,
                })
            })
            .collect()
    }

    /// One container.
    ///
    /// # Errors
    /// `NotFound`, or a record cannot be read.
    pub fn container(&self, id: &str) -> io::Result<ContainerSnapshot> {
        let mut all = self.containers()?.into_iter();
        all.find(|container| container.id.eq_ignore_ascii_case(id))
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("no container {id}")))
    }

    /// The scratch layers that are mounted.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn mounted_layers(&self) -> io::Result<Vec<PathBuf>> {
        let mut layers = Vec::new();
        for entry in fs::read_dir(self.node.layers())? {
            let text = fs::read_to_string(entry?.path())?;
            layers.extend(text.trim_end().strip_prefix("prepared ").map(PathBuf::from));
        }
        layers.sort();
        Ok(layers)
    }

    /// What was noted of two attempts of one object that lived at once; none is as it should be.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn overlaps(&self) -> io::Result<Option<String>> {
        match fs::read_to_string(self.node.overlaps_file()) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Ends a container's shim at once, as a crash or an administrator would; its container goes
    /// with it.
    ///
    /// # Errors
    /// There is no such container, or it has no shim.
    pub fn kill_shim(&self, id: &str) -> io::Result<()> {
        let container = self.container(id)?;
        match u32::try_from(container.shim) {
            Ok(pid) if pid > 0 && container.status != "stopped" => {
                platform::kill_process(pid);
                Ok(())
            }
            _ => Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("{id} has no shim"),
            )),
        }
    }

    fn records(&self) -> io::Result<Vec<Summary>> {
        let mut records = Vec::new();
        for root in fs::read_dir(self.node.roots())? {
            records.append(&mut Registry::in_folder(&self.node, root?.path()).list()?);
        }
        Ok(records)
    }
}
