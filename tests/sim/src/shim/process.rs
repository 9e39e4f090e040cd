//! From a process in a configuration to one on this machine.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use crate::platform::{ProcessRequest, error_text};
use crate::registry::Record;
use crate::spec::Process;

/// Variables in a process's own environment that say what a signal does to it: `ignore`, or an
/// exit code. The second is the one that the emulation of the Host Compute Service knows.
const ON_SIGNAL: [&str; 2] = ["RUNHCS_SIM_ON_SIGNAL", "WINE_HCS_ON_SIGNAL"];

/// What a signal does to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnSignal {
    /// It is sent: the process's own handlers decide.
    Handle,
    /// Nothing.
    Ignore,
    /// The process ends with this exit code.
    Exit(u32),
}

/// What the init process (number 0) of a container makes of signals.
pub fn answer_to_signals(record: &Record, number: usize) -> OnSignal {
    let process = record.spec.process.as_ref().filter(|_| number == 0);
    let value = process.and_then(|process| {
        let mut pairs = process.env.iter().filter_map(|entry| entry.split_once('='));
        pairs
            .find(|(name, _)| ON_SIGNAL.contains(name))
            .map(|(_, value)| value)
    });
    match value {
        None => OnSignal::Handle,
        Some("ignore") => OnSignal::Ignore,
        Some(code) => code.parse().map_or(OnSignal::Handle, OnSignal::Exit),
    }
}

/// What to ask the platform for. An error is Windows' text.
pub fn request(
    record: &Record,
    process: &Process,
    stdio_of: Option<u32>,
) -> Result<ProcessRequest, String> {
    let args: Vec<OsString> = if process.command_line.is_empty() {
        process.args.iter().map(OsString::from).collect()
    } else {
        split_command_line(&process.command_line)
            .iter()
            .map(OsString::from)
            .collect()
    };
    if args.first().is_none_or(|program| program.is_empty()) {
        return Err("The virtual machine or container JSON document is invalid.".to_owned());
    }
    let mut env: Vec<(String, String)> = Vec::new();
    if !record.spec.hostname.is_empty() {
        env.push(("COMPUTERNAME".to_owned(), record.spec.hostname.clone()));
    }
    let given = process.env.iter().filter_map(|entry| entry.split_once('='));
    // hcsshim drops variables without a value.
    env.extend(
        given
            .filter(|(_, value)| !value.is_empty())
            .map(|(n, v)| (n.to_owned(), v.to_owned())),
    );
    let cwd = working_folder(record, &process.cwd).map_err(|error| {
        // The program is looked up first.
        if is_there(Path::new(&args[0])) {
            error
        } else {
            NOT_FOUND.to_owned()
        }
    })?;
    Ok(ProcessRequest {
        args,
        env,
        cwd,
        stdio_of,
    })
}

/// Windows' words for a program that is not there.
const NOT_FOUND: &str = "The system cannot find the file specified.";

/// Whether a program is there: where it says, or on PATH.
fn is_there(program: &Path) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = std::env::split_paths(&path);
    program.is_file() || folders.any(|folder| folder.join(program).is_file())
}

/// The folder a process begins in. Where Windows' folders are not to be had, one such as `C:\`
/// means the bundle's.
fn working_folder(record: &Record, cwd: &str) -> Result<PathBuf, String> {
    let path = Path::new(cwd);
    if !cwd.is_empty() && path.is_dir() {
        return Ok(path.to_owned());
    }
    let of_windows = cwd.contains('\\') || cwd.as_bytes().get(1) == Some(&b':');
    if cwd.is_empty() && cfg!(windows) {
        return Ok(PathBuf::from(r"C:\"));
    }
    if cwd.is_empty() || (of_windows && !cfg!(windows)) {
        let bundle = PathBuf::from(&record.bundle);
        return Ok(if bundle.is_dir() {
            bundle
        } else {
            std::env::temp_dir()
        });
    }
    Err("The directory name is invalid.".to_owned())
}

/// Why a process could not be made, in Windows' words.
pub fn spawn_error(error: &io::Error) -> String {
    const NOT_EXECUTABLE: i32 = 8;
    if cfg!(unix) && error.raw_os_error() == Some(NOT_EXECUTABLE) {
        return "%1 is not a valid Win32 application.".to_owned();
    }
    if error.kind() == io::ErrorKind::NotFound {
        // The standard library looks the program up itself, and says so in its own words.
        return NOT_FOUND.to_owned();
    }
    error_text(error)
}

/// The status with which Windows would say that a process ended as this Unix signal ends one.
pub fn status_of_signal(signal: i32) -> u32 {
    match signal {
        // HUP, INT, QUIT and TERM: STATUS_CONTROL_C_EXIT.
        1..=3 | 15 => 0xC000_013A,
        // ILL: STATUS_ILLEGAL_INSTRUCTION.
        4 => 0xC000_001D,
        // ABRT: STATUS_STACK_BUFFER_OVERRUN, with which programs abort themselves.
        6 => 0xC000_0409,
        // BUS and SEGV: STATUS_ACCESS_VIOLATION.
        7 | 11 => 0xC000_0005,
        // FPE: STATUS_INTEGER_DIVIDE_BY_ZERO.
        8 => 0xC000_0094,
        // KILL, as when an administrator ends a process.
        9 => 1,
        other => 128 + other.unsigned_abs(),
    }
}

/// Takes a Windows command line apart, quotes and backslashes as its programs do.
fn split_command_line(line: &str) -> Vec<String> {
    let mut args = Vec::new();
    let mut arg: Option<String> = None;
    let mut quoted = false;
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            ' ' | '\t' if !quoted => args.extend(arg.take()),
            '"' => {
                quoted = !quoted;
                arg.get_or_insert_default();
            }
            '\\' => {
                let mut backslashes = 1;
                while characters.next_if_eq(&'\\').is_some() {
                    backslashes += 1;
                }
                let arg = arg.get_or_insert_default();
                if characters.peek() == Some(&'"') {
                    arg.push_str(&"\\".repeat(backslashes / 2));
                    if backslashes % 2 == 1 {
                        arg.extend(characters.next());
                    }
                } else {
                    arg.push_str(&"\\".repeat(backslashes));
                }
            }
            other => arg.get_or_insert_default().push(other),
        }
    }
    args.extend(arg);
    args
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines_come_apart_as_on_windows() {
        let args = split_command_line(r#""C:\a b\x.exe" c\d "e \"f\"" "" g\\"h i""#);
        assert_eq!(args, [r"C:\a b\x.exe", r"c\d", r#"e "f""#, "", r"g\h i"]);
    }
}
