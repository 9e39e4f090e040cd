//! What can go wrong in the harness and in a scenario. `Debug` reads like `Display` with its causes, because that is
//! what the test runner prints for a test that returns an error.

use std::error::Error as _;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

/// The result of a harness call and of a scenario.
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

/// A failure of the harness, or of what a scenario expected.
#[derive(thiserror::Error)]
pub enum Error {
    /// A file or folder could not be used.
    #[error("failed to {doing} {}", .path.display())]
    File {
        /// A verb and its object's kind: "read", "create the folder".
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A program could not be started.
    #[error("failed to start {what}")]
    Start {
        /// The program and what it was for.
        what: String,
        /// Why not.
        source: io::Error,
    },
    /// A child process could not be started.
    #[error("failed to start the process {name}")]
    Spawn {
        /// The process' name.
        name: String,
        /// Why not.
        source: io::Error,
    },
    /// A program ended with a failure.
    #[error("{what} failed: {status}")]
    Command {
        /// The program and what it was for.
        what: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// A process did not end in time.
    #[error("{name} (pid {pid}) is still running")]
    StillRunning {
        /// The process' name.
        name: String,
        /// Its process id.
        pid: u32,
    },
    /// A process ended that should be running.
    #[error("{name} ended with {status}; the end of its log:\n{log}")]
    Ended {
        /// The process' name.
        name: String,
        /// How it ended.
        status: ExitStatus,
        /// The last lines that it logged.
        log: String,
    },
    /// There is no such ground for nodes.
    #[error("HCS_TEST_GROUND says {name}, which is none of linux, wine-sim and wine-real")]
    Ground {
        /// What it says.
        name: String,
    },
    /// This machine cannot build or run Windows programs.
    #[error("failed to make a Windows node")]
    NoWindows(#[from] crate::windows::Missing),
    /// There is no place for a cache.
    #[error("neither XDG_CACHE_HOME nor HOME is set: there is no place to keep what was built")]
    NoCache,
    /// A key or certificate could not be made.
    #[error("failed to make the certificates")]
    Certificates(#[from] rcgen::Error),
    /// The API server refused or failed a request.
    #[error("failed to {doing}")]
    Api {
        /// What was asked for: "create the namespace x".
        doing: String,
        /// The API server's answer.
        source: Box<kube::Error>,
    },
    /// A kubeconfig could not be used.
    #[error("failed to use the kubeconfig {}", .path.display())]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: kube::config::KubeconfigError,
    },
    /// A file does not hold what it should.
    #[error("failed to understand {}", .path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: serde_json::Error,
    },
    /// A file does not hold what it should.
    #[error("failed to understand {}", .path.display())]
    Yaml {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: serde_yaml_ng::Error,
    },
    /// A process wrote an address that is none.
    #[error("{address} is not an address")]
    Address {
        /// What it wrote.
        address: String,
        /// Why it is none.
        source: http::uri::InvalidUri,
    },
    /// A process did not answer an HTTP request.
    #[error("failed to get {url}")]
    Http {
        /// What was asked for.
        url: String,
        /// Why not: hyper's error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The CRDs could not be generated.
    #[error("failed to generate the CRDs")]
    Schema(#[source] hcs_crds::SchemaError),
    /// A condition did not come true in time.
    #[error("{what}: not so within {deadline:?}\n{evidence}")]
    Deadline {
        /// The condition.
        what: String,
        /// How long was waited.
        deadline: Duration,
        /// The last state seen, and what may explain it.
        evidence: String,
    },
    /// Something is otherwise than a scenario expects.
    #[error("not so: {what}\n{evidence}")]
    Unexpected {
        /// What was expected, and what was seen.
        what: String,
        /// What may explain it.
        evidence: String,
    },
    /// A control plane runs in this folder already.
    #[error("a control plane is running in {} (pid {pid})", .dir.display())]
    Running {
        /// Its folder.
        dir: PathBuf,
        /// Its owner's process id.
        pid: u32,
    },
}

impl Error {
    /// An [`Error::File`], for `map_err`.
    pub fn file(doing: &'static str, path: &Path, source: io::Error) -> Self {
        Self::File {
            doing,
            path: path.to_owned(),
            source,
        }
    }

    /// Adds what may explain a passed deadline; other errors explain themselves.
    #[must_use]
    pub fn with_evidence(mut self, more: &str) -> Self {
        if let Self::Deadline { evidence, .. } = &mut self {
            evidence.push('\n');
            evidence.push_str(more);
        }
        self
    }

    /// An [`Error::Api`], for `map_err(Error::api("create the namespace"))`.
    pub fn api(doing: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Api {
            doing,
            source: Box::new(source),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        let mut cause = self.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
