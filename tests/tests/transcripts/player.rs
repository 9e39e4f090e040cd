//! Plays the script's steps on a machine and writes down what came of each.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde_json::{Value, json};

use crate::Result;
use crate::machine::{Machine, Process, Watch};
use crate::neutral::Neutral;
use crate::patience::wait_until;

/// Writes the transcript: a part for each step, parted by empty lines.
pub struct Player {
    machine: Rc<Machine>,
    neutral: Neutral,
    said: String,
    /// The last call, unless something has been done since then.
    last: Option<Call>,
}

/// A call of runhcs.
struct Call {
    args: Vec<String>,
    exit: Option<i32>,
    stdout: Vec<u8>,
}

/// What a bundle's `config.json` says that differs from the usual.
pub type Change = fn(&mut Value);

impl Player {
    /// A player on a fresh machine.
    pub fn on(machine: Machine) -> Self {
        let neutral = Neutral::new(machine.path(&machine.work), machine.workload());
        Self {
            machine: Rc::new(machine),
            neutral,
            said: String::new(),
            last: None,
        }
    }

    /// Whether it plays on the real runhcs.
    pub fn is_real(&self) -> bool {
        self.machine.is_real()
    }

    /// What was written down.
    pub fn transcript(&self) -> String {
        self.said.trim().to_owned() + "\n"
    }

    /// Begins a section.
    pub fn section(&mut self, title: &str) {
        let _ = write!(self.said, "== {title}\n\n");
    }

    /// A path below the work folder, as programs on the machine see it.
    pub fn path(&self, name: &str) -> String {
        self.machine.path(&self.file(name))
    }

    /// A path below the work folder, as this process sees it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.machine.work.join(name)
    }

    /// The workload's command line with these flags.
    pub fn workload<'a>(&self, flags: &[&'a str]) -> Vec<String> {
        let own = [self.machine.workload(), "run".to_owned()];
        own.into_iter()
            .chain(flags.iter().map(|flag: &&'a str| (*flag).to_owned()))
            .collect()
    }

    /// Runs runhcs. In an argument, `@x` stands for the path of `x` in the work folder.
    pub fn run<A: AsRef<str>>(&mut self, args: &[A]) -> Result {
        let args: Vec<String> = args
            .iter()
            .map(|arg| match arg.as_ref().strip_prefix('@') {
                Some(name) => self.path(name),
                None => arg.as_ref().to_owned(),
            })
            .collect();
        let machine = Rc::clone(&self.machine);
        let shim = self.shim_to_be_deleted(&machine, &args)?;
        let output = machine.runhcs(&args)?;
        match shim {
            // A shim that is slow to die writes into a new container of the same id.
            Some(watch) if output.status.success() => watch.end()?,
            Some(watch) => watch.give_up()?,
            None => {}
        }
        self.note_pid_files();
        let shown: Vec<String> = args.iter().map(|arg| shown(arg)).collect();
        let mut part = format!("$ runhcs {}\n", shown.join(" "));
        let exit = output.status.code();
        let code = exit.map_or("killed".to_owned(), |code| code.to_string());
        let _ = writeln!(part, "exit {code}");
        for (name, bytes) in [("out", &output.stdout), ("err", &output.stderr)] {
            let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n");
            for line in text.lines() {
                let _ = writeln!(part, "{name}: {line}");
            }
            if !text.is_empty() && !text.ends_with('\n') {
                let _ = writeln!(part, "{name} ends within a line");
            }
        }
        self.write(&part);
        self.last = Some(Call {
            args,
            exit,
            stdout: output.stdout,
        });
        Ok(())
    }

    /// Runs runhcs with words parted by spaces.
    pub fn say(&mut self, line: &str) -> Result {
        let words: Vec<&str> = line.split(' ').collect();
        self.run(&words)
    }

    /// Makes the bundle `name`, whose container runs the workload with these flags; it says in the file `<name>/began`
    /// that it runs.
    pub fn bundle(&mut self, name: &str, flags: &[&str]) -> Result {
        self.bundle_with(name, flags, |_| ())
    }

    /// As [`Self::bundle`], with a change of its configuration.
    pub fn bundle_with(&mut self, name: &str, flags: &[&str], change: Change) -> Result {
        let folder = self.file(name);
        fs::create_dir_all(&folder)?;
        let began = self.path(&format!("{name}/began"));
        let _ = fs::remove_file(folder.join("began"));
        let mut args = self.workload(&["--leave-signals", "--write", &began]);
        args.extend(flags.iter().map(|flag| (*flag).to_owned()));
        let mut config = json!({
            "ociVersion": "1.0.2",
            "process": {"user": {}, "args": args, "cwd": self.machine.path(&self.machine.work), "env": ["FOO=bar"]},
            "annotations": {"app": name},
            "windows": {"layerFolders": [self.path("layer"), self.path(&format!("{name}/scratch"))]},
        });
        change(&mut config);
        fs::write(
            folder.join("config.json"),
            serde_json::to_vec_pretty(&config)?,
        )?;
        Ok(())
    }

    /// Makes a container of the bundle of its name, with a pid file.
    pub fn create(&mut self, id: &str) -> Result {
        self.run(&[
            "create",
            "--bundle",
            &format!("@{id}"),
            "--pid-file",
            &format!("@{id}.pid"),
            id,
        ])
    }

    /// Waits until the container's workload runs.
    pub fn begins(&self, id: &str) -> Result {
        self.file_appears(&format!("{id}/began"))
    }

    /// Waits until there is this file in the work folder, and something in it.
    pub fn file_appears(&self, name: &str) -> Result {
        let file = self.file(name);
        wait_until(&format!("{name} is there"), || {
            fs::read(&file).is_ok_and(|text| !text.is_empty())
        })
    }

    /// Starts a container and waits until its workload runs.
    pub fn start(&mut self, id: &str) -> Result {
        self.run(&["start", id])?;
        self.begins(id)
    }

    /// As [`Self::create`]; once its init process has ended, the container takes longer than any test to shut down.
    pub fn create_to_shut_down_slowly(&mut self, id: &str) -> Result {
        self.machine.shut_down_slowly(true)?;
        let result = self.create(id);
        if self.is_real() {
            // The shim has it by now; the simulator's looks when it comes to that.
            self.machine.shut_down_slowly(false)?;
        }
        result
    }

    /// A `create` that is killed once it has written its record, and before it has a system or a shim.
    pub fn create_and_die(&mut self, id: &str) -> Result {
        self.machine.create_and_die(&self.path(id), id)?;
        self.write(&format!("create of {id} has died\n"));
        Ok(())
    }

    /// Waits until all processes that were made in a container beside its first have ended.
    pub fn others_have_ended(&self, id: &str) -> Result {
        wait_until(&format!("what was made in {id} has ended"), || {
            let processes = self.machine.processes(id);
            processes
                .iter()
                .skip(1)
                .all(|process| process.exit_code.is_some())
        })
    }

    /// Waits until the emulation or the simulator says that a container's init process has ended.
    pub fn init_has_ended(&self, id: &str) -> Result {
        wait_until(&format!("init of {id} has ended"), || {
            let processes = self.machine.processes(id);
            processes
                .first()
                .is_some_and(|init| init.exit_code.is_some())
        })
    }

    /// The exit code of the last call.
    pub fn last_exit(&self) -> Option<i32> {
        self.last.as_ref()?.exit
    }

    /// The status that the last call said a container has.
    pub fn last_status(&self) -> Option<String> {
        let state: Value = serde_json::from_slice(&self.last.as_ref()?.stdout).ok()?;
        state["status"].as_str().map(str::to_owned)
    }

    /// Does something that ends a container's shim, waits for its end and notes its exit code.
    pub fn ends(&mut self, id: &str, by: impl FnOnce(&mut Self) -> Result) -> Result {
        self.process_ends(id, id, by)
    }

    /// As [`Self::ends`], for the shim whose pid is in `<name>.pid` and that stands for a process in the container `id`.
    pub fn process_ends(
        &mut self,
        id: &str,
        name: &str,
        by: impl FnOnce(&mut Self) -> Result,
    ) -> Result {
        let machine = Rc::clone(&self.machine);
        let watch = machine.watch(self.pid(name)?, id)?;
        by(self)?;
        let code = watch.exit_code()?;
        self.write(&format!("the shim of {name} has ended with {code}\n"));
        Ok(())
    }

    /// As [`Self::ends`], if what is done succeeds.
    pub fn may_end(&mut self, id: &str, by: impl FnOnce(&mut Self) -> Result) -> Result {
        let machine = Rc::clone(&self.machine);
        let watch = machine.watch(self.pid(id)?, id)?;
        by(self)?;
        if self.last_exit() == Some(0) {
            let code = watch.exit_code()?;
            self.write(&format!("the shim of {id} has ended with {code}\n"));
        } else {
            watch.give_up()?;
        }
        Ok(())
    }

    /// Removes a container's bundle and pid file.
    pub fn forget(&self, id: &str) -> Result {
        self.machine.shut_down_slowly(false)?;
        fs::remove_dir_all(self.file(id))?;
        match fs::remove_file(self.file(&format!("{id}.pid"))) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Kills a container's shim as a crash would.
    pub fn kill_shim(&mut self, id: &str) -> Result {
        self.last = None;
        self.machine.kill(self.pid(id)?)
    }

    /// Notes what a pid file holds.
    pub fn note_pid_file(&mut self, name: &str) {
        let part = match fs::read_to_string(self.file(name)) {
            Ok(text) => format!("{name} holds {text:?}\n"),
            Err(error) => format!("{name}: {:?}\n", error.kind()),
        };
        self.write(&part);
    }

    /// A container's processes.
    pub fn processes(&self, id: &str) -> Vec<Process> {
        self.machine.processes(id)
    }

    /// Notes how a container's processes ended, and their terminals' sizes.
    pub fn note_processes(&mut self, id: &str) {
        let mut part = format!("processes of {id}:\n");
        for process in self.processes(id) {
            let (width, height) = process.size;
            let end = process
                .exit_code
                .map_or("runs".to_owned(), |code| format!("exit {code}"));
            let _ = writeln!(part, "  {end}, {width}x{height}");
        }
        self.write(&part);
    }

    /// Notes what is left in the work folder, and which scratch layers are mounted.
    pub fn note_what_is_left(&mut self) -> Result {
        let mut part = "left:\n".to_owned();
        let mut files = Vec::new();
        files_below(&self.machine.work, &mut files)?;
        files.sort();
        for file in files {
            let name = file.strip_prefix(&self.machine.work)?.display().to_string();
            let _ = writeln!(part, "  {name}");
        }
        let _ = writeln!(part, "mounted: {}", self.machine.mounted()?.join(" "));
        self.write(&part);
        Ok(())
    }

    /// The shim's pid in the pid file of a container.
    pub fn pid(&self, id: &str) -> Result<u32> {
        Ok(fs::read_to_string(self.file(&format!("{id}.pid")))?.parse()?)
    }

    /// Waits until runhcs says that a container has this status. It is not noted how often it was asked.
    pub fn becomes(&mut self, id: &str, status: &str) -> Result {
        self.last = None;
        let words = [format!("\"status\": \"{status}\"")];
        wait_until(&format!("{id} is {status}"), || {
            let output = self.machine.runhcs(&["state".to_owned(), id.to_owned()]);
            output.is_ok_and(|output| {
                words
                    .iter()
                    .all(|word| String::from_utf8_lossy(&output.stdout).contains(word))
            })
        })
    }

    /// The shim of the container that a command deletes, watched before it is: its pid may be another's after it.
    fn shim_to_be_deleted<'a>(
        &self,
        machine: &'a Machine,
        args: &[String],
    ) -> Result<Option<Watch<'a>>> {
        let Some(id) = args
            .last()
            .filter(|_| args.iter().any(|arg| arg == "delete"))
        else {
            return Ok(None);
        };
        let asked = ["state".to_owned(), id.clone()];
        let state: Value = match &self.last {
            Some(call) if call.args == asked => serde_json::from_slice(&call.stdout),
            _ => serde_json::from_slice(&machine.runhcs(&asked)?.stdout),
        }
        .unwrap_or_default();
        let pid = state["pid"]
            .as_u64()
            .and_then(|pid| u32::try_from(pid).ok());
        // The pid of a shim that was killed is stale.
        let pid = pid.filter(|pid| *pid > 0 && state["status"] != "stopped");
        pid.map(|pid| machine.watch(pid, id)).transpose()
    }

    fn note_pid_files(&mut self) {
        for entry in fs::read_dir(&self.machine.work)
            .into_iter()
            .flatten()
            .flatten()
        {
            let name = entry.file_name().to_string_lossy().into_owned();
            if let Some(id) = name.strip_suffix(".pid")
                && let Ok(text) = fs::read_to_string(entry.path())
                && let Ok(pid) = text.trim().parse()
            {
                self.neutral.name_pid(pid, id);
            }
        }
    }

    fn write(&mut self, part: &str) {
        self.said += &self.neutral.text(part);
        self.said.push('\n');
    }
}

fn files_below(folder: &Path, files: &mut Vec<PathBuf>) -> Result {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files_below(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// An argument as a person would write it.
fn shown(arg: &str) -> String {
    let plain = !arg.is_empty() && !arg.contains([' ', '"', '\'', '\n', '\t']);
    if plain {
        arg.to_owned()
    } else {
        format!("{arg:?}").replace("\\\\", "\\")
    }
}
