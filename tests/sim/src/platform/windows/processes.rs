//! Processes and job objects.

use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle, RawHandle};
use std::path::{Path, PathBuf};
use std::ptr::null;

use windows_sys::Win32::Foundation::{HANDLE, INVALID_HANDLE_VALUE, WAIT_TIMEOUT};
use windows_sys::Win32::System::Diagnostics::ToolHelp::{
    CreateToolhelp32Snapshot, PROCESSENTRY32W, Process32FirstW, Process32NextW, TH32CS_SNAPPROCESS,
};
use windows_sys::Win32::System::JobObjects::{
    AssignProcessToJobObject, CreateJobObjectW, JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE,
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION, JobObjectBasicProcessIdList,
    JobObjectExtendedLimitInformation, QueryInformationJobObject, SetInformationJobObject,
    TerminateJobObject,
};
use windows_sys::Win32::System::Threading::{
    OpenProcess, PROCESS_ACCESS_RIGHTS, PROCESS_NAME_WIN32, PROCESS_QUERY_LIMITED_INFORMATION,
    PROCESS_SUSPEND_RESUME, PROCESS_SYNCHRONIZE, PROCESS_TERMINATE, QueryFullProcessImageNameW,
    TerminateProcess, WaitForSingleObject,
};

/// Most processes of one container that are listed.
const MOST_PROCESSES: usize = 4096;
/// Longest path of an executable, in UTF-16 units.
const LONGEST_PATH: usize = 32_768;

#[link(name = "ntdll")]
unsafe extern "system" {
    fn NtSuspendProcess(process: HANDLE) -> i32;
    fn NtResumeProcess(process: HANDLE) -> i32;
}

/// A job object whose processes end when its last handle is closed.
pub fn new_job() -> io::Result<OwnedHandle> {
    // SAFETY: neither attributes nor a name are needed; the handle that comes back is ours.
    let job = unsafe {
        let job = CreateJobObjectW(null(), null());
        if job.is_null() {
            return Err(io::Error::last_os_error());
        }
        OwnedHandle::from_raw_handle(job)
    };
    let mut limits = JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default();
    limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
    let size = u32::try_from(size_of_val(&limits)).unwrap_or_default();
    // SAFETY: `limits` is of the class that is named, and of the size that is told.
    let set = unsafe {
        SetInformationJobObject(
            job.as_raw_handle(),
            JobObjectExtendedLimitInformation,
            (&raw const limits).cast(),
            size,
        )
    };
    if set == 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(job)
    }
}

/// Puts a process that has not run yet into a job.
pub fn assign(job: &OwnedHandle, process: RawHandle) -> io::Result<()> {
    // SAFETY: both handles are open.
    if unsafe { AssignProcessToJobObject(job.as_raw_handle(), process) } == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Lets a suspended process run.
pub fn resume(process: RawHandle) {
    // SAFETY: the handle is open.
    unsafe { NtResumeProcess(process) };
}

/// Live processes of a job.
pub fn in_job(job: &OwnedHandle) -> Vec<u32> {
    // Two counts of 32 bits, then a list of ids as wide as a pointer.
    let mut list = vec![0usize; MOST_PROCESSES + 1];
    let size = u32::try_from(size_of_val(list.as_slice())).unwrap_or_default();
    let class = JobObjectBasicProcessIdList;
    // SAFETY: `list` is writable for `size` bytes and aligned for ids.
    let told = unsafe {
        QueryInformationJobObject(
            job.as_raw_handle(),
            class,
            list.as_mut_ptr().cast(),
            size,
            std::ptr::null_mut(),
        )
    };
    if told == 0 {
        return Vec::new();
    }
    let counts = list[0].to_ne_bytes();
    let listed = u32::from_ne_bytes([counts[4], counts[5], counts[6], counts[7]]);
    let listed = usize::try_from(listed)
        .unwrap_or_default()
        .min(MOST_PROCESSES);
    list[1..=listed]
        .iter()
        .filter_map(|&pid| u32::try_from(pid).ok())
        .collect()
}

/// Ends all processes of a job.
pub fn terminate_job(job: &OwnedHandle, code: u32) {
    // SAFETY: the handle is open.
    unsafe { TerminateJobObject(job.as_raw_handle(), code) };
}

fn open(pid: u32, rights: PROCESS_ACCESS_RIGHTS) -> Option<OwnedHandle> {
    // SAFETY: any pid may be asked for; a handle that comes back is ours.
    unsafe {
        let handle = OpenProcess(rights, 0, pid);
        (!handle.is_null()).then(|| OwnedHandle::from_raw_handle(handle))
    }
}

/// Ends a process with an exit code.
pub fn terminate(pid: u32, code: u32) {
    if let Some(process) = open(pid, PROCESS_TERMINATE) {
        // SAFETY: the handle is open, with the right that is needed.
        unsafe { TerminateProcess(process.as_raw_handle(), code) };
    }
}

/// Ends a process at once.
pub fn kill_process(pid: u32) {
    terminate(pid, 1);
}

/// Holds a process, or lets it go on.
pub fn suspend_or_resume(pid: u32, suspend: bool) {
    if let Some(process) = open(pid, PROCESS_SUSPEND_RESUME) {
        // SAFETY: the handle is open, with the right that is needed.
        unsafe {
            if suspend {
                NtSuspendProcess(process.as_raw_handle());
            } else {
                NtResumeProcess(process.as_raw_handle());
            }
        }
    }
}

/// Whether a process is there and has not ended.
pub fn process_is_alive(pid: u32) -> bool {
    open(pid, PROCESS_SYNCHRONIZE).is_some_and(|process| {
        // SAFETY: the handle is open, with the right that is needed.
        unsafe { WaitForSingleObject(process.as_raw_handle(), 0) == WAIT_TIMEOUT }
    })
}

/// Every process that runs `exe`.
pub fn processes_of_executable(exe: &Path) -> Vec<u32> {
    // `canonicalize` gives the verbatim form, the system the usual one.
    let plain = |path: &Path| {
        let text = path.to_string_lossy().to_lowercase();
        text.strip_prefix(r"\\?\")
            .map_or(text.clone(), str::to_owned)
    };
    let wanted = plain(exe);
    all()
        .into_iter()
        .filter(|&pid| image(pid).is_some_and(|path| plain(&path) == wanted))
        .collect()
}

fn all() -> Vec<u32> {
    let mut pids = Vec::new();
    // SAFETY: the handle that comes back is ours; `entry` tells its own size, as the calls demand.
    unsafe {
        let snapshot = CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0);
        if snapshot == INVALID_HANDLE_VALUE {
            return pids;
        }
        let snapshot = OwnedHandle::from_raw_handle(snapshot);
        let mut entry = PROCESSENTRY32W {
            dwSize: u32::try_from(size_of::<PROCESSENTRY32W>()).unwrap_or_default(),
            ..Default::default()
        };
        let mut more = Process32FirstW(snapshot.as_raw_handle(), &raw mut entry);
        while more != 0 {
            pids.push(entry.th32ProcessID);
            more = Process32NextW(snapshot.as_raw_handle(), &raw mut entry);
        }
    }
    pids
}

fn image(pid: u32) -> Option<PathBuf> {
    let process = open(pid, PROCESS_QUERY_LIMITED_INFORMATION)?;
    let mut path = vec![0u16; LONGEST_PATH];
    let mut length = u32::try_from(path.len()).unwrap_or_default();
    // SAFETY: the handle is open; `path` is writable for as many units as `length` tells.
    let told = unsafe {
        QueryFullProcessImageNameW(
            process.as_raw_handle(),
            PROCESS_NAME_WIN32,
            path.as_mut_ptr(),
            &raw mut length,
        )
    };
    let length = usize::try_from(length).ok()?;
    (told != 0).then(|| PathBuf::from(String::from_utf16_lossy(&path[..length])))
}
