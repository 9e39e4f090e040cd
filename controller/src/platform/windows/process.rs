//! Processes that are not our children: their handles, their start times, their ends.

use std::ffi::c_void;
use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr::null_mut;

use jiff::Timestamp;
use tokio::sync::oneshot;
use windows_sys::Win32::Foundation::{ERROR_INVALID_PARAMETER, FILETIME, HANDLE};
use windows_sys::Win32::System::Threading::{
    GetExitCodeProcess, GetProcessTimes, INFINITE, OpenProcess, PROCESS_QUERY_LIMITED_INFORMATION,
    PROCESS_SYNCHRONIZE, RegisterWaitForSingleObject, UnregisterWaitEx, WT_EXECUTEONLYONCE,
};

use super::filetime;

/// 100 ns units between 1601, where Windows counts from, and 1970.
const UNIX_EPOCH: u64 = 116_444_736_000_000_000;

/// A process handle.
#[derive(Debug)]
pub struct Handle(OwnedHandle);

impl Handle {
    pub fn open(pid: u32) -> io::Result<Option<Self>> {
        let access = PROCESS_SYNCHRONIZE | PROCESS_QUERY_LIMITED_INFORMATION;
        // SAFETY: no pointers are passed; the result is checked before it is owned.
        let handle = unsafe { OpenProcess(access, 0, pid) };
        if handle.is_null() {
            let error = io::Error::last_os_error();
            let none = error.raw_os_error() == i32::try_from(ERROR_INVALID_PARAMETER).ok();
            return if none { Ok(None) } else { Err(error) };
        }
        // SAFETY: the handle is open and nobody else owns it.
        Ok(Some(Self(unsafe { OwnedHandle::from_raw_handle(handle) })))
    }

    /// The creation time as a FILETIME.
    pub fn start_time(&self) -> io::Result<Option<u64>> {
        let zero = FILETIME {
            dwLowDateTime: 0,
            dwHighDateTime: 0,
        };
        let (mut created, mut exited, mut kernel, mut user) = (zero, zero, zero, zero);
        let raw = self.0.as_raw_handle();
        // SAFETY: the handle is open and the four pointers are to FILETIMEs that outlive the call.
        let ok = unsafe { GetProcessTimes(raw, &mut created, &mut exited, &mut kernel, &mut user) };
        if ok == 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Some(filetime(created)))
    }

    pub async fn exited(self) -> io::Result<Option<u32>> {
        let (sender, receiver) = oneshot::channel();
        let wait = Wait::register(&self.0, sender)?;
        // The sender can only be dropped unused when the wait is, which is after this line.
        let _ = receiver.await;
        drop(wait);
        let mut code = 0;
        // SAFETY: the handle is open and `code` outlives the call.
        if unsafe { GetExitCodeProcess(self.0.as_raw_handle(), &mut code) } == 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Some(code))
    }
}

/// A wait registered with the system's thread pool, so that a process costs no thread.
struct Wait {
    handle: HANDLE,
    sender: *mut Option<oneshot::Sender<()>>,
}

// SAFETY: the registration handle may be used from any thread, and `sender` is touched only by the
// callback until `drop` has made sure that no callback runs any more.
unsafe impl Send for Wait {}

impl Wait {
    fn register(process: &OwnedHandle, sender: oneshot::Sender<()>) -> io::Result<Self> {
        let sender = Box::into_raw(Box::new(Some(sender)));
        let mut handle = null_mut();
        // SAFETY: the process handle stays open for longer than the registration (`exited` owns
        // both), and `sender` is freed only in `drop`.
        let ok = unsafe {
            RegisterWaitForSingleObject(
                &mut handle,
                process.as_raw_handle(),
                Some(process_ended),
                sender.cast::<c_void>(),
                INFINITE,
                WT_EXECUTEONLYONCE,
            )
        };
        if ok == 0 {
            let error = io::Error::last_os_error();
            // SAFETY: nothing was registered, so this is the only pointer to the box.
            drop(unsafe { Box::from_raw(sender) });
            return Err(error);
        }
        Ok(Self { handle, sender })
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        const INVALID_HANDLE_VALUE: HANDLE = usize::MAX as HANDLE;
        // SAFETY: INVALID_HANDLE_VALUE makes the call wait until a running callback has ended, so
        // the box is no longer shared when it is freed.
        unsafe {
            UnregisterWaitEx(self.handle, INVALID_HANDLE_VALUE);
            drop(Box::from_raw(self.sender));
        }
    }
}

/// Runs once on a thread of the system's pool when the process has ended.
unsafe extern "system" fn process_ended(context: *mut c_void, _timed_out: bool) {
    // SAFETY: `context` is the box of `Wait::register`, which lives until this has returned.
    let sender = unsafe { (*context.cast::<Option<oneshot::Sender<()>>>()).take() };
    if let Some(sender) = sender {
        let _ = sender.send(());
    }
}

pub fn started_at(start_time: u64) -> Option<Timestamp> {
    let since_1970 = start_time.checked_sub(UNIX_EPOCH)?;
    Timestamp::from_nanosecond(i128::from(since_1970) * 100).ok()
}
