//! What differs between operating systems: processes that are not our children, the boot's
//! identity, and who may write to a folder. The twins `linux` and `windows` have the same items,
//! and all of the crate's `unsafe` is here.

#[cfg(unix)]
mod linux;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
use linux as imp;
#[cfg(windows)]
use windows as imp;

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

/// Names a file whose content is the node's boot id, for nodes that are simulated.
pub const BOOT_ID_FILE: &str = "HCS_OPERATOR_BOOT_ID_FILE";

/// A handle of a process on this host that keeps its pid from being taken for another's.
#[derive(Debug)]
pub struct Process {
    handle: imp::Handle,
    start_time: u64,
}

impl Process {
    /// Opens the process that has this pid now; none where there is no such process.
    pub fn open(pid: u32) -> io::Result<Option<Self>> {
        let Some(handle) = imp::Handle::open(pid)? else {
            return Ok(None);
        };
        // The start time is read behind the handle, so it belongs to the handle's process.
        let Some(start_time) = handle.start_time()? else {
            return Ok(None);
        };
        Ok(Some(Self { handle, start_time }))
    }

    /// Opens the process only if it is the one that started at `start_time`.
    pub fn find(pid: u32, start_time: u64) -> io::Result<Option<Self>> {
        Ok(Self::open(pid)?.filter(|process| process.start_time == start_time))
    }

    /// When the process started, in the platform's own unit: equal for one process, never
    /// meaningful otherwise.
    pub fn start_time(&self) -> u64 {
        self.start_time
    }

    /// Waits for the end of the process. The exit code is none where the system has lost it.
    pub async fn exited(self) -> io::Result<Option<u32>> {
        self.handle.exited().await
    }
}

/// A process's start as a time of day, from [`Process::start_time`].
pub fn started_at(start_time: u64) -> Option<Timestamp> {
    imp::started_at(start_time)
}

/// Has the heap keep little that is free. To be called before there are threads.
pub fn keep_heap_small() {
    imp::keep_heap_small();
}

/// The identity of the node's current boot.
pub fn boot_id() -> io::Result<String> {
    match std::env::var_os(BOOT_ID_FILE) {
        Some(file) => Ok(std::fs::read_to_string(file)?.trim().to_owned()),
        None => imp::boot_id(),
    }
}

/// For how long the machine has been up: as steady as time itself, whatever its clock is set to.
pub fn uptime() -> Duration {
    imp::uptime()
}

/// Version, build and revision of the system, such as `10.0.20348.2700`.
pub fn os_build() -> String {
    imp::os_build()
}

/// How long a [`lock`] may last after its process has ended.
pub use imp::LOCK_OUTLIVES;

/// Locks a file for this process until it is closed here, or the process ends; false if another process has it. Open it once:
/// closing any handle of it may give the lock up.
pub fn lock(file: &File) -> io::Result<bool> {
    imp::lock(file)
}

/// Makes a folder that only the system and its administrators can write to.
pub fn create_private_folder(path: &Path) -> io::Result<()> {
    imp::create_private_folder(path)
}

/// Why a folder is not to be trusted with what runs with all rights.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// The owner can give himself every right. A SID on Windows, a number on Unix.
    #[error("it belongs to {0}, who is no administrator")]
    Owner(String),
    /// A SID on Windows.
    #[error("{0} can write to it")]
    Writer(String),
}

/// Whether anyone but the system and its administrators (on Unix: root and the own user) owns a
/// path or may write to it.
pub fn distrust(path: &Path) -> io::Result<Option<Distrust>> {
    imp::distrust(path)
}

/// The commands that make a path one to be trusted.
pub fn remedy(path: &Path) -> String {
    let path = path.display();
    if cfg!(windows) {
        format!(
            "takeown /A /R /F \"{path}\" and icacls \"{path}\" /inheritance:r /grant:r \
             *S-1-5-18:(OI)(CI)F *S-1-5-32-544:(OI)(CI)F"
        )
    } else {
        format!("chown root {path} and chmod go-w {path}")
    }
}

/// What services are made with: the event log, and the service manager's entry.
#[cfg(windows)]
pub use imp::{Gravity, add_event_source, remove_event_source, report, serve};

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_end_of_a_process_and_its_exit_code_are_seen_through_its_handle() {
        let mut child = tokio::process::Command::new(shell()[0])
            .args([shell()[1], "exit 7"])
            .spawn()
            .unwrap();
        let process = Process::open(child.id().unwrap()).unwrap().unwrap();
        let (code, status) = tokio::join!(process.exited(), child.wait());
        assert!(status.is_ok());
        assert_eq!(code.unwrap(), Some(7));
    }

    #[test]
    fn a_process_is_found_again_only_by_its_start_time() {
        let own = std::process::id();
        let start_time = Process::open(own).unwrap().unwrap().start_time();
        assert!(Process::find(own, start_time).unwrap().is_some());
        assert!(Process::find(own, start_time + 1).unwrap().is_none());
        let age = Timestamp::now().duration_since(started_at(start_time).unwrap());
        assert!(age.as_secs().abs() < 3600, "{age:?}");
    }

    #[test]
    fn the_machine_is_up_for_as_long_as_time_passes() {
        let (before, begun) = (uptime(), std::time::Instant::now());
        while begun.elapsed() < Duration::from_millis(50) {
            std::thread::yield_now();
        }
        let (after, passed) = (uptime(), begun.elapsed());
        // Windows counts in ticks of up to 16 ms.
        let tick = Duration::from_millis(20);
        assert!(after + tick >= before + Duration::from_millis(50));
        assert!(after <= before + passed + tick, "{before:?} {after:?}");
    }

    #[test]
    fn a_pid_that_no_process_has_is_no_process() {
        // Far above any pid that a system hands out, and a multiple of four as Windows wants it.
        assert!(Process::open(0x3fff_fffc).unwrap().is_none());
    }

    #[test]
    fn a_private_folder_is_writable_for_us_alone() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("data");
        create_private_folder(&folder).unwrap();
        create_private_folder(&folder).unwrap();
        assert_eq!(distrust(&folder).unwrap(), None);
        std::fs::write(folder.join("file"), "x").unwrap();
    }

    #[test]
    fn a_private_folder_may_have_a_path_of_more_than_260_characters() {
        let parent = tempfile::tempdir().unwrap();
        let deep = (0..6).fold(parent.path().to_owned(), |path, _| {
            path.join("x".repeat(60))
        });
        let folder = deep.join("data");
        create_private_folder(&folder).unwrap();
        assert_eq!(distrust(&folder).unwrap(), None);
        std::fs::write(folder.join("file"), "x").unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_others_can_write_to_is_named_with_a_remedy() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let all = std::fs::Permissions::from_mode(0o777);
        std::fs::set_permissions(folder.path(), all).unwrap();
        let why = distrust(folder.path()).unwrap().unwrap();
        assert_eq!(why.to_string(), "others can write to it");
        assert!(remedy(folder.path()).contains("chmod go-w"));
    }

    fn shell() -> [&'static str; 2] {
        if cfg!(windows) {
            ["cmd", "/c"]
        } else {
            ["sh", "-c"]
        }
    }
}
