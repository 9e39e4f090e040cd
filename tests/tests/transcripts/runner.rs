//! A Windows machine on which commands are run by a Windows program (`probe.exe serve`), so that each has a standard
//! error of its own. What is started from Linux shares that with wine, which says there what has nothing to do with the
//! command: of a thread that begins while the process ends, for example, "wine client error".

use std::io::{BufReader, Write};
use std::ops::Deref;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};

use hcs_tests::windows::{self, PROBE, Prefix, Toolchain};

use crate::Result;
use crate::patience::line_of;

/// Parts the fields of a command, as `probe.c` says.
const PARTED: &str = "\u{1f}";

/// A Windows machine, and what runs commands there.
pub struct Windows {
    runner: Mutex<Runner>,
    prefix: Prefix,
}

/// A command for a Windows machine.
pub struct Job<'a> {
    /// The Windows executable.
    pub program: &'a Path,
    /// Its arguments.
    pub args: &'a [String],
    /// Where standard output and standard error go; the files are made anew.
    pub files: &'a [PathBuf; 2],
    /// Its current folder.
    pub folder: &'a Path,
    /// A variable that it has beside the machine's own.
    pub variable: Option<(&'a str, &'a str)>,
}

struct Runner {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Windows {
    /// Makes and starts the machine with this folder.
    pub fn new(toolchain: &Toolchain, dir: &Path) -> Result<Self> {
        let prefix = Prefix::new(toolchain, dir)?;
        let mut serve = prefix.command(Path::new(PROBE));
        let mut child = serve
            .arg("serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let output = BufReader::new(output.ok_or("no output")?);
        let runner = Mutex::new(Runner {
            child,
            input,
            output,
        });
        Ok(Self { runner, prefix })
    }

    /// Runs a command to its end, which is told as Linux tells it: eight bits of the exit code.
    pub fn run(&self, job: &Job<'_>) -> Result<ExitStatus> {
        let mut runner = self.runner.lock().unwrap_or_else(PoisonError::into_inner);
        let variable = job.variable.map(|(name, value)| format!("{name}={value}"));
        let line = [
            windows::path(&job.files[0]),
            windows::path(&job.files[1]),
            windows::path(job.folder),
            variable.unwrap_or_default(),
            command_line(job.program, job.args),
        ];
        let input = runner.input.as_mut().ok_or("no input")?;
        writeln!(input, "{}", line.join(PARTED))?;
        let said = line_of(&mut runner.output, &format!("{:?} has ended", job.args))?;
        let code: u32 = said
            .strip_prefix("exit code ")
            .ok_or(said.clone())?
            .parse()?;
        // As wine does it: a failure must not look like success.
        let low = if code == 0 { 0 } else { (code & 0xff).max(1) };
        Ok(ExitStatus::from_raw((low << 8).cast_signed()))
    }
}

impl Deref for Windows {
    type Target = Prefix;

    fn deref(&self) -> &Prefix {
        &self.prefix
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        // At the end of its input it ends.
        self.input.take();
        let _ = self.child.wait();
    }
}

/// A command line that Windows programs take apart into these arguments again.
fn command_line(program: &Path, args: &[String]) -> String {
    let quoted = args.iter().map(|arg| format!(" {}", quoted(arg)));
    format!(
        "\"{}\"{}",
        windows::path(program),
        quoted.collect::<String>()
    )
}

fn quoted(arg: &str) -> String {
    if !arg.is_empty() && !arg.contains([' ', '\t', '"']) {
        return arg.to_owned();
    }
    let (mut text, mut backslashes) = ("\"".to_owned(), 0);
    for character in arg.chars() {
        // Backslashes before a quotation mark count double.
        if character == '"' {
            text += &"\\".repeat(backslashes + 1);
        }
        backslashes = if character == '\\' {
            backslashes + 1
        } else {
            0
        };
        text.push(character);
    }
    text + &"\\".repeat(backslashes) + "\""
}

#[test]
fn arguments_are_quoted_as_windows_programs_expect() {
    for (arg, wanted) in [
        ("", r#""""#),
        (r"a\b\", r"a\b\"),
        (r"a b\", r#""a b\\""#),
        (r#"say "hi\""#, r#""say \"hi\\\"""#),
    ] {
        assert_eq!(quoted(arg), wanted);
    }
}
