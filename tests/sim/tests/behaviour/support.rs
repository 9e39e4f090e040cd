//! A node of its own for each test, and words for what the tests do with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use runhcs_sim::{ContainerSnapshot, SimNode};
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A node that ends all it runs when dropped.
pub struct TestNode {
    pub sim: SimNode,
    folder: TempDir,
}

impl Drop for TestNode {
    fn drop(&mut self) {
        self.sim.stop_all().unwrap();
    }
}

/// What a call printed and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    /// A failure with one line on standard error.
    pub fn refused(text: &str) -> Self {
        Self {
            code: 1,
            out: String::new(),
            err: format!("{text}\n"),
        }
    }

    /// A success without a word.
    pub fn silent() -> Self {
        Self {
            code: 0,
            out: String::new(),
            err: String::new(),
        }
    }
}

impl TestNode {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let exe = Path::new(env!("CARGO_BIN_EXE_runhcs-sim"));
        let sim = SimNode::install(&folder.path().join("node"), exe).unwrap();
        fs::create_dir(folder.path().join("layer")).unwrap();
        Self { sim, folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A call that is not run yet, with no standard streams.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.sim.executable());
        command
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// Runs a call; its streams are files, as containers may hold them.
    pub fn run(&self, args: &[&str]) -> Said {
        let out = tempfile::NamedTempFile::new_in(self.folder.path()).unwrap();
        let err = tempfile::NamedTempFile::new_in(self.folder.path()).unwrap();
        let mut command = self.command(args);
        command
            .stdout(out.reopen().unwrap())
            .stderr(err.reopen().unwrap());
        let mut child = command.spawn().unwrap();
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "{args:?} does not end");
            std::thread::sleep(Duration::from_millis(1));
        };
        Said {
            code: status.code().unwrap_or(-1),
            out: fs::read_to_string(out.path()).unwrap(),
            err: fs::read_to_string(err.path()).unwrap(),
        }
    }

    /// Runs a call that must succeed without a word.
    pub fn ok(&self, args: &[&str]) {
        assert_eq!(self.run(args), Said::silent(), "{args:?}");
    }

    /// A configuration that runs a shell script.
    pub fn config(&self, name: &str, script: &str) -> Value {
        json!({
            "ociVersion": "1.0.2",
            "process": {"user": {}, "args": ["sh", "-c", script], "cwd": "C:\\", "env": ["FOO=bar"]},
            "hostname": "web-0",
            "annotations": {"app": name},
            "windows": {"layerFolders": [self.path("layer"), self.path(name).join("scratch")]},
        })
    }

    /// Writes a bundle; returns its path.
    pub fn write_bundle(&self, name: &str, config: &Value) -> String {
        let bundle = self.path(name);
        fs::create_dir_all(&bundle).unwrap();
        fs::write(bundle.join("config.json"), config.to_string()).unwrap();
        bundle.to_str().unwrap().to_owned()
    }

    /// Creates a container that runs a shell script.
    pub fn create(&self, id: &str, script: &str) -> String {
        let bundle = self.write_bundle(id, &self.config(id, script));
        self.ok(&["create", "--bundle", &bundle, id]);
        bundle
    }

    /// Creates and starts a container that runs a shell script.
    pub fn start(&self, id: &str, script: &str) -> String {
        let bundle = self.create(id, script);
        self.ok(&["start", id]);
        bundle
    }

    pub fn container(&self, id: &str) -> ContainerSnapshot {
        self.sim.container(id).unwrap()
    }

    /// Waits until a container's shim has ended by itself; returns its exit code.
    pub fn wait_for_end(&self, id: &str) -> u32 {
        wait_for("the shim's end", || {
            let container = self.container(id);
            (container.shim == 0)
                .then_some(container.shim_exit_code)
                .flatten()
        })
    }

    /// What `list --format json` says.
    pub fn list(&self) -> Value {
        serde_json::from_str(&self.run(&["list", "--format", "json"]).out).unwrap()
    }
}

/// Waits for a condition.
pub fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "no {what} in {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until a file has some content; returns it.
pub fn wait_for_file(path: &Path) -> String {
    wait_for("file", || {
        fs::read_to_string(path)
            .ok()
            .filter(|text| text.ends_with('\n'))
    })
}
