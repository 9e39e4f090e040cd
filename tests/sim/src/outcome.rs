//! What a call printed and how it ended, held back so that faults can change it.

use std::io::Write;

use crate::failure::Failure;

/// Output and exit code of a call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
    /// Exit code, all 32 bits.
    pub exit_code: u32,
}

impl Outcome {
    /// A success without output.
    pub fn silent() -> Self {
        Self::default()
    }

    /// A success with this output.
    pub fn printed(stdout: impl Into<Vec<u8>>) -> Self {
        Self {
            stdout: stdout.into(),
            ..Self::default()
        }
    }

    /// No output of its own, and the exit code of a process.
    pub fn exited(exit_code: u32) -> Self {
        Self {
            exit_code,
            ..Self::default()
        }
    }

    /// A failure: its text, one line break.
    pub fn failed(failure: &Failure) -> Self {
        let mut stderr = failure.to_string().into_bytes();
        stderr.push(b'\n');
        Self {
            stdout: Vec::new(),
            stderr,
            exit_code: failure.exit_code(),
        }
    }

    /// Puts `text` before what is on standard output.
    #[must_use]
    pub fn after(mut self, text: &str) -> Self {
        self.stdout.splice(0..0, text.bytes());
        self
    }

    /// Writes it out. A reader that went away is no error.
    pub fn print(&self) {
        let _ = std::io::stdout().write_all(&self.stdout);
        let _ = std::io::stdout().flush();
        let _ = std::io::stderr().write_all(&self.stderr);
    }
}
