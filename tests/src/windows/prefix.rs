//! A wine prefix: one Windows machine, with its own registry, drive C, processes and Host Compute Service. It is up as
//! long as its wineserver is; the server's end is the machine's power switch.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::Toolchain;
use super::toolchain::TASKSET;
use crate::cached::{self, Key};
use crate::process::{Owned, Slot, Spawn, lock, tail};
use crate::{Error, binaries};

/// How long wine may take to start its server, or to do one small thing.
const PATIENCE: Duration = Duration::from_mins(1);

/// Where `tests/windows/wine-hcs/build.sh` puts it.
pub const PROBE: &str = r"C:\windows\probe.exe";

/// Where `build.sh` puts what is preloaded into the wineserver.
const NAP: &str = "nap.so";

/// How often the server's socket is looked for.
const POLL: Duration = Duration::from_millis(5);

/// A Windows machine of one's own; dropping it ends all its processes. The folder stays.
///
/// It has one processor. Each program asks the wineserver hundreds of things, of which none goes on before it is answered:
/// to wake each other on another processor each time costs a third more for a call of runhcs.
#[derive(Debug)]
pub struct Prefix {
    dir: PathBuf,
    toolchain: Toolchain,
    processor: Processor,
    server: Slot,
}

impl Prefix {
    /// Makes the prefix `dir`, which must not be there yet, and starts it.
    pub fn new(toolchain: &Toolchain, dir: &Path) -> Result<Self, Error> {
        let template = template(toolchain)?;
        copy(&template, dir).map_err(|source| Error::file("make the wine prefix", dir, source))?;
        let prefix = Self {
            dir: dir.to_owned(),
            toolchain: toolchain.clone(),
            processor: Processor::least_used(),
            server: Slot::default(),
        };
        prefix.boot()?;
        Ok(prefix)
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its drive C.
    pub fn drive_c(&self) -> PathBuf {
        self.dir.join("drive_c")
    }

    /// The command line that takes a Windows executable and its arguments: wine, on the machine's processor.
    pub fn wine(&self) -> [OsString; 4] {
        self.here(&self.toolchain.wine)
    }

    /// The command line of a program that runs on the machine's processor.
    fn here(&self, program: &Path) -> [OsString; 4] {
        let processor = self.processor.0.to_string().into();
        [
            TASKSET.into(),
            "--cpu-list".into(),
            processor,
            program.into(),
        ]
    }

    /// What a command needs in its environment to run on this machine.
    pub fn envs(&self) -> Vec<(OsString, OsString)> {
        environment(&self.dir)
    }

    /// A command that runs a Windows executable on this machine, without standard input.
    pub fn command(&self, executable: &Path) -> Command {
        let [program, args @ ..] = self.wine();
        let mut command = Command::new(program);
        command
            .args(args)
            .arg(executable)
            .envs(self.envs())
            .stdin(Stdio::null());
        command
    }

    /// Runs `probe.exe` of `tests/windows/wine-hcs` with these arguments, and says whether it did what was asked.
    pub fn probe(&self, args: &[&str]) -> bool {
        let mut probe = self.command(Path::new(PROBE));
        probe.args(args).stdout(Stdio::null()).stderr(Stdio::null());
        probe.status().is_ok_and(|status| status.success())
    }

    /// As [`Prefix::probe`]; gives the line that it prints.
    pub fn ask(&self, args: &[&str]) -> Result<String, Error> {
        let mut probe = self.command(Path::new(PROBE));
        let output = probe.args(args).stderr(Stdio::null()).output();
        let output = output.map_err(|source| Error::Start {
            what: PROBE.to_owned(),
            source,
        })?;
        if !output.status.success() {
            return Err(Error::Command {
                what: format!("probe {args:?}"),
                status: output.status,
            });
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Ends all its processes at once, as a power cut does. What is on its drives and in its registry stays, but for
    /// volatile registry keys.
    pub fn power_off(&self) {
        let mut server = lock(&self.server);
        if server.is_some() {
            // A server that is only asked to end leaves processes behind; with this it ends them first.
            let mut kill = Command::new(&self.toolchain.wineserver);
            let _ = kill.arg("--kill").envs(self.envs()).status();
        }
        server.take();
    }

    /// Ends all its processes and starts it again.
    pub fn reboot(&self) -> Result<(), Error> {
        self.power_off();
        self.boot()
    }

    fn boot(&self) -> Result<(), Error> {
        // Interrupted, it ends all processes of the machine.
        let [program, args @ ..] = self.here(&self.toolchain.wineserver);
        let mut spawn = Spawn::new("wineserver", program, &self.dir).having_children();
        spawn = self
            .envs()
            .into_iter()
            .fold(spawn, |spawn, (name, value)| spawn.env(name, value));
        // In the foreground, so that it ends with its owner; and with no client it must stay, for then it would reboot.
        let spawn = spawn.args(args).args(["--foreground", "--persistent"]);
        let spawn = spawn.env("LD_PRELOAD", self.dir.join(NAP));
        let server = spawn.start()?;
        self.wait_until_it_listens(&server)?;
        *lock(&self.server) = Some(server);
        self.start_windows()
    }

    /// The first process starts Windows' own: that takes a second, which no test should have in its measure.
    fn start_windows(&self) -> Result<(), Error> {
        let log = self.dir.join("first-process.log");
        let file = File::create(&log).map_err(|source| Error::file("create", &log, source))?;
        // One that ends at once: there is nothing for it to read.
        let mut first = self.command(Path::new(PROBE));
        first.arg("serve").stdout(Stdio::null()).stderr(file);
        let name = "the first process under wine".to_owned();
        let status = first.status();
        let status = status.map_err(|source| Error::Start {
            what: name.clone(),
            source,
        })?;
        if status.success() {
            return Ok(());
        }
        let log = tail(&log, 20);
        Err(Error::Ended { name, status, log })
    }

    fn wait_until_it_listens(&self, server: &Owned) -> Result<(), Error> {
        let end = Instant::now() + PATIENCE;
        while !listens(server.pid()) {
            if let Some(status) = server.ended() {
                let (name, log) = (server.name().to_owned(), server.log_tail(20));
                return Err(Error::Ended { name, status, log });
            }
            if Instant::now() >= end {
                return Err(Error::Deadline {
                    what: format!("the wineserver of {} listens", self.dir.display()),
                    deadline: PATIENCE,
                    evidence: server.log_tail(20),
                });
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }
}

impl Prefix {
    /// Ends all its processes and removes its folder.
    pub fn remove(&self) {
        self.power_off();
        remove_socket_folder(&self.dir);
        let _ = fs::remove_dir_all(&self.dir);
    }
}

impl Drop for Prefix {
    fn drop(&mut self) {
        self.power_off();
        remove_socket_folder(&self.dir);
    }
}

/// How many machines of this process are on each processor.
static MACHINES: Mutex<BTreeMap<usize, usize>> = Mutex::new(BTreeMap::new());

/// The processor of a machine, by its number.
#[derive(Debug)]
struct Processor(usize);

impl Processor {
    /// Of those that this process may use, the one with the fewest machines. Runs that go on side by side do not all begin
    /// with the same one.
    fn least_used() -> Self {
        let all = 0..rustix::thread::CpuSet::MAX_CPU;
        let mut may: Vec<usize> = rustix::thread::sched_getaffinity(None)
            .map(|set| all.filter(|cpu| set.is_set(*cpu)).collect())
            .unwrap_or_default();
        let first = std::process::id() as usize % may.len().max(1);
        may.rotate_left(first);
        let mut machines = lock(&MACHINES);
        let number = with_fewest(&may, &machines);
        *machines.entry(number).or_default() += 1;
        Self(number)
    }
}

/// Of these processors the first of those with the fewest machines.
fn with_fewest(may: &[usize], machines: &BTreeMap<usize, usize>) -> usize {
    let on = |cpu: &&usize| machines.get(cpu).copied().unwrap_or_default();
    may.iter().min_by_key(on).copied().unwrap_or_default()
}

impl Drop for Processor {
    fn drop(&mut self) {
        if let Some(machines) = lock(&MACHINES).get_mut(&self.0) {
            *machines -= 1;
        }
    }
}

/// Whether a process has a listening Unix socket. Where wine's lies differs from one distribution to the next.
fn listens(pid: u32) -> bool {
    /// `__SO_ACCEPTCON`, in the fourth column of `/proc/net/unix`.
    const LISTENING: &str = "00010000";
    let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    let sockets = fs::read_to_string("/proc/net/unix").unwrap_or_default();
    let listening: Vec<&str> = sockets
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|columns| columns.get(3) == Some(&LISTENING))
        .filter_map(|columns| columns.get(6).copied())
        .collect();
    files
        .flatten()
        .filter_map(|file| fs::read_link(file.path()).ok())
        .any(|link| {
            let link = link.to_string_lossy();
            let inode = link
                .strip_prefix("socket:[")
                .and_then(|rest| rest.strip_suffix(']'));
            inode.is_some_and(|inode| listening.contains(&inode))
        })
}

/// Names, in a prefix of Debian's wine, the folder below the temporary one that holds the server's socket.
const SOCKET_FOLDER: &str = "wineserver";

/// Removes the folder of a server that has ended; wine leaves it.
fn remove_socket_folder(prefix: &Path) {
    let name = fs::read_to_string(prefix.join(SOCKET_FOLDER)).unwrap_or_default();
    if name.starts_with("wine-") && !name.contains('/') {
        let _ = fs::remove_dir_all(Path::new("/tmp").join(name));
    }
}

/// The template of all prefixes, made once (15 seconds).
fn template(toolchain: &Toolchain) -> Result<PathBuf, Error> {
    let sources = binaries::workspace().join("tests/windows/wine-hcs");
    let key = Key::new().folder(&sources)?.file(&toolchain.wineserver)?;
    let folder = cached::folder("wine-prefix", key, |folder| {
        let prefix = folder.join("prefix");
        eprintln!("Making the wine prefix that all others are copied from: 15 s");
        let mut build = Command::new(sources.join("build.sh"));
        build
            .arg(&prefix)
            .env("WINE", &toolchain.wine)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        binaries::run(build, "tests/windows/wine-hcs/build.sh")?;
        // The registry is written when the server ends, which is when its last process does.
        let mut wait = Command::new(&toolchain.wineserver);
        wait.arg("--wait").envs(environment(&prefix));
        binaries::run(wait, "the end of wine in the template")?;
        remove_socket_folder(&prefix);
        Ok(())
    })?;
    Ok(folder.join("prefix"))
}

fn environment(prefix: &Path) -> Vec<(OsString, OsString)> {
    vec![
        ("WINEPREFIX".into(), prefix.into()),
        (
            "WINEDEBUG".into(),
            std::env::var_os("WINEDEBUG").unwrap_or_else(|| "-all".into()),
        ),
        // Programs of Go, as the real runhcs, live too short to collect garbage, and need threads for it.
        ("GOGC".into(), "400".into()),
        // The only time zone that there is (build.sh).
        ("TZ".into(), "UTC".into()),
        // Neither .NET nor a browser is wanted, and wine would offer to install them; nor is there a desktop with a menu.
        // A console that nobody sees would be a process more for each program that an agent starts.
        (
            "WINEDLLOVERRIDES".into(),
            "mscoree,mshtml,winemenubuilder.exe,conhost.exe=".into(),
        ),
    ]
}

/// Copies a prefix. Its 700 MB of Windows' own libraries are linked, since no test writes to those.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, source, copy) = (entry.file_type()?, entry.path(), to.join(entry.file_name()));
        if kind.is_dir() {
            self::copy(&source, &copy)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&source)?, &copy)?;
        } else if entry.file_name() == SOCKET_FOLDER {
            // Each gets its own.
        } else if is_library(&source) && fs::hard_link(&source, &copy).is_ok() {
            // Linked; across file systems it is copied below.
        } else {
            fs::copy(&source, &copy)?;
        }
    }
    Ok(())
}

fn is_library(file: &Path) -> bool {
    let system = file.components().any(|part| part.as_os_str() == "windows");
    let kinds = [
        "dll", "exe", "drv", "sys", "cpl", "ocx", "acm", "ax", "nls", "ttf", "fon", "tlb", "msc",
    ];
    let kind = file.extension().and_then(|extension| extension.to_str());
    system && kind.is_some_and(|kind| kinds.contains(&kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(dir: &Path) -> Option<Prefix> {
        match Toolchain::find() {
            Ok(toolchain) => Some(Prefix::new(&toolchain, &dir.join("prefix")).unwrap()),
            Err(missing) => {
                eprintln!("SKIPPED: no wine prefix without {missing}");
                None
            }
        }
    }

    fn output(prefix: &Prefix, line: &str) -> String {
        let mut command = prefix.command(Path::new("cmd.exe"));
        let output = command.args(["/c", line]).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    #[test]
    fn a_new_machine_is_on_the_processor_with_the_fewest() {
        let machines = BTreeMap::from([(0, 2), (1, 1), (3, 0)]);
        assert_eq!(with_fewest(&[0, 1], &machines), 1);
        assert_eq!(with_fewest(&[0, 1, 2, 3], &machines), 2);
        assert_eq!(with_fewest(&[3, 2], &machines), 3);
    }

    #[test]
    fn the_real_runhcs_runs_in_a_prefix() {
        let dir = tempfile::tempdir().unwrap();
        let Some(prefix) = prefix(dir.path()) else {
            return;
        };
        let runhcs = crate::windows::runhcs().unwrap();
        let output = prefix
            .command(&runhcs)
            .args(["list", "--format", "json"])
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "null\n");
    }

    #[test]
    fn a_prefix_is_a_windows_server_whose_registry_outlives_a_reboot() {
        let dir = tempfile::tempdir().unwrap();
        let Some(prefix) = prefix(dir.path()) else {
            return;
        };
        assert!(output(&prefix, "ver").contains("10.0.20348"));

        let key = r"HKLM\Software\hcs-tests";
        output(&prefix, &format!("reg add {key} /v kept /d yes /f"));
        prefix.reboot().unwrap();
        assert!(output(&prefix, &format!("reg query {key} /v kept")).contains("yes"));
    }
}
