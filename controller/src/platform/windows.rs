//! Windows: process handles, a volatile registry key as the boot's identity, ACLs.

use std::ffi::c_void;
use std::io;
use std::os::windows::ffi::OsStrExt;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::Path;
use std::ptr::{null, null_mut};

use jiff::Timestamp;
use tokio::sync::oneshot;
use windows_sys::Win32::Foundation::{
    ERROR_ALREADY_EXISTS, ERROR_INVALID_PARAMETER, ERROR_SUCCESS, FILETIME, HANDLE, LocalFree,
};
use windows_sys::Win32::Security::Authorization::{
    ConvertSidToStringSidW, ConvertStringSecurityDescriptorToSecurityDescriptorW,
    GetNamedSecurityInfoW, SDDL_REVISION_1, SE_FILE_OBJECT,
};
use windows_sys::Win32::Security::{
    ACCESS_ALLOWED_ACE, ACE_HEADER, ACL, DACL_SECURITY_INFORMATION, GetAce, GetTokenInformation,
    PSECURITY_DESCRIPTOR, PSID, SECURITY_ATTRIBUTES, TOKEN_QUERY, TOKEN_USER, TokenUser,
};
use windows_sys::Win32::Storage::FileSystem::{
    CreateDirectoryW, FILE_APPEND_DATA, FILE_WRITE_DATA,
};
use windows_sys::Win32::System::Registry::{
    HKEY, HKEY_LOCAL_MACHINE, KEY_READ, KEY_WRITE, REG_OPTION_VOLATILE, REG_SZ, RRF_RT_REG_SZ,
    RegCloseKey, RegCreateKeyExW, RegGetValueW, RegSetValueExW,
};
use windows_sys::Win32::System::SystemInformation::GetSystemTimeAsFileTime;
use windows_sys::Win32::System::Threading::{
    GetCurrentProcess, GetExitCodeProcess, GetProcessTimes, INFINITE, OpenProcess,
    OpenProcessToken, PROCESS_QUERY_LIMITED_INFORMATION, PROCESS_SYNCHRONIZE,
    RegisterWaitForSingleObject, UnregisterWaitEx, WT_EXECUTEONLYONCE,
};

/// 100 ns units between 1601, where Windows counts from, and 1970.
const UNIX_EPOCH: u64 = 116_444_736_000_000_000;
/// SYSTEM and Administrators may do everything, nobody else anything; nothing is inherited.
const PRIVATE: &str = "D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)";
/// SIDs that may write, with the process' own: SYSTEM, Administrators, TrustedInstaller, and the
/// creator-owner template.
const TRUSTED: [&str; 4] = ["S-1-5-18", "S-1-5-32-544", "S-1-3-0", TRUSTED_INSTALLER];
const TRUSTED_INSTALLER: &str = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464";
const GENERIC_WRITE_OR_ALL: u32 = 0x4000_0000 | 0x1000_0000;
const WRITE_DAC_OR_OWNER: u32 = 0x000C_0000;
const ACCESS_ALLOWED_ACE_TYPE: u8 = 0;
const INHERIT_ONLY_ACE: u8 = 8;

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

/// A value in a volatile key: it goes when the system restarts, as runhcs' own state does.
pub fn boot_id() -> io::Result<String> {
    let key = VolatileKey::open("SOFTWARE\\hcs-operator\\boot")?;
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
    key.write("id", &id)?;
    Ok(key.read("id").unwrap_or(id))
}

struct VolatileKey(HKEY);

impl VolatileKey {
    fn open(path: &str) -> io::Result<Self> {
        let mut key = null_mut();
        // SAFETY: the path is a terminated string and `key` outlives the call.
        let code = unsafe {
            RegCreateKeyExW(
                HKEY_LOCAL_MACHINE,
                wide(path).as_ptr(),
                0,
                null(),
                REG_OPTION_VOLATILE,
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

    fn write(&self, name: &str, value: &str) -> io::Result<()> {
        let data = wide(value);
        let bytes = u32::try_from(data.len() * 2).unwrap_or(u32::MAX);
        // SAFETY: the key is open, the name terminated, and `bytes` is the data's size.
        let code = unsafe {
            RegSetValueExW(
                self.0,
                wide(name).as_ptr(),
                0,
                REG_SZ,
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

impl Drop for VolatileKey {
    fn drop(&mut self) {
        // SAFETY: the key is open and not used again.
        unsafe { RegCloseKey(self.0) };
    }
}

pub fn os_build() -> String {
    let version = windows_version::OsVersion::current();
    let (major, minor, build) = (version.major, version.minor, version.build);
    let revision = windows_version::revision();
    format!("{major}.{minor}.{build}.{revision}")
}

pub fn create_private_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        std::fs::create_dir_all(parent)?;
    }
    let mut descriptor: PSECURITY_DESCRIPTOR = null_mut();
    // SAFETY: the SDDL text is terminated and `descriptor` outlives the call.
    let ok = unsafe {
        ConvertStringSecurityDescriptorToSecurityDescriptorW(
            wide(PRIVATE).as_ptr(),
            SDDL_REVISION_1,
            &mut descriptor,
            null_mut(),
        )
    };
    if ok == 0 {
        return Err(io::Error::last_os_error());
    }
    let attributes = SECURITY_ATTRIBUTES {
        nLength: u32::try_from(size_of::<SECURITY_ATTRIBUTES>()).unwrap_or_default(),
        lpSecurityDescriptor: descriptor,
        bInheritHandle: 0,
    };
    let wide_path: Vec<u16> = path.as_os_str().encode_wide().chain([0]).collect();
    // SAFETY: the path is terminated and the descriptor is valid until it is freed below.
    let made = unsafe { CreateDirectoryW(wide_path.as_ptr(), &attributes) };
    let error = io::Error::last_os_error();
    // SAFETY: the descriptor was allocated by the conversion and is not used again.
    unsafe { LocalFree(descriptor) };
    let exists = error.raw_os_error() == i32::try_from(ERROR_ALREADY_EXISTS).ok();
    if made != 0 || exists {
        Ok(())
    } else {
        Err(error)
    }
}

pub fn others_can_write(path: &Path) -> io::Result<bool> {
    let wide_path: Vec<u16> = path.as_os_str().encode_wide().chain([0]).collect();
    let mut acl: *mut ACL = null_mut();
    let mut descriptor: PSECURITY_DESCRIPTOR = null_mut();
    // SAFETY: the path is terminated and both results outlive the call.
    let code = unsafe {
        GetNamedSecurityInfoW(
            wide_path.as_ptr(),
            SE_FILE_OBJECT,
            DACL_SECURITY_INFORMATION,
            null_mut(),
            null_mut(),
            &mut acl,
            null_mut(),
            &mut descriptor,
        )
    };
    if code != ERROR_SUCCESS {
        return Err(os_error(code));
    }
    // SAFETY: `acl` lies within `descriptor`, which is freed only after the last look at it. A
    // null list means that everybody may do everything.
    let open = unsafe { acl.is_null() || acl_lets_others_write(acl)? };
    // SAFETY: the descriptor was allocated by the call above and is not used again.
    unsafe { LocalFree(descriptor) };
    Ok(open)
}

/// # Safety
/// `acl` must point to a valid access control list.
unsafe fn acl_lets_others_write(acl: *mut ACL) -> io::Result<bool> {
    // SAFETY: by this function's contract.
    let count = u32::from(unsafe { (*acl).AceCount });
    for index in 0..count {
        let mut ace: *mut c_void = null_mut();
        // SAFETY: the list is valid and `index` is below its count.
        if unsafe { GetAce(acl, index, &mut ace) } == 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: every entry begins with a header.
        let header = unsafe { *ace.cast::<ACE_HEADER>() };
        let inherit_only = header.AceFlags & INHERIT_ONLY_ACE != 0;
        if header.AceType != ACCESS_ALLOWED_ACE_TYPE || inherit_only {
            continue;
        }
        let allowed = ace.cast::<ACCESS_ALLOWED_ACE>();
        // SAFETY: the type says that the entry is an ACCESS_ALLOWED_ACE, whose SID starts at
        // `SidStart`.
        let (mask, sid) = unsafe { ((*allowed).Mask, &raw mut (*allowed).SidStart) };
        let writes = FILE_WRITE_DATA | FILE_APPEND_DATA | GENERIC_WRITE_OR_ALL | WRITE_DAC_OR_OWNER;
        // SAFETY: as above.
        if mask & writes != 0 && !unsafe { is_trusted(sid.cast()) }? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// # Safety
/// `sid` must point to a valid SID.
unsafe fn is_trusted(sid: PSID) -> io::Result<bool> {
    // SAFETY: by this function's contract.
    let name = unsafe { sid_text(sid) }?;
    Ok(TRUSTED.contains(&name.as_str()) || name == own_user()?)
}

/// # Safety
/// `sid` must point to a valid SID.
unsafe fn sid_text(sid: PSID) -> io::Result<String> {
    let mut text: *mut u16 = null_mut();
    // SAFETY: by this function's contract; `text` outlives the call.
    if unsafe { ConvertSidToStringSidW(sid, &mut text) } == 0 {
        return Err(io::Error::last_os_error());
    }
    let mut length = 0;
    // SAFETY: the text is terminated, and freed only after it was copied.
    unsafe {
        while *text.add(length) != 0 {
            length += 1;
        }
        let name = String::from_utf16_lossy(std::slice::from_raw_parts(text, length));
        LocalFree(text.cast());
        Ok(name)
    }
}

/// The SID of the user that this process runs as: what it owns itself, nobody else has opened.
fn own_user() -> io::Result<String> {
    let mut token = null_mut();
    // SAFETY: the pseudo handle of this process needs no closing, and `token` outlives the call.
    if unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &mut token) } == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the token is open and nobody else owns it.
    let token = unsafe { OwnedHandle::from_raw_handle(token) };
    // The structure and the SID behind it, which is 68 bytes at most; of words, for its alignment.
    let mut user = [0_usize; 16];
    let mut needed = 0;
    // SAFETY: the token is open, and the buffer is as long as is said.
    let ok = unsafe {
        GetTokenInformation(
            token.as_raw_handle(),
            TokenUser,
            user.as_mut_ptr().cast(),
            u32::try_from(size_of_val(&user)).unwrap_or_default(),
            &mut needed,
        )
    };
    if ok == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has filled in a TOKEN_USER, whose SID lies in the same buffer.
    unsafe { sid_text((*user.as_ptr().cast::<TOKEN_USER>()).User.Sid) }
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
