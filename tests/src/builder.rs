//! The real BuildKit and buildx, built from the Go module `tests/images` that pins them.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::cached::{self, Key};
use crate::{Error, PATIENCE, Result, binaries};

/// A BuildKit of its own, and a buildx that builds with it.
#[derive(Debug)]
pub struct Builder {
    folder: PathBuf,
    dir: PathBuf,
    daemon: Child,
}

impl Builder {
    /// What this machine lacks for one; none if it has all.
    pub fn missing() -> Option<&'static str> {
        if !rustix::process::geteuid().is_root() {
            return Some("root's rights");
        }
        ["go", "runc"]
            .into_iter()
            .find(|program| !binaries::on_path(program))
    }

    /// Starts one with its files in `dir`. The first time it is built, which takes minutes.
    pub fn start(dir: &Path) -> Result<Self> {
        let module = binaries::workspace().join("tests/images");
        let key = Key::new().folder(&module)?;
        let folder = cached::folder("images", key, |folder| build(&module, folder))?;
        let log = dir.join("buildkitd.log");
        let log = std::fs::File::create(&log).map_err(|e| Error::file("create", &log, e))?;
        let mut daemon = Command::new(folder.join("buildkitd"));
        daemon
            .arg("--root")
            .arg(dir.join("root"))
            .arg("--addr")
            .arg(address(dir))
            .stdin(Stdio::null())
            .stderr(log);
        let daemon = daemon.spawn().map_err(|source| Error::Start {
            what: format!("{daemon:?}"),
            source,
        })?;
        let builder = Self {
            folder,
            dir: dir.to_owned(),
            daemon,
        };
        let create = ["create", "--name", "own", "--use", "--driver", "remote"];
        builder.run(|buildx| buildx.args(create).arg(address(dir)))?;
        builder.answers()?;
        Ok(builder)
    }

    fn answers(&self) -> Result {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.run(|buildx| buildx.args(["inspect", "--bootstrap"]));
            if answer.is_ok() || Instant::now() > deadline {
                return answer;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Runs buildx in the checkout, to its end.
    ///
    /// # Errors
    /// If it fails.
    pub fn run(&self, args: impl FnOnce(&mut Command) -> &mut Command) -> Result {
        let mut buildx = Command::new(self.folder.join("buildx"));
        args(&mut buildx)
            .current_dir(binaries::workspace())
            .env("BUILDX_CONFIG", self.dir.join("buildx"))
            .env("DOCKER_CONFIG", self.dir.join("docker"));
        binaries::run(buildx, "buildx")
    }
}

impl Drop for Builder {
    fn drop(&mut self) {
        // By a signal that it can act on: it has mounts to undo.
        if let Some(pid) = i32::try_from(self.daemon.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let _ = self.daemon.wait();
    }
}

fn address(dir: &Path) -> String {
    format!("unix://{}/buildkitd.sock", dir.display())
}

fn build(module: &Path, folder: &Path) -> Result {
    eprintln!(
        "Building BuildKit and buildx with Go: this takes about 8 minutes the first time on two cores"
    );
    let mut go = Command::new("go");
    go.current_dir(module)
        .env("CGO_ENABLED", "0")
        .env("GOFLAGS", "-buildvcs=false -mod=readonly")
        .args(["build", "-trimpath", "-ldflags=-s -w", "-o"])
        .arg(folder)
        .args([
            "github.com/moby/buildkit/cmd/buildkitd",
            "github.com/docker/buildx/cmd/buildx",
        ]);
    binaries::run(go, "the Go build of BuildKit")
}
