//! Words to say what container a scenario wants: `Container::named("web").on(&node).running_for_ever()`.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use hcs_crds::{
    DesiredState, HcsContainer, HcsContainerSpec, Isolation, ManagementPolicy, Os, RestartPolicy,
    RestartSettings, Scratch, Tty, UpdatePolicy,
};
use serde_json::{Map, Value, json};

use crate::ground::Ground;
use crate::node::Node;
use crate::{Error, Result};

/// An `HcsContainer` in the making. The scenario creates it with
/// [`Scenario::create`](crate::Scenario::create).
#[derive(Debug, Clone)]
pub struct Container {
    name: String,
    spec: HcsContainerSpec,
    process: Vec<String>,
    layers: Option<PathBuf>,
    ground: Ground,
    workload: PathBuf,
    /// Folders that must be there before a node can create the container.
    folders: Vec<PathBuf>,
}

impl Container {
    /// A container with this object name, by default Windows with process isolation, Running, `restartPolicy: Never`
    /// (so that what a scenario does not ask for does not happen) and restarts without a wait of many seconds.
    pub fn named(name: &str) -> Self {
        let spec = HcsContainerSpec {
            restart_policy: RestartPolicy::Never,
            restart: RestartSettings {
                initial_backoff_seconds: 1,
                max_backoff_seconds: 4,
                ..RestartSettings::default()
            },
            termination_grace_period_seconds: 5,
            ..HcsContainerSpec::default()
        };
        Self {
            name: name.to_owned(),
            spec,
            process: Vec::new(),
            layers: None,
            ground: Ground::Linux,
            workload: PathBuf::new(),
            folders: Vec::new(),
        }
    }

    /// The same with another object name.
    #[must_use]
    pub fn with_name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// On this node, with a base and a scratch layer of its own below the node's layer root.
    #[must_use]
    pub fn on(mut self, node: &Node) -> Self {
        self.layers = Some(node.dir().join("layers"));
        self.ground = node.machine().ground();
        node.workload().clone_into(&mut self.workload);
        self.on_node_named(node.name())
    }

    /// On a node of this name, which need not exist.
    #[must_use]
    pub fn on_node_named(self, node: &str) -> Self {
        self.with(|spec| node.clone_into(&mut spec.node_name))
    }

    /// Runs a program; an absolute path, for a container's PATH is its own.
    #[must_use]
    pub fn running<A: Into<String>>(
        mut self,
        program: impl AsRef<Path>,
        args: impl IntoIterator<Item = A>,
    ) -> Self {
        self.process = vec![self.ground.path(program.as_ref())];
        self.process.extend(args.into_iter().map(Into::into));
        self
    }

    /// Runs the test workload (`tests/src/bin/workload.rs`) with these flags. Say [`Container::on`] first.
    #[must_use]
    pub fn working<A: Into<String>>(self, flags: impl IntoIterator<Item = A>) -> Self {
        let workload = self.workload.clone();
        let flags = flags.into_iter().map(Into::into);
        self.running(workload, std::iter::once("run".to_owned()).chain(flags))
    }

    /// Runs until it is told to end.
    #[must_use]
    pub fn running_for_ever(self) -> Self {
        self.working::<String>([])
    }

    /// Ends by itself right away.
    #[must_use]
    pub fn exiting_with(self, code: i32) -> Self {
        self.working([format!("--exit-code={code}"), "--after=0".to_owned()])
    }

    /// Ends by itself after some milliseconds.
    #[must_use]
    pub fn exiting_after(self, milliseconds: u64, code: i32) -> Self {
        self.working([
            format!("--exit-code={code}"),
            format!("--after={milliseconds}"),
        ])
    }

    /// With this desired state.
    #[must_use]
    pub fn desired(self, state: DesiredState) -> Self {
        self.with(|spec| spec.desired_state = state)
    }

    /// With Hyper-V isolation, which pausing needs.
    #[must_use]
    pub fn hyperv(self) -> Self {
        self.with(|spec| spec.runtime.isolation = Isolation::HyperV)
    }

    /// A Linux container on Windows, with this scratch.
    #[must_use]
    pub fn linux_with(self, scratch: Scratch) -> Self {
        self.hyperv().with(|spec| {
            spec.runtime.os = Os::Linux;
            spec.scratch = Some(scratch);
        })
    }

    /// With this restart policy.
    #[must_use]
    pub fn restart_policy(self, policy: RestartPolicy) -> Self {
        self.with(|spec| spec.restart_policy = policy)
    }

    /// With a console of this size.
    #[must_use]
    pub fn tty(self, width: u16, height: u16) -> Self {
        self.with(|spec| spec.tty = Some(Tty { width, height }))
    }

    /// Updated by hand only.
    #[must_use]
    pub fn updated_manually(self) -> Self {
        self.with(|spec| spec.update_policy = UpdatePolicy::Manual)
    }

    /// Only observed.
    #[must_use]
    pub fn observed(self) -> Self {
        self.with(|spec| spec.management_policy = ManagementPolicy::Observe)
    }

    /// From a bundle folder on the node, in place of an inline configuration.
    #[must_use]
    pub fn from_bundle(self, path: impl AsRef<Path>) -> Self {
        let path = self.ground.path(path.as_ref());
        self.with(|spec| spec.bundle.path = Some(path))
    }

    /// From a bundle in this folder of the node, made here with the configuration that the harness gives it.
    pub fn in_bundle(mut self, folder: &Path) -> Result<Self> {
        let config = Value::Object(self.config()).to_string();
        let file = folder.join("config.json");
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&file, config))
            .map_err(|source| Error::file("write", &file, source))?;
        Ok(self.from_bundle(folder))
    }

    /// With this inline configuration in place of the harness' own.
    #[must_use]
    pub fn from_config(self, config: Map<String, Value>) -> Self {
        self.with(|spec| spec.bundle.config = Some(config.into()))
    }

    /// With any other change of the spec.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut HcsContainerSpec)) -> Self {
        change(&mut self.spec);
        self
    }

    /// The configuration that the harness gives it: its process, and its layers on the node.
    pub fn config(&mut self) -> Map<String, Value> {
        static UNIQUE: AtomicU64 = AtomicU64::new(0);
        let unique = format!(
            "{}-{}-{}",
            self.name,
            std::process::id(),
            UNIQUE.fetch_add(1, Ordering::Relaxed)
        );
        let layers = self.layers.clone().unwrap_or_default();
        self.folders = vec![layers.join("base"), layers.join(unique)];
        let folders: Vec<String> = self
            .folders
            .iter()
            .map(|folder| self.ground.path(folder))
            .collect();
        let mut windows = json!({"layerFolders": folders});
        if self.spec.runtime.isolation == Isolation::HyperV {
            windows["hyperv"] = json!({});
        }
        // The emulated Host Compute Service ends a process at any signal, unless it is told that the process ignores it.
        let ignores = self.process.iter().any(|arg| arg == "--ignore-term");
        let env: &[&str] = if ignores {
            &["WINE_HCS_ON_SIGNAL=ignore"]
        } else {
            &[]
        };
        let config = json!({
            "ociVersion": "1.0.2",
            "process": {
                "args": self.process,
                "cwd": self.ground.path(layers.parent().unwrap_or(Path::new("/"))),
                "env": env,
            },
            "windows": windows,
        });
        config.as_object().cloned().unwrap_or_default()
    }

    /// The object for a namespace; makes the folders that its layers need.
    pub fn build(mut self, namespace: &str) -> Result<HcsContainer> {
        if self.spec.bundle.path.is_none() && self.spec.bundle.config.is_none() {
            self.spec.bundle.config = Some(self.config().into());
        }
        for folder in &self.folders {
            std::fs::create_dir_all(folder)
                .map_err(|source| Error::file("create the layer", folder, source))?;
        }
        let mut object = HcsContainer::new(&self.name, self.spec);
        object.metadata.namespace = Some(namespace.to_owned());
        Ok(object)
    }
}
