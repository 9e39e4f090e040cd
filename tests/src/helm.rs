//! The real Helm, built from the Go module `tests/helm` that pins it, with files of its own.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Instant;

use crate::cached::{self, Key};
use crate::{ControlPlane, Error, Result, binaries};

/// Helm as a user would call it.
#[derive(Debug, Clone)]
pub struct Helm {
    program: PathBuf,
    home: PathBuf,
    kubeconfig: Option<PathBuf>,
}

/// What Helm said, and whether it did as it was told.
#[derive(Debug)]
pub struct Said {
    /// Whether its exit code is 0.
    pub success: bool,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Helm {
    /// Helm without a cluster, for `lint`, `template` and `package`. Its own files go to `home`.
    pub fn alone(home: &Path) -> Result<Self> {
        Ok(Self {
            program: program()?,
            home: home.to_owned(),
            kubeconfig: None,
        })
    }

    /// Helm as system:masters of a control plane.
    pub fn on(control_plane: &ControlPlane) -> Result<Self> {
        Ok(Self {
            kubeconfig: Some(control_plane.kubeconfig()),
            ..Self::alone(&control_plane.dir().join("helm"))?
        })
    }

    /// Runs it to its end, whatever that is.
    pub fn say<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Result<Said> {
        let output = self.output(args)?;
        Ok(Said {
            success: output.status.success(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Runs it, and gives its standard output.
    ///
    /// # Errors
    /// [`Error::Unexpected`] with what it said if it fails.
    pub fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Result<String> {
        let args: Vec<A> = args.into_iter().collect();
        let said = self.say(&args)?;
        if said.success {
            return Ok(said.stdout);
        }
        let args: Vec<_> = args
            .iter()
            .map(|arg| arg.as_ref().to_string_lossy())
            .collect();
        Err(Error::Unexpected {
            what: format!("helm {}", args.join(" ")),
            evidence: said.stdout + &said.stderr,
        })
    }

    fn output<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Result<Output> {
        let mut helm = Command::new(&self.program);
        for name in ["CACHE", "CONFIG", "DATA"] {
            helm.env(
                format!("HELM_{name}_HOME"),
                self.home.join(name.to_lowercase()),
            );
        }
        // Without a cluster it must not find one by the caller's own configuration.
        let nowhere = self.home.join("no-kubeconfig");
        helm.env("KUBECONFIG", self.kubeconfig.as_ref().unwrap_or(&nowhere))
            .env("KUBECACHEDIR", self.home.join("kube"))
            .stdin(Stdio::null())
            .args(args);
        helm.output().map_err(|source| Error::Start {
            what: format!("{helm:?}"),
            source,
        })
    }
}

/// The executable, of the release that `tests/helm/go.mod` pins, built first if the cache has none yet.
pub fn program() -> Result<PathBuf> {
    let module = binaries::workspace().join("tests/helm");
    let key = Key::new().folder(&module)?;
    let folder = cached::folder("helm", key, |folder| build(&module, folder))?;
    Ok(folder.join("helm"))
}

fn build(module: &Path, folder: &Path) -> Result {
    eprintln!("Building Helm with Go: this takes about 3 minutes the first time on two cores");
    let started = Instant::now();
    let mut go = Command::new("go");
    go.current_dir(module)
        .env("CGO_ENABLED", "0")
        .env("GOFLAGS", "-buildvcs=false -mod=readonly")
        .args(["build", "-trimpath", "-ldflags=-s -w", "-o"])
        .arg(folder.join("helm"))
        .arg("helm.sh/helm/v4/cmd/helm");
    binaries::run(go, "the Go build of Helm")?;
    eprintln!("Built Helm in {} s", started.elapsed().as_secs());
    Ok(())
}
