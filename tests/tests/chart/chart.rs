//! The chart, and the sets of values that it is tried with.

use std::path::{Path, PathBuf};

use hcs_tests::control_plane::NAMESPACE;
use hcs_tests::{Helm, Result, binaries};
use serde_json::Value;

use crate::objects;

/// A file of `values/`.
#[derive(Clone)]
pub struct Values {
    pub name: String,
    pub file: PathBuf,
}

/// The chart's folder.
pub fn folder() -> PathBuf {
    binaries::workspace().join("charts/hcs-operator")
}

/// A folder beside this file.
pub fn beside(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/chart")
        .join(name)
}

/// Helm without a cluster, with a folder of its own until the test ends.
pub fn helm() -> (Helm, tempfile::TempDir) {
    let home = tempfile::tempdir().unwrap();
    (Helm::alone(home.path()).unwrap(), home)
}

impl Values {
    /// The set of this name.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            file: beside("values").join(format!("{name}.yaml")),
        }
    }

    /// All sets.
    pub fn all() -> Vec<Self> {
        let files = std::fs::read_dir(beside("values")).unwrap();
        let names = files.map(|file| file.unwrap().path());
        let mut all: Vec<Self> = names
            .map(|file| Self::named(file.file_stem().unwrap().to_str().unwrap()))
            .collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// What Helm makes of the chart with them.
    pub fn rendered(&self) -> Result<String> {
        let (helm, _home) = helm();
        let chart = folder();
        let args = ["template", "hcs-operator", chart.to_str().unwrap()];
        let namespace = [
            "--namespace",
            NAMESPACE,
            "--values",
            self.file.to_str().unwrap(),
        ];
        helm.run(args.into_iter().chain(namespace))
    }

    /// The same as objects.
    pub fn objects(&self) -> Result<Vec<Value>> {
        Ok(objects::read(&self.rendered()?))
    }
}
