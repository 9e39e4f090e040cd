//! Whether the service runs, and whether its agent is ready.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use super::{Control, Home, ServiceError, settings_in};
use crate::node_setup::release::SETTINGS;
use crate::run_agent::ADDRESS_FILE;

/// How long the agent may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// Exit code of a service that is there and does not run, or is not ready.
const STOPPED: u8 = 3;
/// Exit code where there is no service.
const MISSING: u8 = 4;

/// Why an agent is not ready.
#[derive(Debug, thiserror::Error)]
pub enum NotReady {
    /// Nothing answers.
    #[error("the agent does not answer: {0}")]
    Silent(#[from] std::io::Error),
    /// The file with its address makes no sense.
    #[error("the agent's address is not known: {0}")]
    Address(#[from] std::net::AddrParseError),
    /// It says no.
    #[error("the agent is not ready: {0}")]
    Says(String),
}

/// Asks the agent of a data folder.
pub fn ready(data: &Path) -> Result<(), NotReady> {
    let address: SocketAddr = fs::read_to_string(data.join(ADDRESS_FILE))?
        .trim()
        .parse()?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /readyz HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    match head.split(' ').nth(1) {
        Some("200") => Ok(()),
        _ => Err(NotReady::Says(body.trim().to_owned())),
    }
}

/// Says how the service is, and gives the exit code.
pub fn status(wants_ready: bool) -> Result<ExitCode, ServiceError> {
    let control = Control::open()?;
    let (Some(installed), Some(state)) = (control.installed()?, control.state()?) else {
        println!("not installed");
        return Ok(ExitCode::from(MISSING));
    };
    println!("{state:?}: {}", installed.program.display());
    if let Ok(why) = fs::read_to_string(Home::existing().rolled_back()) {
        println!("{why}");
        if wants_ready {
            return Ok(ExitCode::from(STOPPED));
        }
    }
    let settings = settings_in(&installed.program.with_file_name(SETTINGS))?;
    let ready = ready(&settings.data);
    match &ready {
        Ok(()) => println!("the agent is ready"),
        Err(why) => println!("{why}"),
    }
    let good = if wants_ready {
        ready.is_ok()
    } else {
        installed.running
    };
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(STOPPED)
    })
}
