//! The client: one method a verb, each one run of runhcs.

use std::path::Path;
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::command::Command;
use crate::error::{CommandLine, Error, ExitCode, OutputError};
use crate::options::{
    CreateOpts, CreateScratchOpts, DeleteOpts, ExecOpts, Format, ResizeTtyOpts, StdioFiles, TtySize,
};
use crate::process::{self, Call, Finished};
use crate::{ContainerState, ErrorKind, Help, Program, Signal};

/// A client of the `runhcs` command line. Each method runs it once.
///
/// The fields are runhcs' global flags, and how it is run. An absent one and an empty one leave
/// the flag out.
///
/// # Deadline
///
/// With `timeout` set, a call that lasts longer is killed and fails with
/// [`ErrorKind::TimedOut`]. Dropping a call's future kills it too. What is killed is runhcs and,
/// on Unix, every process of its own process group; on Windows runhcs alone. A shim is never
/// killed: it has left the group, and may stand for a container that lives. So a `create` that
/// timed out may leave a container behind: look for it with `state`, and remove it with a forced
/// `delete`. Nothing that a call started is touched once runhcs has ended by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Runhcs {
    /// `--debug`: write debug messages to the log.
    pub debug: bool,
    /// `--log`: a file, or a named pipe below `\\.\pipe\ProtectedPrefix\Administrators\`, that
    /// runhcs logs to.
    pub log: Option<String>,
    /// `--log-format`.
    pub log_format: Option<Format>,
    /// `--owner`: the owner property of compute systems that are created.
    pub owner: Option<String>,
    /// `--root`: the registry key below which runhcs keeps its containers. Clients with different
    /// roots do not see each other's.
    pub root: Option<String>,
    /// The executable.
    pub program: Program,
    /// How long a call may take; no limit if absent.
    pub timeout: Option<Duration>,
    /// Have the system kill a call when its caller ends, even by force, so that whoever comes next finds none at work.
    /// As with a deadline, runhcs alone is killed: a shim goes on. On Linux the caller is the thread that polls the call
    /// first, and one of a runtime's threads that ends before the runtime does takes its calls along; other Unix systems
    /// have no such thing.
    pub ends_with_caller: bool,
}

impl Runhcs {
    /// Creates a container from the bundle in a folder. Its init process does not run until
    /// [`start`](Self::start).
    pub async fn create(
        &self,
        id: &str,
        bundle: impl AsRef<Path>,
        opts: &CreateOpts,
    ) -> Result<(), Error> {
        let bundle = bundle.as_ref();
        let command = Command::Create { id, bundle, opts };
        self.succeed(command, &opts.stdio).await.map(drop)
    }

    /// Creates an ext4 formatted scratch disk for a Linux container, of the default size.
    pub async fn create_scratch(&self, destpath: impl AsRef<Path>) -> Result<(), Error> {
        self.create_scratch_with_opts(destpath, &CreateScratchOpts::default())
            .await
    }

    /// Creates an ext4 formatted scratch disk for a Linux container. The file must not exist.
    pub async fn create_scratch_with_opts(
        &self,
        destpath: impl AsRef<Path>,
        opts: &CreateScratchOpts,
    ) -> Result<(), Error> {
        let destpath = destpath.as_ref();
        self.act(Command::CreateScratch { destpath, opts }).await
    }

    /// Deletes a container and what runhcs knows of it.
    pub async fn delete(&self, id: &str, opts: &DeleteOpts) -> Result<(), Error> {
        self.act(Command::Delete { id, opts }).await
    }

    /// Runs another process in a container, as the OCI process JSON in `process_file` has it.
    ///
    /// The exit code is the process's own, 0 if it is detached. runhcs exits with 1 for its own
    /// failures too; they are told from a process's 1 by what runhcs says on stderr, which is
    /// certain unless `opts.stdio.stderr` is a file that the process writes to as well: then
    /// only words that are known to be runhcs' own count as its failure.
    pub async fn exec(
        &self,
        id: &str,
        process_file: impl AsRef<Path>,
        opts: &ExecOpts,
    ) -> Result<ExitCode, Error> {
        let command = Command::Exec {
            id,
            process_file: process_file.as_ref(),
            opts,
        };
        let finished = self.run(command, &opts.stdio).await?;
        let kind = ErrorKind::classify(command.verb(), &finished.stderr);
        let own = match finished.code.get() {
            1 => {
                kind != ErrorKind::Failed
                    || opts.stdio.stderr.is_none() && !finished.stderr.trim().is_empty()
            }
            2 => kind == ErrorKind::Crashed,
            _ => false,
        };
        if own || opts.detach {
            check(command.verb(), finished).map(|finished| finished.code)
        } else {
            Ok(finished.code)
        }
    }

    /// Asks for the help text of the program, or of one of its verbs: what this runhcs can do.
    pub async fn help(&self, verb: Option<&str>) -> Result<Help, Error> {
        let command = Command::Help { verb };
        let finished = self.succeed(command, &StdioFiles::default()).await?;
        Ok(Help::parse(&String::from_utf8_lossy(&finished.stdout)))
    }

    /// Sends a signal to a container's init process. Success means that it was sent.
    pub async fn kill(&self, id: &str, signal: &Signal) -> Result<(), Error> {
        self.act(Command::Kill { id, signal }).await
    }

    /// Lists the containers below this client's root.
    pub async fn list(&self) -> Result<Vec<ContainerState>, Error> {
        self.list_as().await
    }

    /// The same with of each container only what `T` reads of it: with many containers this is the largest answer that
    /// runhcs gives. [`ContainerState`] has the fields.
    pub async fn list_as<T: DeserializeOwned>(&self) -> Result<Vec<T>, Error> {
        let list: Option<Vec<_>> = self.ask(Command::List).await?;
        Ok(list.unwrap_or_default())
    }

    /// Suspends all processes of a container.
    pub async fn pause(&self, id: &str) -> Result<(), Error> {
        self.act(Command::Pause { id }).await
    }

    /// Lists the pids of a container's processes, in its guest's numbering. Windows' own system
    /// processes in the container are among them.
    pub async fn ps(&self, id: &str) -> Result<Vec<u32>, Error> {
        let pids: Option<Vec<_>> = self.ask(Command::Ps { id }).await?;
        Ok(pids.unwrap_or_default())
    }

    /// Changes the size of a process's terminal.
    pub async fn resize_tty(
        &self,
        id: &str,
        size: TtySize,
        opts: &ResizeTtyOpts,
    ) -> Result<(), Error> {
        self.act(Command::ResizeTty { id, size, opts }).await
    }

    /// Lets a paused container's processes go on.
    pub async fn resume(&self, id: &str) -> Result<(), Error> {
        self.act(Command::Resume { id }).await
    }

    /// Starts the init process of a created container.
    pub async fn start(&self, id: &str) -> Result<(), Error> {
        self.act(Command::Start { id }).await
    }

    /// Asks for a container's state.
    pub async fn state(&self, id: &str) -> Result<ContainerState, Error> {
        self.ask(Command::State { id }).await
    }

    async fn act(&self, command: Command<'_>) -> Result<(), Error> {
        self.succeed(command, &StdioFiles::default())
            .await
            .map(drop)
    }

    async fn ask<T: DeserializeOwned>(&self, command: Command<'_>) -> Result<T, Error> {
        let finished = self.succeed(command, &StdioFiles::default()).await?;
        serde_json::from_slice(&finished.stdout).map_err(|source| Error::BadOutput {
            source: OutputError::Json {
                source,
                start: start_of(&finished.stdout),
            },
            code: Some(finished.code),
            command: finished.command,
        })
    }

    async fn succeed(&self, command: Command<'_>, stdio: &StdioFiles) -> Result<Finished, Error> {
        check(command.verb(), self.run(command, stdio).await?)
    }

    async fn run(&self, command: Command<'_>, stdio: &StdioFiles) -> Result<Finished, Error> {
        let cwd = std::env::current_dir().unwrap_or_default();
        let args = match self.argv(&command, &cwd) {
            Ok(args) => args,
            Err(source) => {
                let verb = command.verb();
                return Err(Error::Input { verb, source });
            }
        };
        let answers = matches!(
            command,
            Command::Help { .. } | Command::List | Command::Ps { .. } | Command::State { .. }
        );
        process::run(Call {
            command: CommandLine {
                program: self.program.resolve(),
                args,
            },
            stdio,
            answers,
            deadline: self.timeout,
            ends_with_caller: self.ends_with_caller,
        })
        .await
    }
}

fn check(verb: &str, finished: Finished) -> Result<Finished, Error> {
    if finished.code.success() {
        return Ok(finished);
    }
    Err(Error::Failed {
        kind: ErrorKind::classify(verb, &finished.stderr),
        command: finished.command,
        code: finished.code,
        stderr: finished.stderr,
    })
}

/// The first characters of an answer, to recognise it by.
fn start_of(stdout: &[u8]) -> String {
    String::from_utf8_lossy(stdout).chars().take(100).collect()
}
