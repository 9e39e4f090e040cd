//! Checks the settings at start, all of them at once, so that a person corrects them in one go.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use runhcs::{Format, Program, Runhcs};
use tracing_subscriber::EnvFilter;

use super::{Given, LogFormat, RunhcsLogFormat, host_policy};
use crate::agent::HostPolicy;
use crate::agent::lease::LeaseSettings;
use crate::agent::node_status::{DiskLimits, PageSettings};
use crate::agent::validate::paths::{Roots, Rules};

/// Port of `/metrics`; not taken by any well-known exporter.
const HTTP_PORT: u16 = 9640;
const SHORTEST: Duration = Duration::from_secs(1);
const PARALLEL: std::ops::RangeInclusive<usize> = 1..=256;
/// The namespace of the manifests.
const NAMESPACE: &str = "hcs-operator-system";
const LEASE: Duration = Duration::from_secs(40);
/// Renewals are a second apart, then.
const SHORTEST_LEASE: Duration = Duration::from_secs(4);
/// So that the longest path of a bundle below it, `bundles\\hc-<36 characters>-9999999`, has 258 characters: no more may the
/// current folder of a program have on Windows, and runhcs makes the bundle's its own.
const LONGEST_DATA_DIR: usize = 202;
const PIPES: &str = r"\\.\pipe\ProtectedPrefix\Administrators\";

/// A setting that cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {why}")]
pub struct InvalidSetting {
    /// The flag.
    pub setting: &'static str,
    /// What is wrong, and what would be right.
    pub why: String,
}

/// The agent's settings, checked.
#[derive(Debug)]
pub struct AgentSettings {
    /// The node.
    pub node: String,
    /// The client of runhcs.
    pub client: Runhcs,
    /// The agent's folder.
    pub data: PathBuf,
    /// What a spec may ask of the host.
    pub policy: HostPolicy,
    /// Time between two relists.
    pub relist_interval: Duration,
    /// The node's Lease.
    pub lease: LeaseSettings,
    /// The node's HcsNode.
    pub page: PageSettings,
    /// Deadline of `create-scratch`.
    pub scratch_timeout: Duration,
    /// Calls of runhcs at once.
    pub parallel: usize,
    /// Folder of the shims' logs.
    pub shim_logs: Option<PathBuf>,
    /// Where the probes and metrics are served.
    pub http_address: SocketAddr,
    /// A tracing filter.
    pub log_level: String,
    /// How log lines look.
    pub log_format: LogFormat,
}

impl AgentSettings {
    /// Checks everything, and names everything that is wrong.
    pub fn check(given: &Given) -> Result<Self, Vec<InvalidSetting>> {
        let mut check = Check::default();
        let node = check.node(given);
        let data = given.data_dir.clone().unwrap_or_else(default_data_dir);
        check.data_dir(&data, cfg!(windows));
        if let Some(folder) = &given.shim_log_dir {
            check.absolute("--shim-log-dir", folder);
        }
        let policy = host_policy(given);
        check.roots(&policy);
        let relist_interval = check.time(
            "--relist-interval",
            given.relist_interval,
            Duration::from_secs(30),
        );
        let timeout = check.time(
            "--runhcs-timeout",
            given.runhcs_timeout,
            Duration::from_mins(2),
        );
        let scratch_timeout = check.time(
            "--scratch-timeout",
            given.scratch_timeout,
            Duration::from_mins(10),
        );
        let parallel = check.parallel(given.runhcs_parallel);
        let client = check.client(given, timeout);
        let lease = check.lease(given);
        let page = check.page(given, &client);
        let log_level = given.log_level.clone().unwrap_or_else(|| "info".into());
        if let Err(error) = EnvFilter::try_new(&log_level) {
            check.wrong(
                "--log-level",
                format!("{log_level:?} is no tracing filter: {error}"),
            );
        }
        if !check.wrong.is_empty() {
            return Err(check.wrong);
        }
        Ok(Self {
            node,
            client,
            data,
            policy,
            relist_interval,
            lease,
            page,
            scratch_timeout,
            parallel,
            shim_logs: given.shim_log_dir.clone(),
            http_address: given
                .http_address
                .unwrap_or_else(|| (Ipv4Addr::LOCALHOST, HTTP_PORT).into()),
            log_level,
            log_format: given.log_format.unwrap_or_default(),
        })
    }
}

#[derive(Default)]
struct Check {
    wrong: Vec<InvalidSetting>,
}

impl Check {
    fn wrong(&mut self, setting: &'static str, why: impl Into<String>) {
        self.wrong.push(InvalidSetting {
            setting,
            why: why.into(),
        });
    }

    fn node(&mut self, given: &Given) -> String {
        let node = given.node_name.clone().unwrap_or_default();
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
        if node.is_empty() {
            self.wrong(
                "--node-name",
                "required; on Kubernetes it is the pod's spec.nodeName",
            );
        } else if node.len() > 253 || !node.chars().all(plain) {
            self.wrong(
                "--node-name",
                format!("{node:?} is no node name (a DNS subdomain)"),
            );
        }
        node
    }

    fn data_dir(&mut self, data: &Path, on_windows: bool) {
        const SETTING: &str = "--data-dir";
        self.absolute(SETTING, data);
        let length = data.to_string_lossy().encode_utf16().count();
        if on_windows && length > LONGEST_DATA_DIR {
            let why = format!(
                "the path has {length} characters; at most {LONGEST_DATA_DIR} leave room for bundles, which runhcs \
                 goes into"
            );
            self.wrong(SETTING, why);
        }
    }

    fn absolute(&mut self, setting: &'static str, path: &Path) {
        if !path.is_absolute() {
            self.wrong(
                setting,
                format!("{} is not an absolute path", path.display()),
            );
        }
    }

    fn roots(&mut self, policy: &HostPolicy) {
        let all = [
            &policy.bundles,
            &policy.layers,
            &policy.caches,
            &policy.mounts,
        ];
        for roots in all {
            for folder in &roots.folders {
                self.root(roots.setting, folder);
            }
        }
    }

    fn root(&mut self, setting: &'static str, folder: &Path) {
        let alone = Roots {
            setting,
            folders: vec![folder.to_owned()],
        };
        if let Err(error) = alone.admit(&folder.to_string_lossy()) {
            self.wrong(setting, error.to_string());
        }
    }

    fn time(
        &mut self,
        setting: &'static str,
        given: Option<Duration>,
        default: Duration,
    ) -> Duration {
        let time = given.unwrap_or(default);
        if time < SHORTEST {
            self.wrong(setting, format!("{time:?} is shorter than {SHORTEST:?}"));
        }
        time
    }

    fn lease(&mut self, given: &Given) -> LeaseSettings {
        let namespace = given.namespace.clone();
        let namespace = namespace.unwrap_or_else(|| NAMESPACE.into());
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if namespace.is_empty() || namespace.len() > 63 || !namespace.chars().all(plain) {
            let why = format!("{namespace:?} is no namespace (a DNS label)");
            self.wrong("--namespace", why);
        }
        let duration = given.lease_duration.unwrap_or(LEASE);
        if duration < SHORTEST_LEASE || duration.subsec_nanos() != 0 {
            let why = format!("{duration:?} is not 4 s or more in whole seconds");
            self.wrong("--lease-duration", why);
        }
        LeaseSettings {
            namespace,
            duration,
        }
    }

    fn page(&mut self, given: &Given, client: &Runhcs) -> PageSettings {
        let percent = given.min_free_percent.unwrap_or(10);
        if percent > 90 {
            self.wrong("--min-free-percent", format!("{percent} is more than 90"));
        }
        let interval = given
            .node_status_interval
            .unwrap_or(Duration::from_secs(10));
        if interval.is_zero() {
            self.wrong("--node-status-interval", "must not be 0");
        }
        PageSettings {
            interval,
            disk: DiskLimits {
                percent,
                gb: given.min_free_gb.unwrap_or_default(),
            },
            runhcs: Some(client.program.resolve().to_string_lossy().into_owned()),
        }
    }

    fn parallel(&mut self, given: Option<usize>) -> usize {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let parallel = given.unwrap_or((cores * 2).min(*PARALLEL.end()));
        if !PARALLEL.contains(&parallel) {
            self.wrong(
                "--runhcs-parallel",
                format!("{parallel} is not from 1 to 256"),
            );
        }
        parallel
    }

    fn client(&mut self, given: &Given, timeout: Duration) -> Runhcs {
        let program = match &given.runhcs {
            None => Program::default(),
            Some(path) => {
                if Rules::HERE == Rules::Windows
                    && !path
                        .extension()
                        .is_some_and(|e| e.eq_ignore_ascii_case("exe"))
                {
                    self.wrong("--runhcs", format!("{} is not an .exe", path.display()));
                }
                Program::path(path).unwrap_or_else(|error| {
                    self.wrong("--runhcs", error.to_string());
                    Program::default()
                })
            }
        };
        if let Some(log) = &given.runhcs_log
            && !Path::new(log).is_absolute()
            && !log.starts_with(PIPES)
        {
            self.wrong(
                "--runhcs-log",
                format!("{log:?} is neither an absolute path nor below {PIPES}"),
            );
        }
        for (setting, value) in [
            ("--runhcs-owner", &given.runhcs_owner),
            ("--runhcs-root", &given.runhcs_root),
        ] {
            if value
                .as_ref()
                .is_some_and(|v| v.is_empty() || v.contains(['\\', '/', '\0']))
            {
                self.wrong(setting, "must be a name, not empty and without slashes");
            }
        }
        Runhcs {
            debug: given.runhcs_debug.unwrap_or_default(),
            log: given.runhcs_log.clone(),
            log_format: given.runhcs_log_format.map(|format| match format {
                RunhcsLogFormat::Text => Format::Text,
                RunhcsLogFormat::Json => Format::Json,
            }),
            owner: given.runhcs_owner.clone(),
            root: given.runhcs_root.clone(),
            program,
            timeout: Some(timeout),
            // The next agent must not act beside a call of the last one.
            ends_with_caller: true,
        }
    }
}

fn default_data_dir() -> PathBuf {
    if cfg!(windows) {
        program_data()
    } else {
        "/var/lib/hcs-operator".into()
    }
}

/// Our folder below `%ProgramData%`.
pub fn program_data() -> PathBuf {
    let program_data = std::env::var_os("ProgramData").unwrap_or(r"C:\ProgramData".into());
    Path::new(&program_data).join("hcs-operator")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_folder_leaves_room_for_bundles_on_windows() {
        let said = |length: usize, on_windows| {
            let start = std::env::temp_dir().join("d").display().to_string();
            let path = start.clone() + &"d".repeat(length - start.len());
            let mut check = Check::default();
            check.data_dir(Path::new(&path), on_windows);
            check.wrong
        };
        assert_eq!(said(LONGEST_DATA_DIR, true), []);
        let refused = said(LONGEST_DATA_DIR + 1, true);
        let text = refused[0].to_string();
        assert!(
            text.starts_with("--data-dir: the path has 203 characters"),
            "{text}"
        );
        assert_eq!(said(300, false), []);
    }
}
