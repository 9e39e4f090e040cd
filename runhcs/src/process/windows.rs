//! Starting and killing on Windows: without a console window, and of a call that is out of time
//! only runhcs itself is killed. Windows has no process groups that a shim could leave, so a shim
//! that this call has started stays, as it does on Unix; a forced `delete` ends it.

use std::fs::File;
use std::io;
use std::os::windows::fs::FileExt;
use std::path::Path;
use std::process::ExitStatus;

use tokio::process::{Child, Command};

use super::Exit;

/// `CREATE_NO_WINDOW` of winbase.h.
const CREATE_NO_WINDOW: u32 = 0x0800_0000;

pub(super) fn configure(command: &mut Command) {
    command.creation_flags(CREATE_NO_WINDOW);
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
