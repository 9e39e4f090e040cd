//! Settings: flags, environment variables, a YAML file, defaults, in this order.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Deserialize;

use crate::agent::HostPolicy;
use crate::agent::validate::host::{HostAccess, Kind};
use crate::agent::validate::paths::Roots;

mod check;

pub use check::AgentSettings;
#[cfg(windows)]
pub use check::{InvalidSetting, program_data};

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// runhcs' `--log-format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunhcsLogFormat {
    /// `text`.
    Text,
    /// `json`.
    Json,
}

macro_rules! settings {
    ($($(#[doc = $doc:literal])+ $(#[arg($($arg:tt)*)])* $(#[serde($($serde:tt)*)])* $field:ident : $type:ty,)+) => {
        /// The agent's settings as given; what is not given is none.
        #[derive(Args, Clone, Debug, Default, Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields, default)]
        pub struct Given {
            $($(#[doc = $doc])+ $(#[arg($($arg)*)])* $(#[serde($($serde)*)])* pub $field: Option<$type>,)+
        }

        impl Given {
            /// What is given here, and what `other` gives where this gives nothing.
            fn or(self, other: Self) -> Self {
                Self { $($field: self.$field.or(other.$field),)+ }
            }
        }
    };
}

settings! {
    /// Name of the node whose HcsContainer objects this agent makes true. Required.
    #[arg(long, env = "HCS_OPERATOR_NODE_NAME")]
    node_name: String,
    /// The runhcs executable, as absolute path. Default: looked up as go-runhcs does, on PATH
    /// and then beside the agent.
    #[arg(long, env = "HCS_OPERATOR_RUNHCS", value_name = "PATH")]
    runhcs: PathBuf,
    /// The agent's own folder: records, bundles, scratch disks. Default %ProgramData%\hcs-operator,
    /// or /var/lib/hcs-operator.
    #[arg(long, env = "HCS_OPERATOR_DATA_DIR", value_name = "DIR")]
    data_dir: PathBuf,
    /// Folders below which spec.bundle.path may lie. Default: none, which allows no bundle path.
    #[arg(long, env = "HCS_OPERATOR_BUNDLE_ROOTS", value_name = "DIR", value_delimiter = ';')]
    bundle_roots: Vec<PathBuf>,
    /// Folders below which windows.layerFolders of a config may lie. Default: none.
    #[arg(long, env = "HCS_OPERATOR_LAYER_ROOTS", value_name = "DIR", value_delimiter = ';')]
    layer_roots: Vec<PathBuf>,
    /// Folders below which spec.scratch.cacheFile may lie. Default: none.
    #[arg(long, env = "HCS_OPERATOR_CACHE_ROOTS", value_name = "DIR", value_delimiter = ';')]
    cache_roots: Vec<PathBuf>,
    /// Folders below which the sources of a config's mounts may lie. Default: none.
    #[arg(long, env = "HCS_OPERATOR_MOUNT_ROOTS", value_name = "DIR", value_delimiter = ';')]
    mount_roots: Vec<PathBuf>,
    /// What kinds of containers may run. Default: all three.
    #[arg(long, env = "HCS_OPERATOR_ALLOWED_RUNTIMES", value_name = "KIND", value_delimiter = ';')]
    allowed_runtimes: Vec<Kind>,
    /// Whether a spec may bring its config along, in place of naming a bundle on the node. Default
    /// true.
    #[arg(long, env = "HCS_OPERATOR_ALLOW_INLINE_CONFIG", num_args = 0..=1, default_missing_value = "true")]
    allow_inline_config: bool,
    /// What a config may take hold of, of the host's: Devices (windows.devices), Credentials
    /// (windows.credentialSpec), Network (endpoints, namespaces and others' networks). Default:
    /// nothing.
    #[arg(long, env = "HCS_OPERATOR_HOST_ACCESS", value_name = "WHAT", value_delimiter = ';')]
    host_access: Vec<HostAccess>,
    /// Most memory that a container may ask for, in MB; one that says no limit is refused. Default:
    /// no limit.
    #[arg(long, env = "HCS_OPERATOR_MAX_MEMORY_MB", value_name = "MB")]
    max_memory_mb: u64,
    /// Most processors that a container may ask for; one that says no count is refused. Default: no
    /// limit.
    #[arg(long, env = "HCS_OPERATOR_MAX_CPUS", value_name = "N")]
    max_cpus: u64,
    /// Largest spec.scratch.sizeGB. Default: no limit.
    #[arg(long, env = "HCS_OPERATOR_MAX_SCRATCH_GB", value_name = "GB")]
    max_scratch_gb: u64,
    /// Time between two `runhcs list`, the safety net under the exits. Default 30s, at least 1s.
    #[arg(long, env = "HCS_OPERATOR_RELIST_INTERVAL", value_name = "TIME", value_parser = humantime::parse_duration)]
    #[serde(with = "humantime_serde::option")]
    relist_interval: Duration,
    /// Deadline of each call of runhcs, after which it is killed. Default 2m, at least 1s.
    #[arg(long, env = "HCS_OPERATOR_RUNHCS_TIMEOUT", value_name = "TIME", value_parser = humantime::parse_duration)]
    #[serde(with = "humantime_serde::option")]
    runhcs_timeout: Duration,
    /// Deadline of `runhcs create-scratch`, which starts a VM. Default 10m, at least 1s.
    #[arg(long, env = "HCS_OPERATOR_SCRATCH_TIMEOUT", value_name = "TIME", value_parser = humantime::parse_duration)]
    #[serde(with = "humantime_serde::option")]
    scratch_timeout: Duration,
    /// Calls of runhcs at once, 1 to 256. Default: twice the processors.
    #[arg(long, env = "HCS_OPERATOR_RUNHCS_PARALLEL", value_name = "N")]
    runhcs_parallel: usize,
    /// runhcs --debug: let runhcs log its internals. Default false.
    #[arg(long, env = "HCS_OPERATOR_RUNHCS_DEBUG", num_args = 0..=1, default_missing_value = "true")]
    runhcs_debug: bool,
    /// runhcs --log: an absolute path, or a pipe below \\.\pipe\ProtectedPrefix\Administrators\.
    #[arg(long, env = "HCS_OPERATOR_RUNHCS_LOG", value_name = "PATH")]
    runhcs_log: String,
    /// runhcs --log-format.
    #[arg(long, env = "HCS_OPERATOR_RUNHCS_LOG_FORMAT", value_name = "FORMAT")]
    runhcs_log_format: RunhcsLogFormat,
    /// runhcs --owner: the owner of the compute systems. Default: runhcs' own.
    #[arg(long, env = "HCS_OPERATOR_RUNHCS_OWNER", value_name = "NAME")]
    runhcs_owner: String,
    /// runhcs --root: the registry key below which runhcs keeps its state. Default: runhcs' own.
    #[arg(long, env = "HCS_OPERATOR_RUNHCS_ROOT", value_name = "NAME")]
    runhcs_root: String,
    /// Folder for a log of each shim (create --shim-log). Default: none are written.
    #[arg(long, env = "HCS_OPERATOR_SHIM_LOG_DIR", value_name = "DIR")]
    shim_log_dir: PathBuf,
    /// The operator's namespace, where the node's Lease is kept. Default hcs-operator-system.
    #[arg(long, env = "HCS_OPERATOR_NAMESPACE")]
    namespace: String,
    /// How long the node's Lease lasts; it is renewed four times in that. In whole seconds.
    /// Default 40s, at least 4s.
    #[arg(long, env = "HCS_OPERATOR_LEASE_DURATION", value_name = "TIME", value_parser = humantime::parse_duration)]
    #[serde(with = "humantime_serde::option")]
    lease_duration: Duration,
    /// Longest time that a changed count waits until the HcsNode says it: the shortest time between
    /// two writes of it, but for changed conditions. Default 10s.
    #[arg(long, env = "HCS_OPERATOR_NODE_STATUS_INTERVAL", value_name = "TIME", value_parser = humantime::parse_duration)]
    #[serde(with = "humantime_serde::option")]
    node_status_interval: Duration,
    /// Room that the disk of the data folder should have, in percent of it, 0 to 90; less is
    /// DiskPressure. Default 10.
    #[arg(long, env = "HCS_OPERATOR_MIN_FREE_PERCENT", value_name = "N")]
    min_free_percent: u8,
    /// Room that the disk of the data folder should have, in GiB; less is DiskPressure. Default 0,
    /// which asks for none beyond the percentage.
    #[arg(long, env = "HCS_OPERATOR_MIN_FREE_GB", value_name = "N")]
    min_free_gb: u64,
    /// Where /healthz, /readyz and /metrics are served. Default 127.0.0.1:9640.
    #[arg(long, env = "HCS_OPERATOR_HTTP_ADDRESS", value_name = "IP:PORT")]
    http_address: SocketAddr,
    /// What is logged, as a tracing filter. Default info.
    #[arg(long, env = "HCS_OPERATOR_LOG_LEVEL", value_name = "FILTER")]
    log_level: String,
    /// How log lines look. Default text.
    #[arg(long, env = "HCS_OPERATOR_LOG_FORMAT", value_name = "FORMAT")]
    log_format: LogFormat,
}

/// A settings file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Not there, or not readable.
    #[error("failed to read the settings file {path:?}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Not YAML, or with a field that does not exist or has another type.
    #[error("the settings file {path:?} is not as it should be: {source}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_yaml_ng::Error,
    },
}

impl Given {
    /// These settings, and those of the YAML file where these give nothing.
    pub fn with_file(self, file: Option<&Path>) -> Result<Self, FileError> {
        let Some(path) = file else { return Ok(self) };
        let text = fs::read_to_string(path).map_err(|source| FileError::Read {
            path: path.to_owned(),
            source,
        })?;
        // An empty file is an empty map to a person.
        let of_file: Option<Self> =
            serde_yaml_ng::from_str(&text).map_err(|source| FileError::Parse {
                path: path.to_owned(),
                source,
            })?;
        Ok(self.or(of_file.unwrap_or_default()))
    }
}

fn host_policy(given: &Given) -> HostPolicy {
    let roots = |setting: &'static str, folders: &Option<Vec<PathBuf>>| Roots {
        setting,
        folders: folders.clone().unwrap_or_default(),
    };
    let mut policy = HostPolicy::of_roots(
        roots("--bundle-roots", &given.bundle_roots),
        roots("--layer-roots", &given.layer_roots),
        roots("--cache-roots", &given.cache_roots),
        roots("--mount-roots", &given.mount_roots),
    );
    if let Some(kinds) = &given.allowed_runtimes {
        policy.kinds.clone_from(kinds);
    }
    policy.inline_config = given.allow_inline_config.unwrap_or(policy.inline_config);
    policy.access = given.host_access.clone().unwrap_or_default();
    policy.max_memory_mb = given.max_memory_mb;
    policy.max_cpus = given.max_cpus;
    policy.max_scratch_gb = given.max_scratch_gb;
    policy
}

#[cfg(test)]
mod tests;
