//! What GitOps tools make of objects: the libraries that they judge by, in a Go program of their own (`tests/gitops`),
//! and the schemas of the objects that they are told by.

use std::fs;
use std::io::{Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;
use serde_json::Value;

use crate::cached::{self, Key};
use crate::{Error, Result, binaries};

/// Argo CD's health checks for our kinds, laid out as its own `resource_customizations`.
pub const CUSTOMIZATIONS: &str = "docs/gitops/argocd/resource_customizations";

/// What is said of one object.
#[derive(Debug, Clone, Deserialize)]
pub struct Verdict {
    /// By kstatus (`sigs.k8s.io/cli-utils`).
    pub kstatus: Said,
    /// By the fork of it that Flux has.
    pub flux: Said,
    /// By Argo CD with our health check.
    pub argo: Said,
}

/// A status in the tool's own words, and why.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Said {
    /// `Current`, `InProgress`, `Failed`, `Terminating`; `Healthy`, `Progressing`, `Degraded`, `Suspended`.
    pub status: String,
    /// For people; empty if there is nothing to say.
    pub message: String,
}

/// What the tools say of each of these objects, in their order.
///
/// # Errors
/// The program cannot be built, or does not understand an object: see its standard error.
pub fn verdicts(objects: &[Value]) -> Result<Vec<Verdict>> {
    let program = program()?;
    let failed = |source| Error::file("hand objects to", &program, source);
    let mut input = tempfile::tempfile().map_err(failed)?;
    for object in objects {
        writeln!(input, "{object}").map_err(failed)?;
    }
    input.rewind().map_err(failed)?;
    let output = Command::new(&program)
        .arg("-customizations")
        .arg(binaries::workspace().join(CUSTOMIZATIONS))
        .stdin(input)
        .stderr(Stdio::inherit())
        .output()
        .map_err(failed)?;
    if !output.status.success() {
        return Err(Error::Command {
            what: program.display().to_string(),
            status: output.status,
        });
    }
    serde_json::Deserializer::from_slice(&output.stdout)
        .into_iter()
        .collect::<std::result::Result<_, _>>()
        .map_err(|source| Error::Json {
            path: program.clone(),
            source,
        })
}

/// The program, built first if the cache has none yet.
fn program() -> Result<PathBuf> {
    let module = binaries::workspace().join("tests/gitops");
    let key = Key::new().folder(&module)?;
    let folder = cached::folder("gitops", key, |folder| {
        eprintln!(
            "Building what GitOps tools judge by, with Go: this takes two minutes the first time"
        );
        let mut go = Command::new("go");
        go.current_dir(&module)
            .env("CGO_ENABLED", "0")
            .env("GOFLAGS", "-buildvcs=false -mod=readonly")
            .args(["build", "-trimpath", "-ldflags=-s -w", "-o"])
            .arg(folder.join("gitops"))
            .arg(".");
        binaries::run(go, "the Go build of tests/gitops")
    })?;
    Ok(folder.join("gitops"))
}

/// The CRDs of Flux and of Argo CD that `tests/gitops/crds.txt` names, as files, taken from their Go modules.
///
/// # Errors
/// A module cannot be had, or is not the one whose hash was noted.
pub fn crds() -> Result<Vec<PathBuf>> {
    let list = binaries::workspace().join("tests/gitops/crds.txt");
    let text = fs::read_to_string(&list).map_err(|source| Error::file("read", &list, source))?;
    let wanted: Vec<[&str; 3]> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_whitespace().collect::<Vec<_>>().try_into().ok())
        .collect();
    let folder = cached::folder("gitops-crds", Key::new().file(&list)?, |folder| {
        eprintln!(
            "Fetching the CRDs of Flux and Argo CD from their Go modules: this takes a minute the first time"
        );
        for [module, sum, file] in &wanted {
            let from = download(folder, module, sum)?.join(file);
            let to = folder.join(from.file_name().unwrap_or_default());
            fs::copy(&from, &to).map_err(|source| Error::file("copy", &from, source))?;
        }
        Ok(())
    })?;
    let name = |file: &str| Path::new(file).file_name().map(|name| folder.join(name));
    Ok(wanted
        .iter()
        .filter_map(|[_, _, file]| name(file))
        .collect())
}

/// A Go module's folder.
fn download(anywhere: &Path, module: &str, sum: &str) -> Result<PathBuf> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Module {
        dir: PathBuf,
        sum: String,
    }
    let what = || format!("go mod download {module}");
    let output = Command::new("go")
        .current_dir(anywhere)
        .args(["mod", "download", "-json", module])
        .stderr(Stdio::inherit())
        .output()
        .map_err(|source| Error::Start {
            what: what(),
            source,
        })?;
    let status = output.status;
    let found: Option<Module> = serde_json::from_slice(&output.stdout).ok();
    let found = found.filter(|found| status.success() && found.sum == sum);
    found
        .map(|found| found.dir)
        .ok_or_else(|| Error::Unexpected {
            what: format!("{} gives what it gave before, {sum}", what()),
            evidence: String::from_utf8_lossy(&output.stdout).into_owned(),
        })
}
