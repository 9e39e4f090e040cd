//! Carries the plan out, then looks after the service for as long as the pod lives.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args as ClapArgs;
use serde_yaml_ng::Mapping;

use super::plan::{self, Installed, Step};
use super::tail::Tail;
use super::{credentials, release};
use crate::in_cluster::{InCluster, volume_file};
use crate::run_agent::ADDRESS_FILE;
use crate::service::{Control, Home, NotReady, ServiceError, settings_in};

/// How often the log and the credentials are looked at.
const ROUND: Duration = Duration::from_millis(500);
/// How often a new service is asked whether it is ready.
const POLL: Duration = Duration::from_millis(200);

/// What the pod says.
#[derive(ClapArgs)]
pub struct Args {
    /// Name of the node: the pod's spec.nodeName.
    #[arg(long, env = "HCS_OPERATOR_NODE_NAME", value_name = "NAME")]
    node_name: String,
    /// The YAML file with the agent's settings, as the ConfigMap has it.
    #[arg(long, env = "HCS_OPERATOR_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// The pod's namespace, where the settings name none.
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAME")]
    namespace: Option<String>,
    /// How long a new service may take until it is ready; past it the former one comes back.
    #[arg(long, default_value = "2m", value_name = "TIME", value_parser = humantime::parse_duration)]
    ready_within: Duration,
}

/// Why a node cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The service, or a file of it.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// Not run in a pod with a service account.
    #[error(
        "no service account was found: neither below %CONTAINER_SANDBOX_MOUNT_POINT% nor in \
         C:\\var\\run\\secrets\\kubernetes.io\\serviceaccount, or KUBERNETES_SERVICE_HOST is not set"
    )]
    NotInPod,
    /// The settings file is no YAML mapping.
    #[error("the settings file {path:?} is not as it should be")]
    Settings {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_yaml_ng::Error,
    },
    /// The service did not become ready.
    #[error("the service was not ready after {after:?}")]
    NotReady {
        /// How long it was waited for.
        after: Duration,
        /// What it said last.
        source: NotReady,
    },
}

/// A node that is being set up.
struct Setup {
    home: Home,
    pod: InCluster,
    control: Control,
    data: PathBuf,
    ready_within: Duration,
    log: Tail,
}

/// Sets up, and stays. Returns only with an error.
pub fn run(args: &Args) -> Result<std::convert::Infallible, SetupError> {
    let pod = InCluster::find().ok_or(SetupError::NotInPod)?;
    let home = Home::open()?;
    // Held until this process ends, by whatever end.
    let _lock = home.lock()?;
    let program = place(&home, args)?;
    let data = settings_in(&program.with_file_name(release::SETTINGS))?.data;
    let mut setup = Setup {
        control: Control::open()?,
        log: Tail::from_now(data.join(crate::service::LOG)),
        ready_within: args.ready_within,
        home,
        pod,
        data,
    };
    setup.bring_up(&program)?;
    setup.look_after()
}

/// Puts this program and its settings where the service is to find them.
fn place(home: &Home, args: &Args) -> Result<PathBuf, SetupError> {
    let releases = home.releases();
    let text = settings(args)?;
    let own =
        std::env::current_exe().map_err(ServiceError::io("find", Path::new("this program")))?;
    let placed = release::place(&releases, &own, &text);
    Ok(placed.map_err(ServiceError::io("fill", &releases))?)
}

/// The settings file with the node's name in it.
fn settings(args: &Args) -> Result<String, SetupError> {
    let config = args.config.as_deref().map(volume_file);
    let path = config.clone().unwrap_or_default();
    let text = match &config {
        Some(file) => fs::read_to_string(file).map_err(ServiceError::io("read", file))?,
        None => String::new(),
    };
    let malformed = |source| SetupError::Settings { path, source };
    let given: Result<Option<Mapping>, _> = serde_yaml_ng::from_str(&text);
    let settings = given.and_then(|mapping| {
        let mut mapping = mapping.unwrap_or_default();
        mapping.insert("nodeName".into(), args.node_name.clone().into());
        if let (Some(namespace), false) = (&args.namespace, mapping.contains_key("namespace")) {
            mapping.insert("namespace".into(), namespace.clone().into());
        }
        serde_yaml_ng::to_string(&mapping)
    });
    settings.map_err(malformed)
}

impl Setup {
    fn bring_up(&mut self, program: &Path) -> Result<(), SetupError> {
        let renewed = self.hand_over()?;
        let installed = self.control.installed()?;
        let steps = plan::forward(installed.as_ref(), program.to_owned(), renewed);
        let kept = self.keep(installed.as_ref(), program);
        let Err(error) = self.carry_out(&steps) else {
            self.remove_marker()?;
            println!("the service is ready: {}", program.display());
            return kept;
        };
        let why = chain(&error);
        let Some(steps) = plan::back(installed.as_ref(), program) else {
            // The service manager goes on trying, and the log tells why.
            println!("{why}; there is no former program to go back to");
            return kept;
        };
        let text = format!(
            "{} was not kept: {why}; the former program goes on",
            program.display()
        );
        println!("{text}");
        let marker = self.home.rolled_back();
        crate::agent::write_whole(&marker, text.as_bytes())
            .map_err(ServiceError::io("write", &marker))?;
        self.carry_out(&steps)?;
        kept
    }

    /// Removes what is neither wanted nor may be gone back to.
    fn keep(&self, installed: Option<&Installed>, program: &Path) -> Result<(), SetupError> {
        let former = installed.map(|former| former.program.clone());
        let kept: Vec<PathBuf> = former.into_iter().chain([program.to_owned()]).collect();
        let releases = self.home.releases();
        let removed = release::remove_others(&releases, &kept);
        Ok(removed.map_err(ServiceError::io("tidy", &releases))?)
    }

    fn remove_marker(&self) -> Result<(), SetupError> {
        let marker = self.home.rolled_back();
        match fs::remove_file(&marker) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(ServiceError::io("remove", &marker)(error).into())
            }
            _ => Ok(()),
        }
    }

    fn carry_out(&mut self, steps: &[Step]) -> Result<(), SetupError> {
        for step in steps {
            println!("{step:?}");
            match step {
                Step::Create(program) => self.control.create(program)?,
                Step::Stop => self.control.stop()?,
                Step::Point(program) => self.control.point(program)?,
                Step::Start => {
                    // The last one's address would be taken for the new one's.
                    let _ = fs::remove_file(self.data.join(ADDRESS_FILE));
                    self.control.start()?;
                    let folder = self.home.folder();
                    credentials::taken(folder)
                        .map_err(ServiceError::io("note the start in", folder))?;
                }
                Step::WaitUntilReady => self.wait_until_ready()?,
            }
        }
        Ok(())
    }

    fn wait_until_ready(&mut self) -> Result<(), SetupError> {
        let end = Instant::now() + self.ready_within;
        loop {
            self.show_log();
            match crate::service::ready(&self.data) {
                Ok(()) => return Ok(()),
                Err(source) if Instant::now() >= end => {
                    let after = self.ready_within;
                    return Err(SetupError::NotReady { after, source });
                }
                Err(_) => std::thread::sleep(POLL),
            }
        }
    }

    fn hand_over(&self) -> Result<bool, SetupError> {
        let folder = self.home.folder();
        let handed = credentials::hand_over(&self.pod, folder);
        Ok(handed.map_err(ServiceError::io("renew the credentials in", folder))?)
    }

    fn show_log(&mut self) {
        let mut stdout = io::stdout().lock();
        // A pod whose output nobody takes still renews the token.
        let _ = self.log.copy_new(&mut stdout).and_then(|()| stdout.flush());
    }

    fn look_after(&mut self) -> Result<std::convert::Infallible, SetupError> {
        loop {
            self.show_log();
            match self.hand_over() {
                Ok(false) => {}
                Ok(true) => {
                    println!("the API server or its authority is another: the service starts anew");
                    self.carry_out(&[Step::Stop, Step::Start])?;
                }
                // The kubelet is amid renewing them; there is another round.
                Err(error) => println!("{}", chain(&error)),
            }
            std::thread::sleep(ROUND);
        }
    }
}

/// An error with all its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
