//! Windows: process handles, the registry, access control lists, the event log, services.

use std::fs::{File, TryLockError};
use std::io;
use std::time::Duration;

use windows_sys::Win32::Foundation::FILETIME;
use windows_sys::Win32::System::SystemInformation::GetTickCount64;

mod acl;
mod event_log;
mod process;
mod registry;
mod service_main;

pub use acl::{create_private_folder, distrust};
pub use event_log::{Gravity, report};
pub use process::{Handle, started_at};
pub use registry::{add_event_source, boot_id, remove_event_source};
pub use service_main::serve;

/// The system's heap is one for all threads.
pub fn keep_heap_small() {}

/// Windows gives up the locks of a process that has ended when it comes to it: "the time it takes for the operating system
/// to unlock these locks depends upon available system resources" (`LockFileEx`).
pub const LOCK_OUTLIVES: Duration = Duration::from_secs(5);

/// Windows hands a child only the handles that it is meant to have.
pub fn lock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// With the time in which the machine slept, as tokio's clock counts it.
pub fn uptime() -> Duration {
    // SAFETY: it takes no pointers and cannot fail.
    Duration::from_millis(unsafe { GetTickCount64() })
}

pub fn os_build() -> String {
    let version = windows_version::OsVersion::current();
    let (major, minor, build) = (version.major, version.minor, version.build);
    let revision = windows_version::revision();
    format!("{major}.{minor}.{build}.{revision}")
}

fn filetime(time: FILETIME) -> u64 {
    (u64::from(time.dwHighDateTime) << 32) | u64::from(time.dwLowDateTime)
}

fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

fn os_error(code: u32) -> io::Error {
    io::Error::from_raw_os_error(i32::try_from(code).unwrap_or(i32::MAX))
}
