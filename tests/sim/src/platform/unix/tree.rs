//! Finding processes in `/proc`, where the kernel keeps no list of a process's children.

use std::collections::BTreeSet;
use std::fs;

use super::SYSTEM_VARIABLE;

/// So many processes may be made before a container's are sought among all instead of new ones.
const FEW_FORKS: u64 = 8192;

/// A moment in the life of the machine, told by the processes made so far.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    /// Pid of the process that was made last.
    last_pid: u32,
    /// Processes made since boot.
    forks: u64,
}

impl Mark {
    /// This moment.
    pub fn now() -> Self {
        let loads = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let last_pid = loads
            .split_whitespace()
            .last()
            .and_then(|n| n.parse().ok())
            .unwrap_or(0);
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        let forks = stat
            .lines()
            .find_map(|line| line.strip_prefix("processes "))
            .and_then(|n| n.trim().parse().ok())
            .unwrap_or(u64::MAX);
        Self { last_pid, forks }
    }

    /// Whether `pid` can be that of a process made after `self` and not after `now`.
    ///
    /// Pids are given in turn and begin anew at the top, so a range tells as long as few were
    /// made; it spares reading of every process on a machine with thousands.
    fn admits(self, now: Self, pid: u32) -> bool {
        match now.forks.checked_sub(self.forks) {
            Some(made) if made < FEW_FORKS && self.last_pid > 0 => {
                if self.last_pid <= now.last_pid {
                    pid > self.last_pid && pid <= now.last_pid
                } else {
                    pid > self.last_pid || pid <= now.last_pid
                }
            }
            _ => true,
        }
    }
}

/// Pids of all processes.
pub fn all_pids() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok())
        })
}

/// State letter and parent of a process.
fn stat(pid: u32) -> Option<(u8, u32)> {
    let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
    // The program's name, in brackets, may hold anything.
    let after = text.iter().rposition(|&byte| byte == b')')? + 2;
    let mut fields = text.get(after..)?.split(|&byte| byte == b' ');
    let state = *fields.next()?.first()?;
    let parent = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
    Some((state, parent))
}

/// Whether a process is there and neither dead nor a zombie.
pub fn is_alive(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| !matches!(state, b'Z' | b'X'))
}

/// Live descendants of `root`, of those made since `mark`, by pid.
pub fn descendants(root: u32, mark: &Mark) -> Vec<u32> {
    let now = Mark::now();
    let candidates: Vec<(u32, u8, u32)> = all_pids()
        .filter(|&pid| mark.admits(now, pid))
        .filter_map(|pid| stat(pid).map(|(state, parent)| (pid, state, parent)))
        .collect();
    let mut family = vec![root];
    let mut next = 0;
    while next < family.len() {
        let parent = family[next];
        family.extend(candidates.iter().filter(|c| c.2 == parent).map(|c| c.0));
        next += 1;
    }
    let mut alive: Vec<u32> = candidates
        .iter()
        .filter(|(pid, state, _)| !matches!(state, b'Z' | b'X') && family.contains(pid))
        .map(|c| c.0)
        .collect();
    alive.sort_unstable();
    alive
}

/// Whether a live process carries one of `systems` in its environment.
pub fn carries(pid: u32, systems: &BTreeSet<String>) -> bool {
    let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else {
        return false;
    };
    let prefix = format!("{SYSTEM_VARIABLE}=");
    environment
        .split(|&byte| byte == 0)
        .filter_map(|entry| entry.strip_prefix(prefix.as_bytes()))
        .any(|value| std::str::from_utf8(value).is_ok_and(|value| systems.contains(value)))
        && is_alive(pid)
}
