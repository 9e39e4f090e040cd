//! The command line of each call, built by pure functions: the flags, their order and their
//! spelling are go-runhcs'.

use std::path::Path;

use crate::options::{CreateOpts, CreateScratchOpts, DeleteOpts, ExecOpts, ResizeTtyOpts, TtySize};
use crate::path::{SAFE_PIPES, absolute};
use crate::{Format, Runhcs, Signal};

/// One call of runhcs, with what it takes. [`Runhcs::argv`] makes its command line.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
#[allow(
    missing_docs,
    reason = "each field is the parameter of the method of the same name"
)]
pub enum Command<'a> {
    /// [`Runhcs::create`]
    Create {
        id: &'a str,
        bundle: &'a Path,
        opts: &'a CreateOpts,
    },
    /// [`Runhcs::create_scratch_with_opts`]
    CreateScratch {
        destpath: &'a Path,
        opts: &'a CreateScratchOpts,
    },
    /// [`Runhcs::delete`]
    Delete { id: &'a str, opts: &'a DeleteOpts },
    /// [`Runhcs::exec`]
    Exec {
        id: &'a str,
        process_file: &'a Path,
        opts: &'a ExecOpts,
    },
    /// [`Runhcs::help`]
    Help { verb: Option<&'a str> },
    /// [`Runhcs::kill`]
    Kill { id: &'a str, signal: &'a Signal },
    /// [`Runhcs::list`]
    List,
    /// [`Runhcs::pause`]
    Pause { id: &'a str },
    /// [`Runhcs::ps`]
    Ps { id: &'a str },
    /// [`Runhcs::resize_tty`]
    ResizeTty {
        id: &'a str,
        size: TtySize,
        opts: &'a ResizeTtyOpts,
    },
    /// [`Runhcs::resume`]
    Resume { id: &'a str },
    /// [`Runhcs::start`]
    Start { id: &'a str },
    /// [`Runhcs::state`]
    State { id: &'a str },
}

impl Command<'_> {
    /// The verb on the command line, such as `resize-tty`.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Create { .. } => "create",
            Self::CreateScratch { .. } => "create-scratch",
            Self::Delete { .. } => "delete",
            Self::Exec { .. } => "exec",
            Self::Help { .. } => "help",
            Self::Kill { .. } => "kill",
            Self::List => "list",
            Self::Pause { .. } => "pause",
            Self::Ps { .. } => "ps",
            Self::ResizeTty { .. } => "resize-tty",
            Self::Resume { .. } => "resume",
            Self::Start { .. } => "start",
            Self::State { .. } => "state",
        }
    }
}

/// Input that is refused before anything is started, because runhcs would misread it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// Container ids are only checked by runhcs for being there.
    #[error("the container id is empty")]
    EmptyId,
    /// runhcs takes ids without `--`, and puts them on its shim's command line again.
    #[error("the container id {id:?} starts with a dash, which runhcs would read as a flag")]
    IdLikeFlag {
        /// The id.
        id: String,
    },
    /// The same for a raw signal.
    #[error("the signal {signal:?} starts with a dash, which runhcs would read as a flag")]
    SignalLikeFlag {
        /// The signal's text.
        signal: String,
    },
    /// No command line can hold a NUL character.
    #[error("the argument {argument:?} has a NUL character")]
    Nul {
        /// The argument.
        argument: String,
    },
    /// runhcs' arguments are Unicode.
    #[error("the path {} is not Unicode", path.display())]
    NotUnicode {
        /// The path.
        path: std::path::PathBuf,
    },
    /// A relative path, and the current directory is not known.
    #[error("the path {path:?} is relative, and there is no current directory to join it to")]
    NoCurrentDirectory {
        /// The path.
        path: String,
    },
}

impl Runhcs {
    /// The arguments of a call, without the program itself: first the client's own flags, then
    /// the verb with its flags, last the id.
    ///
    /// Pure: `cwd` is only what relative paths of logs, pid files and caches are joined to, by
    /// Windows' rules (see [`absolute`]). Bundles, process files and scratch
    /// destinations are passed as they are.
    ///
    /// ```
    /// # use std::path::Path;
    /// # use runhcs::{Command, Runhcs};
    /// let runhcs = Runhcs { debug: true, root: Some("r".into()), ..Runhcs::default() };
    /// let argv = runhcs.argv(&Command::Ps { id: "web" }, Path::new(r"C:\"))?;
    /// assert_eq!(argv, ["--debug", "--root", "r", "ps", "--format=json", "web"]);
    /// # Ok::<(), runhcs::InputError>(())
    /// ```
    pub fn argv(&self, command: &Command<'_>, cwd: &Path) -> Result<Vec<String>, InputError> {
        let mut argv = Argv {
            args: Vec::new(),
            cwd,
        };
        argv.client(self)?;
        argv.push(command.verb());
        argv.command(command)?;
        argv.finish()
    }
}

/// A command line under construction.
struct Argv<'a> {
    args: Vec<String>,
    cwd: &'a Path,
}

impl Argv<'_> {
    fn client(&mut self, client: &Runhcs) -> Result<(), InputError> {
        self.switch("--debug", client.debug);
        self.file_or_pipe("--log", client.log.as_deref())?;
        self.flag("--log-format", client.log_format.map(Format::as_str));
        self.flag("--owner", client.owner.as_deref());
        self.flag("--root", client.root.as_deref());
        Ok(())
    }

    fn command(&mut self, command: &Command<'_>) -> Result<(), InputError> {
        match *command {
            Command::Create { id, bundle, opts } => {
                self.push("--bundle");
                self.push(text(bundle)?);
                self.file("--pid-file", opts.pid_file.as_deref())?;
                self.file_or_pipe("--shim-log", opts.shim_log.as_deref())?;
                self.file_or_pipe("--vm-log", opts.vm_log.as_deref())?;
                self.flag("--vm-console", opts.vm_console.as_deref());
                self.id(id)
            }
            Command::CreateScratch { destpath, opts } => {
                self.push("--destpath");
                self.push(text(destpath)?);
                self.number("--sizeGB", opts.size_gb.filter(|size| *size > 0));
                self.file("--cache-path", opts.cache_file.as_deref())?;
                self.switch("--use-virtual-memory", opts.use_virtual_memory);
                Ok(())
            }
            Command::Delete { id, opts } => {
                self.switch("--force", opts.force);
                self.id(id)
            }
            Command::Exec {
                id,
                process_file,
                opts,
            } => {
                self.push("--process");
                self.push(text(process_file)?);
                self.switch("--detach", opts.detach);
                self.file("--pid-file", opts.pid_file.as_deref())?;
                self.file_or_pipe("--shim-log", opts.shim_log.as_deref())?;
                self.id(id)
            }
            Command::Help { verb } => {
                self.args.extend(verb.map(str::to_owned));
                Ok(())
            }
            Command::Kill { id, signal } => {
                self.id(id)?;
                self.signal(signal)
            }
            Command::List => {
                self.push("--format=json");
                Ok(())
            }
            Command::Ps { id } => {
                self.push("--format=json");
                self.id(id)
            }
            Command::ResizeTty { id, size, opts } => {
                self.number("--pid", opts.pid);
                self.id(id)?;
                self.push(size.width.to_string());
                self.push(size.height.to_string());
                Ok(())
            }
            Command::Pause { id }
            | Command::Resume { id }
            | Command::Start { id }
            | Command::State { id } => self.id(id),
        }
    }

    fn push(&mut self, arg: impl Into<String>) {
        self.args.push(arg.into());
    }

    fn switch(&mut self, name: &str, on: bool) {
        if on {
            self.push(name);
        }
    }

    fn flag(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            self.push(name);
            self.push(value);
        }
    }

    fn number(&mut self, name: &str, value: Option<u32>) {
        self.flag(name, value.map(|value| value.to_string()).as_deref());
    }

    fn file(&mut self, name: &str, path: Option<&Path>) -> Result<(), InputError> {
        let path = path.map(text).transpose()?.unwrap_or_default();
        if path.is_empty() {
            return Ok(());
        }
        let cwd = self.cwd.to_str().unwrap_or_default();
        let path = absolute(path, cwd).ok_or_else(|| InputError::NoCurrentDirectory {
            path: path.to_owned(),
        })?;
        self.push(name);
        self.push(path);
        Ok(())
    }

    fn file_or_pipe(&mut self, name: &str, path: Option<&str>) -> Result<(), InputError> {
        match path {
            Some(pipe) if pipe.starts_with(SAFE_PIPES) => {
                self.flag(name, Some(pipe));
                Ok(())
            }
            _ => self.file(name, path.map(Path::new)),
        }
    }

    fn id(&mut self, id: &str) -> Result<(), InputError> {
        if id.is_empty() {
            return Err(InputError::EmptyId);
        }
        if id.starts_with('-') {
            return Err(InputError::IdLikeFlag { id: id.to_owned() });
        }
        self.push(id);
        Ok(())
    }

    fn signal(&mut self, signal: &Signal) -> Result<(), InputError> {
        let signal = signal.to_string();
        if signal.starts_with('-') {
            return Err(InputError::SignalLikeFlag { signal });
        }
        self.push(signal);
        Ok(())
    }

    fn finish(self) -> Result<Vec<String>, InputError> {
        match self.args.iter().find(|arg| arg.contains('\0')) {
            Some(argument) => Err(InputError::Nul {
                argument: argument.clone(),
            }),
            None => Ok(self.args),
        }
    }
}

fn text(path: &Path) -> Result<&str, InputError> {
    path.to_str().ok_or_else(|| InputError::NotUnicode {
        path: path.to_owned(),
    })
}
