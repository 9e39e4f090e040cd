#![doc = include_str!("../README.md")]

mod client;
mod command;
mod error;
#[cfg(unix)]
#[cfg(test)]
mod fuzz;
mod help;
mod kind;
mod options;
mod path;
mod process;
mod program;
mod signal;
mod state;

pub use client::Runhcs;
pub use command::{Command, InputError};
pub use error::{CommandLine, Error, ExitCode, OutputError};
pub use help::Help;
pub use kind::ErrorKind;
pub use options::{
    CreateOpts, CreateScratchOpts, DeleteOpts, ExecOpts, Format, ResizeTtyOpts, StdioFiles,
    TtySize, UnknownFormat,
};
pub use path::absolute;
pub use program::{Program, ProgramError};
pub use signal::{LinuxSignal, Signal, UnknownSignal};
pub use state::{ContainerState, ShimPid, Status};
