//! Values in the registry: the boot's identity, and the name of our source in the event log.

use std::io;
use std::ptr::{null, null_mut};

use windows_sys::Win32::Foundation::{ERROR_SUCCESS, FILETIME};
use windows_sys::Win32::System::Registry::{
    HKEY, HKEY_LOCAL_MACHINE, KEY_READ, KEY_WRITE, REG_EXPAND_SZ, REG_OPTION_NON_VOLATILE,
    REG_OPTION_VOLATILE, REG_SZ, REG_VALUE_TYPE, RRF_RT_REG_SZ, RegCloseKey, RegCreateKeyExW,
    RegDeleteKeyW, RegGetValueW, RegSetValueExW,
};
use windows_sys::Win32::System::SystemInformation::GetSystemTimeAsFileTime;

use super::{filetime, os_error, wide};

/// The messages of `EventCreate.exe` have the ids 1 to 1000, and show what they are given.
const MESSAGES: &str = r"%SystemRoot%\System32\EventCreate.exe";

/// A value in a volatile key: it goes when the system restarts, as runhcs' own state does.
pub fn boot_id() -> io::Result<String> {
    let key = Key::open("SOFTWARE\\hcs-operator\\boot", REG_OPTION_VOLATILE)?;
    if let Some(id) = key.read("id") {
        return Ok(id);
    }
    let mut now = FILETIME {
        dwLowDateTime: 0,
        dwHighDateTime: 0,
    };
    // SAFETY: `now` outlives the call.
    unsafe { GetSystemTimeAsFileTime(&mut now) };
    let id = format!("{:016x}-{:08x}", filetime(now), std::process::id());
    key.write("id", REG_SZ, &id)?;
    Ok(key.read("id").unwrap_or(id))
}

/// Makes a name known as a source of the event log `Application`, so that its messages are shown.
pub fn add_event_source(name: &str) -> io::Result<()> {
    let key = Key::open(&event_source(name), REG_OPTION_NON_VOLATILE)?;
    key.write("EventMessageFile", REG_EXPAND_SZ, MESSAGES)
}

/// Takes the name away again.
pub fn remove_event_source(name: &str) {
    // SAFETY: the key is a predefined one and the path a terminated string.
    unsafe { RegDeleteKeyW(HKEY_LOCAL_MACHINE, wide(&event_source(name)).as_ptr()) };
}

fn event_source(name: &str) -> String {
    format!(r"SYSTEM\CurrentControlSet\Services\EventLog\Application\{name}")
}

struct Key(HKEY);

impl Key {
    fn open(path: &str, options: u32) -> io::Result<Self> {
        let mut key = null_mut();
        // SAFETY: the path is a terminated string and `key` outlives the call.
        let code = unsafe {
            RegCreateKeyExW(
                HKEY_LOCAL_MACHINE,
                wide(path).as_ptr(),
                0,
                null(),
                options,
                KEY_READ | KEY_WRITE,
                null(),
                &mut key,
                null_mut(),
            )
        };
        if code == ERROR_SUCCESS {
            Ok(Self(key))
        } else {
            Err(os_error(code))
        }
    }

    fn read(&self, name: &str) -> Option<String> {
        let mut buffer = [0_u16; 128];
        let mut bytes = u32::try_from(size_of_val(&buffer)).ok()?;
        // SAFETY: the key is open, the name terminated, and `bytes` is the buffer's size.
        let code = unsafe {
            RegGetValueW(
                self.0,
                null(),
                wide(name).as_ptr(),
                RRF_RT_REG_SZ,
                null_mut(),
                buffer.as_mut_ptr().cast(),
                &mut bytes,
            )
        };
        let end = buffer.iter().position(|unit| *unit == 0)?;
        (code == ERROR_SUCCESS && end > 0).then(|| String::from_utf16_lossy(&buffer[..end]))
    }

    fn write(&self, name: &str, kind: REG_VALUE_TYPE, value: &str) -> io::Result<()> {
        let data = wide(value);
        let bytes = u32::try_from(data.len() * 2).unwrap_or(u32::MAX);
        // SAFETY: the key is open, the name terminated, and `bytes` is the data's size.
        let code = unsafe {
            RegSetValueExW(
                self.0,
                wide(name).as_ptr(),
                0,
                kind,
                data.as_ptr().cast(),
                bytes,
            )
        };
        if code == ERROR_SUCCESS {
            Ok(())
        } else {
            Err(os_error(code))
        }
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        // SAFETY: the key is open and not used again.
        unsafe { RegCloseKey(self.0) };
    }
}
