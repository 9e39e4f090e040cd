//! The service manager: making, starting, stopping and removing the service. All of it can be
//! repeated: what is so already counts as done.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use windows_service::service::{
    Service, ServiceAccess, ServiceAction, ServiceActionType, ServiceErrorControl,
    ServiceFailureActions, ServiceFailureResetPeriod, ServiceInfo, ServiceStartType, ServiceState,
    ServiceType,
};
use windows_service::service_manager::{ServiceManager, ServiceManagerAccess};

use super::{NAME, ServiceError};
use crate::node_setup::plan::Installed;
use crate::platform;

/// What the program is started with.
const ARGUMENTS: [&str; 2] = ["service", "run"];
/// How long a service may take to stop or to go; an agent takes a second.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often its state is asked for meanwhile.
const POLL: Duration = Duration::from_millis(100);
/// Delays before it is started again after its first, second and every later failure.
const RESTARTS: [Duration; 3] = [
    Duration::from_secs(2),
    Duration::from_secs(10),
    Duration::from_mins(1),
];
/// How long it must run for its failures to be forgotten.
const FORGET_AFTER: Duration = Duration::from_hours(1);
const ERROR_SERVICE_ALREADY_RUNNING: i32 = 1056;
const ERROR_SERVICE_DOES_NOT_EXIST: i32 = 1060;
const ERROR_SERVICE_NOT_ACTIVE: i32 = 1062;
const ERROR_SERVICE_MARKED_FOR_DELETE: i32 = 1072;

/// A connection to the service manager.
pub struct Control(ServiceManager);

fn failed(what: &'static str) -> impl FnOnce(windows_service::Error) -> ServiceError {
    move |source| ServiceError::Manager { what, source }
}

fn is(error: &windows_service::Error, code: i32) -> bool {
    matches!(error, windows_service::Error::Winapi(error) if error.raw_os_error() == Some(code))
}

impl Control {
    /// Connects.
    pub fn open() -> Result<Self, ServiceError> {
        let access = ServiceManagerAccess::CONNECT | ServiceManagerAccess::CREATE_SERVICE;
        ServiceManager::local_computer(None::<&str>, access)
            .map(Self)
            .map_err(failed("ask for"))
    }

    fn service(&self) -> Result<Option<Service>, ServiceError> {
        match self.0.open_service(NAME, ServiceAccess::ALL_ACCESS) {
            Ok(service) => Ok(Some(service)),
            Err(error) if is(&error, ERROR_SERVICE_DOES_NOT_EXIST) => Ok(None),
            Err(error) => Err(failed("open")(error)),
        }
    }

    fn existing(&self) -> Result<Service, ServiceError> {
        self.service()?.ok_or(ServiceError::NotInstalled)
    }

    /// The service as it is; none if there is none.
    pub fn installed(&self) -> Result<Option<Installed>, ServiceError> {
        let Some(service) = self.service()? else {
            return Ok(None);
        };
        let config = service.query_config().map_err(failed("look at"))?;
        let state = state(&service)?;
        Ok(Some(Installed {
            program: program_in(&config.executable_path.to_string_lossy()),
            running: !matches!(state, ServiceState::Stopped | ServiceState::StopPending),
        }))
    }

    /// Its state; none if there is none.
    pub fn state(&self) -> Result<Option<ServiceState>, ServiceError> {
        self.service()?.as_ref().map(state).transpose()
    }

    /// Makes it, with this program.
    pub fn create(&self, program: &Path) -> Result<(), ServiceError> {
        let service = self
            .0
            .create_service(&info(program), ServiceAccess::ALL_ACCESS)
            .map_err(failed("make"))?;
        configure(&service)
    }

    /// Lets it be this program from its next start on.
    pub fn point(&self, program: &Path) -> Result<(), ServiceError> {
        let service = self.existing()?;
        service
            .change_config(&info(program))
            .map_err(failed("change"))?;
        configure(&service)
    }

    /// Starts it.
    pub fn start(&self) -> Result<(), ServiceError> {
        match self.existing()?.start::<&str>(&[]) {
            Err(error) if !is(&error, ERROR_SERVICE_ALREADY_RUNNING) => Err(failed("start")(error)),
            _ => Ok(()),
        }
    }

    /// Stops it and waits until it has.
    pub fn stop(&self) -> Result<(), ServiceError> {
        let service = self.existing()?;
        match service.stop() {
            Err(error) if !is(&error, ERROR_SERVICE_NOT_ACTIVE) => {
                return Err(failed("stop")(error));
            }
            _ => {}
        }
        until("stop", || Ok(state(&service)? == ServiceState::Stopped))
    }

    /// Stops it, removes it and waits until it is gone.
    pub fn delete(&self) -> Result<(), ServiceError> {
        let Some(service) = self.service()? else {
            return Ok(());
        };
        self.stop()?;
        match service.delete() {
            Err(error) if !is(&error, ERROR_SERVICE_MARKED_FOR_DELETE) => {
                return Err(failed("remove")(error));
            }
            _ => {}
        }
        // It goes with the last handle of it.
        drop(service);
        until("go", || Ok(self.service()?.is_none()))
    }
}

fn state(service: &Service) -> Result<ServiceState, ServiceError> {
    let status = service.query_status().map_err(failed("look at"))?;
    Ok(status.current_state)
}

fn until(
    what: &'static str,
    done: impl Fn() -> Result<bool, ServiceError>,
) -> Result<(), ServiceError> {
    let end = Instant::now() + PATIENCE;
    while !done()? {
        if Instant::now() >= end {
            let after = PATIENCE;
            return Err(ServiceError::Deadline { what, after });
        }
        std::thread::sleep(POLL);
    }
    Ok(())
}

fn info(program: &Path) -> ServiceInfo {
    ServiceInfo {
        name: NAME.into(),
        display_name: "hcs-operator agent".into(),
        service_type: ServiceType::OWN_PROCESS,
        start_type: ServiceStartType::AutoStart,
        error_control: ServiceErrorControl::Normal,
        executable_path: program.to_owned(),
        launch_arguments: ARGUMENTS.map(Into::into).to_vec(),
        dependencies: Vec::new(),
        account_name: None,
        account_password: None,
    }
}

fn configure(service: &Service) -> Result<(), ServiceError> {
    let description = "Makes this node's HcsContainer objects of Kubernetes true with runhcs. \
        Containers go on when it stops.";
    service
        .set_description(description)
        .map_err(failed("describe"))?;
    let restart = |delay| ServiceAction {
        action_type: ServiceActionType::Restart,
        delay,
    };
    let actions = ServiceFailureActions {
        reset_period: ServiceFailureResetPeriod::After(FORGET_AFTER),
        reboot_msg: None,
        command: None,
        actions: Some(RESTARTS.map(restart).to_vec()),
    };
    let recovery = service
        .update_failure_actions(actions)
        .and_then(|()| service.set_failure_actions_on_non_crash_failures(true));
    if let Err(error) = recovery {
        // It runs without; and wine has no such thing.
        println!("the service will not be started again after a failure: {error}");
    }
    platform::add_event_source(NAME)
        .map_err(ServiceError::io("add the event source", Path::new(NAME)))
}

/// The program in a service's command line.
fn program_in(command_line: &str) -> PathBuf {
    let quoted = command_line
        .strip_prefix('"')
        .and_then(|rest| rest.split_once('"'));
    let arguments = format!(" {}", ARGUMENTS.join(" "));
    let plain = command_line
        .strip_suffix(&arguments)
        .unwrap_or(command_line);
    quoted.map_or(plain, |(program, _)| program).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_found_in_a_command_line_with_quotes_or_without() {
        let program = PathBuf::from(r"C:\a b\hcs-operator.exe");
        assert_eq!(
            program_in(r#""C:\a b\hcs-operator.exe" service run"#),
            program
        );
        let program = PathBuf::from(r"C:\a\hcs-operator.exe");
        assert_eq!(program_in(r"C:\a\hcs-operator.exe service run"), program);
        assert_eq!(program_in(r"C:\a\hcs-operator.exe"), program);
    }
}
