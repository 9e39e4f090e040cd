//! Starting and killing on Windows: without a console window, and of a call that is out of time
//! only runhcs itself is killed. Windows has no process groups that a shim could leave, so a shim
//! that this call has started stays, as it does on Unix; a forced `delete` ends it.
//!
//! runhcs tells its shim the *numbers* of its standard handles, which the shim does not inherit. There such a number
//! means nothing, or whatever the shim has opened itself: if that is the pipe over which `start` waits for the shim's
//! answer, the shim copies the container's streams from and to it, and `start` fails or never returns (seen with v0.11.7
//! under wine). So calls get handles with numbers that no shim comes to.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::fs::FileExt;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::Path;
use std::process::ExitStatus;
use std::ptr::null;
use std::sync::{Mutex, OnceLock, PoisonError};

use tokio::process::{Child, Command};
use windows_sys::Win32::Foundation::{HANDLE, RtlNtStatusToDosError};
use windows_sys::Win32::System::JobObjects::{
    AssignProcessToJobObject, CreateJobObjectW, JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE,
    JOB_OBJECT_LIMIT_SILENT_BREAKAWAY_OK, JOBOBJECT_EXTENDED_LIMIT_INFORMATION,
    JobObjectExtendedLimitInformation, SetInformationJobObject,
};
use windows_sys::Win32::System::Threading::{CREATE_NO_WINDOW, CREATE_SUSPENDED};

use super::Exit;

#[link(name = "ntdll")]
unsafe extern "system" {
    fn NtResumeProcess(process: HANDLE) -> i32;
}

/// A shim has about a hundred handles, and their numbers go up in steps of four.
const BEYOND_SHIMS: usize = 0x800;

pub(super) fn spawn(command: &mut Command, ends_with_caller: bool) -> io::Result<Child> {
    take_low_numbers()?;
    if !ends_with_caller {
        return command.creation_flags(CREATE_NO_WINDOW).spawn();
    }
    // It does nothing before it is in the job, so that none is left at work by a caller that ends in between.
    let flags = CREATE_NO_WINDOW | CREATE_SUSPENDED;
    let child = command.creation_flags(flags).spawn()?;
    let process = child.raw_handle().ok_or(io::ErrorKind::NotFound)?;
    if let Some(job) = job() {
        // SAFETY: both handles are open while they are borrowed. A system that refuses, as one does where a job
        // that this process is in cannot be nested, leaves the call as it would be without a job.
        unsafe { AssignProcessToJobObject(job.as_raw_handle(), process) };
    }
    // SAFETY: the handle of a child has all rights, and is open while the child is borrowed.
    let resumed = unsafe { NtResumeProcess(process) };
    if resumed < 0 {
        // SAFETY: the call looks at its argument alone.
        let code = unsafe { RtlNtStatusToDosError(resumed) };
        return Err(io::Error::from_raw_os_error(code.cast_signed()));
    }
    Ok(child)
}

/// Takes the numbers that a shim's own handles may have, for as long as this process lives, so that what a call inherits
/// has higher ones. The first call takes some hundreds; later ones what was given back in between.
fn take_low_numbers() -> io::Result<()> {
    static TAKEN: Mutex<Vec<File>> = Mutex::new(Vec::new());
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let next = match taken.last() {
            Some(file) => file.try_clone()?,
            None => OpenOptions::new().read(true).open("NUL")?,
        };
        if next.as_raw_handle().addr() >= BEYOND_SHIMS {
            return Ok(());
        }
        taken.push(next);
    }
}

/// The job that ends, with its last handle, what is in it: this process holds the only one. What a process of it starts is
/// not in it, for a shim stays where its caller does not.
fn job() -> Option<&'static OwnedHandle> {
    static JOB: OnceLock<Option<OwnedHandle>> = OnceLock::new();
    JOB.get_or_init(new_job).as_ref()
}

fn new_job() -> Option<OwnedHandle> {
    // SAFETY: neither attributes nor a name are needed; the handle that comes back is ours, and is not inherited.
    let job = unsafe {
        let job = CreateJobObjectW(null(), null());
        (!job.is_null()).then(|| OwnedHandle::from_raw_handle(job))?
    };
    let mut limits = JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default();
    limits.BasicLimitInformation.LimitFlags =
        JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE | JOB_OBJECT_LIMIT_SILENT_BREAKAWAY_OK;
    let size = u32::try_from(size_of_val(&limits)).ok()?;
    // SAFETY: `limits` is of the class that is named, and of the size that is told.
    let set = unsafe {
        SetInformationJobObject(
            job.as_raw_handle(),
            JobObjectExtendedLimitInformation,
            (&raw const limits).cast(),
            size,
        )
    };
    (set != 0).then_some(job)
}

/// Kills the process, if it has not been waited for.
pub(super) fn kill(child: &mut Child) {
    // It fails only if the process has ended, which is what is wanted.
    let _ = child.start_kill();
}

pub(super) fn exit(status: ExitStatus) -> Exit {
    Exit::Code(status.code().unwrap_or_default().cast_unsigned().into())
}

/// Reads at an offset, wherever the file's position is.
pub(super) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    file.seek_read(buffer, offset)
}

/// Could this be started? Windows has no execute permission.
pub(crate) fn is_executable(path: &Path) -> bool {
    path.is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_call_inherits_has_a_number_that_no_shim_comes_to() {
        const NAME: &str =
            "process::platform::tests::what_a_call_inherits_has_a_number_that_no_shim_comes_to";
        const ALONE: &str = "RUNHCS_TESTS_ALONE";
        // In a process of its own: other tests give numbers back at any time.
        if std::env::var_os(ALONE).is_none() {
            let mut alone = std::process::Command::new(std::env::current_exe().unwrap());
            alone.args([NAME, "--exact", "--test-threads=1"]);
            let output = alone.env(ALONE, "yes").output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(said.contains("1 passed"), "{said}");
            return;
        }
        take_low_numbers().unwrap();
        let file = File::open("NUL").unwrap();
        assert!(file.as_raw_handle().addr() >= BEYOND_SHIMS);
    }
}
