//! How calls talk to a container's shim, which stands for the Host Compute Service: one request
//! and one answer a connection, each a line of JSON.

use std::io::{self, BufRead, BufReader, Write};

use interprocess::local_socket::traits::{Listener as _, Stream as _};
use interprocess::local_socket::{GenericNamespaced, Listener, ListenerOptions, Stream, ToNsName};
use serde::{Deserialize, Serialize};

use crate::failure::HcsReason;
use crate::platform::{self, Signal};
use crate::spec::Process;

/// What a call wants of a shim.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Request {
    /// Start the system and its init process.
    Start,
    /// List the live processes.
    Processes,
    /// Hold all processes.
    Pause,
    /// Let all processes go on.
    Resume,
    /// Signal a process.
    Signal {
        /// Its pid.
        pid: u32,
        /// The signal.
        signal: Signal,
    },
    /// End a process.
    Kill {
        /// Its pid.
        pid: u32,
    },
    /// End the system.
    Terminate,
    /// Set the size of a process's terminal.
    Resize {
        /// Its pid.
        pid: u32,
        /// Columns.
        width: u32,
        /// Lines.
        height: u32,
    },
    /// Make a process. A second answer tells how it ended.
    CreateProcess {
        /// What to run.
        process: Process,
        /// Pid of the shim that stands for it.
        shim: u32,
    },
}

/// What a shim answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Answer {
    /// It is done.
    Done,
    /// The live processes, oldest first.
    Processes(Vec<u32>),
    /// A process was made.
    Made {
        /// Its pid.
        pid: u32,
    },
    /// The process that was made has ended.
    Exited {
        /// All 32 bits of its exit code.
        code: u32,
    },
    /// The system is not in a state for this.
    InvalidState,
    /// There is no such process (any more).
    NoSuchProcess,
    /// The process could not be made.
    NotMade(String),
    /// A fault that was asked for.
    Injected(String),
    /// The shim crashes, and its container goes with it.
    Crashed,
}

impl Answer {
    /// A refusal as hcsshim would name it.
    pub fn reason(self) -> HcsReason {
        match self {
            Self::NoSuchProcess => HcsReason::ElementNotFound,
            Self::NotMade(text) | Self::Injected(text) => HcsReason::Process(text),
            _ => HcsReason::InvalidState,
        }
    }
}

/// A connection to a shim.
pub struct Connection(BufReader<Stream>);

impl Connection {
    /// Connects to the shim of the system with this unique id.
    pub fn open(unique_id: &str) -> io::Result<Self> {
        let name = pipe_name(unique_id);
        Ok(Self(BufReader::new(Stream::connect(
            name.to_ns_name::<GenericNamespaced>()?,
        )?)))
    }

    /// Sends a request and waits for its answer.
    pub fn ask(&mut self, request: &Request) -> io::Result<Answer> {
        send(self.0.get_mut(), request)?;
        self.answer()
    }

    /// Waits for a (further) answer; `UnexpectedEof` if the shim is gone.
    pub fn answer(&mut self) -> io::Result<Answer> {
        receive(&mut self.0)
    }
}

/// A request that waits for its answer.
pub struct Incoming(Stream);

impl Incoming {
    /// Answers.
    pub fn answer(&mut self, answer: &Answer) -> io::Result<()> {
        send(&mut self.0, answer)
    }
}

/// A shim's end.
pub struct Server(Listener);

impl Server {
    /// Listens for the system with this unique id.
    pub fn listen(unique_id: &str) -> io::Result<Self> {
        let name = pipe_name(unique_id);
        let options = ListenerOptions::new().name(name.to_ns_name::<GenericNamespaced>()?);
        Ok(Self(options.create_sync()?))
    }

    /// Waits for a request.
    pub fn receive(&self) -> io::Result<(Request, Incoming)> {
        let mut reader = BufReader::new(self.0.accept()?);
        let request = receive(&mut reader)?;
        Ok((request, Incoming(reader.into_inner())))
    }
}

/// Short and without a folder, so that no state folder is too deep for a socket's name.
fn pipe_name(unique_id: &str) -> String {
    format!("runhcs-sim-{unique_id}")
}

fn send(stream: &mut Stream, message: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    platform::leave_to_the_pipe(stream);
    Ok(())
}

fn receive<T: for<'a> Deserialize<'a>>(reader: &mut BufReader<Stream>) -> io::Result<T> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_str(&line)?)
}
