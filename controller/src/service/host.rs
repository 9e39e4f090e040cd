//! Being the service: the agent, with the service manager's words in place of a console's.

use std::path::Path;
use std::process::ExitCode;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use anyhow::Context as _;
use tracing_rolling_file::{RollingConditionBase, RollingFileAppenderBase};
use windows_service::service::{
    ServiceControl, ServiceControlAccept, ServiceExitCode, ServiceState, ServiceStatus, ServiceType,
};
use windows_service::service_control_handler::{
    self, ServiceControlHandlerResult, ServiceStatusHandle,
};

use super::{Home, NAME, ServiceError, settings_in};
use crate::node_setup::release::SETTINGS;
use crate::platform::{self, Gravity};
use crate::{run_agent, shutdown, telemetry};

/// The log, below the data folder. It has some company: `agent.log.1` and so on.
pub const LOG: &str = r"logs\agent.log";
/// Where a log ends and the next begins, in bytes.
const LOG_SIZE: u64 = 10 << 20;
/// Old logs that are kept.
const LOGS_KEPT: usize = 4;
/// How long the service manager is asked for, at its start and at its end.
const HINT: Duration = Duration::from_secs(30);
/// What the service manager is told in place of an exit code of Windows'.
const FAILED: u32 = 1;

static STATUS: OnceLock<ServiceStatusHandle> = OnceLock::new();

/// Runs as the service until the service manager stops it.
pub fn run() -> Result<ExitCode, ServiceError> {
    platform::serve(NAME, enter).map_err(|source| ServiceError::Manager { what: "be", source })?;
    Ok(ExitCode::SUCCESS)
}

fn enter() {
    if let Err(error) = host() {
        platform::report(NAME, Gravity::Error, &format!("no service: {error}"));
    }
}

fn host() -> windows_service::Result<()> {
    let handler = |control| match control {
        ServiceControl::Stop | ServiceControl::Shutdown => {
            tell(ServiceState::StopPending, ServiceExitCode::NO_ERROR);
            shutdown::ask();
            ServiceControlHandlerResult::NoError
        }
        ServiceControl::Interrogate => ServiceControlHandlerResult::NoError,
        _ => ServiceControlHandlerResult::NotImplemented,
    };
    let handle = service_control_handler::register(NAME, handler)?;
    STATUS.get_or_init(|| handle);
    tell(ServiceState::StartPending, ServiceExitCode::NO_ERROR);
    let exit = match work() {
        Ok(()) => {
            platform::report(
                NAME,
                Gravity::Information,
                "The agent has stopped; containers go on.",
            );
            ServiceExitCode::NO_ERROR
        }
        Err(error) => {
            tracing::error!("{error:#}");
            let text = format!("The agent cannot run: {error:#}");
            platform::report(NAME, Gravity::Error, &text);
            ServiceExitCode::ServiceSpecific(FAILED)
        }
    };
    tell(ServiceState::Stopped, exit);
    Ok(())
}

/// Tells the service manager. That it cannot be told is in the log; there is nobody else to tell.
fn tell(state: ServiceState, exit_code: ServiceExitCode) {
    let pending = matches!(
        state,
        ServiceState::StartPending | ServiceState::StopPending
    );
    let status = ServiceStatus {
        service_type: ServiceType::OWN_PROCESS,
        current_state: state,
        controls_accepted: if state == ServiceState::Running {
            ServiceControlAccept::STOP | ServiceControlAccept::SHUTDOWN
        } else {
            ServiceControlAccept::empty()
        },
        exit_code,
        checkpoint: u32::from(pending),
        wait_hint: if pending { HINT } else { Duration::ZERO },
        process_id: None,
    };
    if let Some(Err(error)) = STATUS.get().map(|handle| handle.set_service_status(status)) {
        tracing::warn!(%error, "failed to tell the service manager");
    }
}

fn work() -> anyhow::Result<()> {
    let own = std::env::current_exe().context("failed to find this program")?;
    let settings = settings_in(&own.with_file_name(SETTINGS))?;
    platform::create_private_folder(&settings.data)
        .with_context(|| format!("failed to make {}", settings.data.display()))?;
    let log = settings.data.join(LOG);
    telemetry::init(&settings.log_level, settings.log_format, rolling(&log)?)?;
    let kubeconfig = Home::of(&own).map(|home| home.kubeconfig());
    let kubeconfig = kubeconfig.filter(|file| file.is_file());
    tell(ServiceState::Running, ServiceExitCode::NO_ERROR);
    let text = format!(
        "The agent of node {} starts: {}. Its log is {}.",
        settings.node,
        own.display(),
        log.display()
    );
    platform::report(NAME, Gravity::Information, &text);
    run_agent::work(settings, kubeconfig.as_deref())
}

fn rolling(path: &Path) -> anyhow::Result<Mutex<WholeLines>> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("failed to make {}", folder.display()))?;
    }
    let condition = RollingConditionBase::new().max_size(LOG_SIZE);
    let log = RollingFileAppenderBase::new(path, condition, LOGS_KEPT)
        .with_context(|| format!("failed to open {}", path.display()))?;
    Ok(Mutex::new(WholeLines(log)))
}

/// Each line is on the disk at once, for who follows it and for what a crash must not take away.
struct WholeLines(RollingFileAppenderBase);

impl std::io::Write for WholeLines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.0.write(bytes)?;
        self.0.flush()?;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}
