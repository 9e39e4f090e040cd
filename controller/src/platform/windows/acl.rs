//! Access control lists: a folder for SYSTEM and Administrators alone, and whether one is that.

use std::ffi::c_void;
use std::io;
use std::os::windows::ffi::OsStrExt;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::Path;
use std::ptr::null_mut;

use windows_sys::Win32::Foundation::{ERROR_ALREADY_EXISTS, ERROR_SUCCESS, LocalFree};
use windows_sys::Win32::Security::Authorization::{
    ConvertSidToStringSidW, ConvertStringSecurityDescriptorToSecurityDescriptorW,
    GetNamedSecurityInfoW, SDDL_REVISION_1, SE_FILE_OBJECT,
};
use windows_sys::Win32::Security::{
    ACCESS_ALLOWED_ACE, ACE_HEADER, ACL, DACL_SECURITY_INFORMATION, GetAce, GetTokenInformation,
    OWNER_SECURITY_INFORMATION, PSECURITY_DESCRIPTOR, PSID, SECURITY_ATTRIBUTES, TOKEN_QUERY,
    TOKEN_USER, TokenUser,
};
use windows_sys::Win32::Storage::FileSystem::{
    CreateDirectoryW, DELETE, FILE_APPEND_DATA, FILE_DELETE_CHILD, FILE_WRITE_DATA, WRITE_DAC,
    WRITE_OWNER,
};
use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleW, GetProcAddress};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

use super::{os_error, wide};
use crate::platform::Distrust;

/// Administrators own it; they and SYSTEM may do everything, nobody else anything, and nothing is
/// inherited from above.
const PRIVATE: &str = "O:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)";
/// SIDs that may write and own: SYSTEM, Administrators, TrustedInstaller.
const TRUSTED: [&str; 3] = ["S-1-5-18", "S-1-5-32-544", TRUSTED_INSTALLER];
const TRUSTED_INSTALLER: &str = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464";
/// Any of these lets a file be put there, changed or replaced.
const WRITES: u32 = FILE_WRITE_DATA
    | FILE_APPEND_DATA
    | FILE_DELETE_CHILD
    | DELETE
    | WRITE_DAC
    | WRITE_OWNER
    | GENERIC_WRITE_OR_ALL;
const GENERIC_WRITE_OR_ALL: u32 = 0x4000_0000 | 0x1000_0000;
const ACCESS_ALLOWED_ACE_TYPE: u8 = 0;
const INHERIT_ONLY_ACE: u8 = 8;
/// The longest path that calls take without the prefix below; a folder's has room for a file name.
const LONGEST: usize = 247;

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
    let wide_path = terminated(path);
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

pub fn distrust(path: &Path) -> io::Result<Option<Distrust>> {
    let wide_path = terminated(path);
    let mut acl: *mut ACL = null_mut();
    let mut owner: PSID = null_mut();
    let mut descriptor: PSECURITY_DESCRIPTOR = null_mut();
    // SAFETY: the path is terminated and the results outlive the call.
    let code = unsafe {
        GetNamedSecurityInfoW(
            wide_path.as_ptr(),
            SE_FILE_OBJECT,
            DACL_SECURITY_INFORMATION | OWNER_SECURITY_INFORMATION,
            &mut owner,
            null_mut(),
            &mut acl,
            null_mut(),
            &mut descriptor,
        )
    };
    if code != ERROR_SUCCESS {
        return Err(os_error(code));
    }
    // SAFETY: both lie within `descriptor`, which is freed only after the last look at them.
    let found = unsafe { look(owner, acl) };
    // SAFETY: the descriptor was allocated by the call above and is not used again.
    unsafe { LocalFree(descriptor) };
    found
}

/// # Safety
/// `owner` must point to a valid SID, and `acl` to a valid list or nowhere.
unsafe fn look(owner: PSID, acl: *mut ACL) -> io::Result<Option<Distrust>> {
    // SAFETY: by this function's contract.
    let name = unsafe { sid_text(owner) }?;
    if !is_trusted(&name)? {
        return Ok(Some(Distrust::Owner(name)));
    }
    if acl.is_null() {
        // No list at all means that everybody may do everything.
        return Ok(Some(Distrust::Writer("S-1-1-0".into())));
    }
    // SAFETY: by this function's contract.
    Ok(unsafe { writer(acl) }?.map(Distrust::Writer))
}

/// Who may write without being trusted.
///
/// # Safety
/// `acl` must point to a valid access control list.
unsafe fn writer(acl: *mut ACL) -> io::Result<Option<String>> {
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
        if mask & WRITES == 0 {
            continue;
        }
        // SAFETY: as above.
        let name = unsafe { sid_text(sid.cast()) }?;
        if !is_trusted(&name)? {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

fn is_trusted(sid: &str) -> io::Result<bool> {
    Ok(TRUSTED.contains(&sid) || (under_wine() && sid == own_user()?))
}

/// Whether this is wine, where every file is owned by the one user that there is.
fn under_wine() -> bool {
    // SAFETY: both names are terminated; ntdll is in every process and stays there.
    unsafe {
        let ntdll = GetModuleHandleW(wide("ntdll.dll").as_ptr());
        GetProcAddress(ntdll, c"wine_get_version".as_ptr().cast()).is_some()
    }
}

/// The path as calls take it whatever its length, with its terminator.
fn terminated(path: &Path) -> Vec<u16> {
    let plain: Vec<u16> = path.as_os_str().encode_wide().collect();
    let of_drive = plain.get(1) == Some(&u16::from(b':'));
    let prefix = if of_drive && plain.len() > LONGEST {
        r"\\?\"
    } else {
        ""
    };
    // What follows the prefix is taken as it is: no slash is turned round.
    let units = plain
        .into_iter()
        .map(|unit| if unit == 0x2F { 0x5C } else { unit });
    prefix.encode_utf16().chain(units).chain([0]).collect()
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

/// The SID of the user that this process runs as.
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
