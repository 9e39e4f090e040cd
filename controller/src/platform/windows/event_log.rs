//! The Windows event log: what an administrator must see without knowing where our log is.

use std::ptr::{null, null_mut};

use windows_sys::Win32::System::EventLog::{
    DeregisterEventSource, EVENTLOG_ERROR_TYPE, EVENTLOG_INFORMATION_TYPE, RegisterEventSourceW,
    ReportEventW,
};

use super::wide;

/// How grave it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gravity {
    /// For information.
    Information,
    /// An error.
    Error,
}

/// Writes one event under `source`. A log that cannot be written to is no reason to stop.
pub fn report(source: &str, gravity: Gravity, text: &str) {
    let (kind, id) = match gravity {
        Gravity::Information => (EVENTLOG_INFORMATION_TYPE, 1),
        Gravity::Error => (EVENTLOG_ERROR_TYPE, 2),
    };
    let message = wide(text);
    let strings = [message.as_ptr()];
    // SAFETY: all texts are terminated and outlive the calls, one string is announced and given,
    // and the handle is closed once.
    unsafe {
        let log = RegisterEventSourceW(null(), wide(source).as_ptr());
        if log.is_null() {
            tracing::warn!(error = %std::io::Error::last_os_error(), "no event log");
            return;
        }
        let written = ReportEventW(log, kind, 0, id, null_mut(), 1, 0, strings.as_ptr(), null());
        if written == 0 {
            tracing::warn!(error = %std::io::Error::last_os_error(), "no event was written");
        }
        DeregisterEventSource(log);
    }
}
