//! Names of well-known exit codes, so that a status says STATUS_ACCESS_VIOLATION and not only
//! 3221225477.
//!
//! NTSTATUS values: [MS-ERREF] 2.3.1; Win32 values: [MS-ERREF] 2.2.
//!
//! [MS-ERREF]: https://learn.microsoft.com/openspecs/windows_protocols/ms-erref/

/// The name of a well-known Windows exit code, from the range of an unsigned 32-bit number.
///
/// Small numbers are left alone: a program's own exit code 5 is not ERROR_ACCESS_DENIED.
pub fn exit_code_name(code: i64) -> Option<&'static str> {
    let code = u32::try_from(code).ok()?;
    NAMES
        .iter()
        .find(|(known, _)| *known == code)
        .map(|(_, name)| *name)
}

const NAMES: &[(u32, &str)] = &[
    // ERROR_PROCESS_ABORTED: also what a container removed by force ends with.
    (0x0000_042B, "ERROR_PROCESS_ABORTED"),
    (0x4000_0015, "STATUS_FATAL_APP_EXIT"),
    (0x8000_0003, "STATUS_BREAKPOINT"),
    (0xC000_0005, "STATUS_ACCESS_VIOLATION"),
    (0xC000_0006, "STATUS_IN_PAGE_ERROR"),
    (0xC000_0008, "STATUS_INVALID_HANDLE"),
    (0xC000_000D, "STATUS_INVALID_PARAMETER"),
    (0xC000_0017, "STATUS_NO_MEMORY"),
    (0xC000_001D, "STATUS_ILLEGAL_INSTRUCTION"),
    (0xC000_0022, "STATUS_ACCESS_DENIED"),
    (0xC000_0025, "STATUS_NONCONTINUABLE_EXCEPTION"),
    (0xC000_007B, "STATUS_INVALID_IMAGE_FORMAT"),
    (0xC000_0094, "STATUS_INTEGER_DIVIDE_BY_ZERO"),
    (0xC000_0096, "STATUS_PRIVILEGED_INSTRUCTION"),
    (0xC000_009A, "STATUS_INSUFFICIENT_RESOURCES"),
    (0xC000_00FD, "STATUS_STACK_OVERFLOW"),
    (0xC000_0135, "STATUS_DLL_NOT_FOUND"),
    (0xC000_0138, "STATUS_ORDINAL_NOT_FOUND"),
    (0xC000_0139, "STATUS_ENTRYPOINT_NOT_FOUND"),
    (0xC000_013A, "STATUS_CONTROL_C_EXIT"),
    (0xC000_0142, "STATUS_DLL_INIT_FAILED"),
    (0xC000_0374, "STATUS_HEAP_CORRUPTION"),
    (0xC000_0409, "STATUS_STACK_BUFFER_OVERRUN"),
    (0xC000_0417, "STATUS_INVALID_CRUNTIME_PARAMETER"),
    (0xC000_0420, "STATUS_ASSERTION_FAILURE"),
    (0xC000_070A, "STATUS_THREADPOOL_HANDLE_EXCEPTION"),
];
