//! Handles and strings as Windows wants them.

use std::ffi::OsStr;
use std::fs::File;
use std::os::windows::ffi::OsStrExt;
use std::os::windows::io::AsRawHandle;
use std::ptr::{null, null_mut};

use windows_sys::Win32::Foundation::{
    CloseHandle, HANDLE, HANDLE_FLAG_INHERIT, INVALID_HANDLE_VALUE, SetHandleInformation,
};
use windows_sys::Win32::System::Console::{
    GetStdHandle, STD_ERROR_HANDLE, STD_HANDLE, STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, SetStdHandle,
};
use windows_sys::Win32::System::IO::DeviceIoControl;
use windows_sys::Win32::System::Ioctl::FSCTL_SET_SPARSE;

/// `text` in UTF-16, with a zero at its end.
pub fn wide(text: &OsStr) -> Vec<u16> {
    text.encode_wide().chain([0]).collect()
}

fn standard(which: STD_HANDLE) -> Option<HANDLE> {
    // SAFETY: any value of `which` is allowed.
    let handle = unsafe { GetStdHandle(which) };
    (!handle.is_null() && handle != INVALID_HANDLE_VALUE).then_some(handle)
}

/// Says whether a process that we start inherits our standard handles; returns the values of
/// output and error.
pub fn set_standard_handles_inheritable(inherit: bool) -> String {
    for which in [STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, STD_ERROR_HANDLE] {
        if let Some(handle) = standard(which) {
            let keep = inherit && which != STD_INPUT_HANDLE;
            let flag = if keep { HANDLE_FLAG_INHERIT } else { 0 };
            // SAFETY: the handle is open; a failure changes nothing.
            unsafe { SetHandleInformation(handle, HANDLE_FLAG_INHERIT, flag) };
        }
    }
    let value = |which| standard(which).map_or(0, |handle| handle as usize);
    format!("{},{}", value(STD_OUTPUT_HANDLE), value(STD_ERROR_HANDLE))
}

/// Closes our standard output, so that who reads from it comes to its end.
pub fn close_standard_output() {
    if let Some(handle) = standard(STD_OUTPUT_HANDLE) {
        // SAFETY: the standard library looks the handle up anew for each write, and finds none.
        unsafe {
            SetStdHandle(STD_OUTPUT_HANDLE, null_mut());
            CloseHandle(handle);
        }
    }
}

/// Asks for a file's holes not to take room; a file system that cannot does not matter.
pub fn set_sparse(file: &File) {
    let mut returned = 0;
    // SAFETY: the handle is open, the call takes no input and gives no output but the count.
    unsafe {
        DeviceIoControl(
            file.as_raw_handle(),
            FSCTL_SET_SPARSE,
            null(),
            0,
            null_mut(),
            0,
            &raw mut returned,
            null_mut(),
        );
    }
}
