//! The agent as a Windows service: making it, asking for it, and being it.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;

use crate::node_setup::release;
use crate::platform;
use crate::settings::{AgentSettings, FileError, Given, InvalidSetting};

mod control;
mod home;
mod host;
mod probe;

pub use control::Control;
pub use home::Home;
pub use host::LOG;
pub use probe::{NotReady, ready};

/// The service's name, and that of its source in the event log.
pub const NAME: &str = "hcs-operator";

/// What can be done with the service.
#[derive(Subcommand)]
pub enum Verb {
    /// Make this program the service, with these settings, or let it take the place of the one
    /// that is there. It starts with Windows; `service start` starts it now.
    Install {
        /// The YAML file with the agent's settings; the service gets a copy.
        #[arg(long, env = "HCS_OPERATOR_CONFIG", value_name = "FILE")]
        config: PathBuf,
        /// How it reaches the API server; the service gets a copy. Without it, what an earlier
        /// install or node-setup has handed over stays.
        #[arg(long, value_name = "FILE")]
        kubeconfig: Option<PathBuf>,
    },
    /// Stop and remove the service, its programs and its credentials. Containers go on, and the
    /// data folder stays.
    Uninstall,
    /// Start it.
    Start,
    /// Stop it. Containers go on.
    Stop,
    /// Say how it is. Exit code 0 if it runs, 3 if not, 4 if there is none.
    Status {
        /// Exit with 0 only if the agent is ready too, and is the one that was last set up.
        #[arg(long)]
        ready: bool,
    },
    /// What the service manager runs.
    #[command(hide = true)]
    Run,
}

/// Why something could not be done with the service.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The service manager refused.
    #[error("failed to {what} the service; this takes an administrator")]
    Manager {
        /// What was to be done.
        what: &'static str,
        /// Its reason.
        source: windows_service::Error,
    },
    /// It took too long.
    #[error("the service was asked to {what}, and had not after {after:?}")]
    Deadline {
        /// What it should have done.
        what: &'static str,
        /// How long it was waited for.
        after: Duration,
    },
    /// There is no such service.
    #[error("the service {NAME} is not installed")]
    NotInstalled,
    /// A file or folder.
    #[error("failed to {what} {path:?}")]
    Io {
        /// What was to be done.
        what: &'static str,
        /// With which.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A folder of ours that is not ours alone.
    #[error("{path:?} is not safe: {why}; {remedy}")]
    Unsafe {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        why: platform::Distrust,
        /// What to do.
        remedy: String,
    },
    /// The settings file.
    #[error(transparent)]
    File(#[from] FileError),
    /// What is in it.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Settings(Vec<InvalidSetting>),
}

impl ServiceError {
    /// An operation on a file that failed.
    pub fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }
}

/// The settings in a file, checked.
pub fn settings_in(file: &Path) -> Result<AgentSettings, ServiceError> {
    let given = Given::default().with_file(Some(file))?;
    AgentSettings::check(&given).map_err(ServiceError::Settings)
}

impl Verb {
    /// Does it.
    pub fn run(self) -> Result<ExitCode, ServiceError> {
        match self {
            Self::Install { config, kubeconfig } => install(&config, kubeconfig.as_deref())?,
            Self::Uninstall => {
                Control::open()?.delete()?;
                Home::existing().forget()?;
                platform::remove_event_source(NAME);
                println!("the service is removed; containers go on");
            }
            Self::Start => {
                Control::open()?.start()?;
                println!("the service is started");
            }
            Self::Stop => {
                Control::open()?.stop()?;
                println!("the service is stopped; containers go on");
            }
            Self::Status { ready } => return probe::status(ready),
            Self::Run => return host::run(),
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn install(config: &Path, kubeconfig: Option<&Path>) -> Result<(), ServiceError> {
    settings_in(config)?;
    let text = std::fs::read_to_string(config).map_err(ServiceError::io("read", config))?;
    let home = Home::open()?;
    let lock = home.lock()?;
    let own =
        std::env::current_exe().map_err(ServiceError::io("find", Path::new("this program")))?;
    let program = release::place(&home.releases(), &own, &text)
        .map_err(ServiceError::io("fill", &home.releases()))?;
    if let Some(file) = kubeconfig {
        let bytes = std::fs::read(file).map_err(ServiceError::io("read", file))?;
        crate::agent::write_whole(&home.kubeconfig(), &bytes)
            .map_err(ServiceError::io("write", &home.kubeconfig()))?;
    }
    let control = Control::open()?;
    match control.installed()? {
        None => control.create(&program)?,
        Some(_) => control.point(&program)?,
    }
    drop(lock);
    println!(
        "the service is {}; start it with: service start",
        program.display()
    );
    Ok(())
}
