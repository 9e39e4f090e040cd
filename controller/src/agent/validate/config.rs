//! What an OCI runtime spec (a bundle's `config.json`) may say.

use hcs_crds::{Isolation, Os, Runtime, annotation_reaches_beyond};
use oci_spec::runtime::Spec;
use serde_json::{Value, json};

use super::keys;
use super::paths::{PathError, Roots};

/// Why a config cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum InvalidConfig {
    /// Not an OCI runtime spec.
    #[error("not an OCI runtime spec: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Nothing to run.
    #[error("process is missing: it says what to run")]
    NoProcess,
    /// Nothing to run.
    #[error("process.args is empty: it says what to run")]
    NoArgs,
    /// A Windows container without layers.
    #[error("windows.layerFolders needs at least two folders, the base layer and the scratch")]
    NoLayers,
    /// The config and `spec.runtime` disagree.
    #[error("{section} does not fit spec.runtime ({os:?}, {isolation:?})")]
    Runtime {
        /// The section of the config.
        section: &'static str,
        /// `spec.runtime.os`.
        os: Os,
        /// `spec.runtime.isolation`.
        isolation: Isolation,
    },
    /// A key that runhcs would read as another.
    #[error("the key {key:?} is not allowed: runhcs would read it as {means:?}; write that")]
    Alias {
        /// The key.
        key: String,
        /// What it would be read as.
        means: &'static str,
    },
    /// An annotation that reaches beyond this container.
    #[error("annotation {key:?} is not allowed: it may reach beyond this container; remove it")]
    Annotation {
        /// Its key.
        key: String,
    },
    /// Hooks run on the host.
    #[error("hooks are not allowed: they would run on the host")]
    Hooks,
}

/// The paths of the host that a config names.
#[derive(Debug, Default)]
pub struct HostPaths {
    /// `windows.layerFolders`, the last of which is written to.
    pub layers: Vec<String>,
    /// `mounts[].source`, and the VM's image.
    pub mounts: Vec<String>,
}

/// Checks a config by itself.
pub fn check(config: &Value, runtime: Runtime) -> Result<(), InvalidConfig> {
    if let Some(keys::Alias { key, means }) = keys::alias(config) {
        return Err(InvalidConfig::Alias { key, means });
    }
    let mut complete = config.clone();
    if let Some(Value::Object(process)) = complete.get_mut("process") {
        // The OCI spec wants a user, runhcs does not.
        process.entry("user").or_insert_with(|| json!({}));
    }
    let spec: Spec = serde_json::from_value(complete)?;
    let process = spec.process().as_ref().ok_or(InvalidConfig::NoProcess)?;
    let args = process
        .args()
        .as_ref()
        .is_some_and(|args| args.iter().any(|arg| !arg.is_empty()));
    let line = process
        .command_line()
        .as_ref()
        .is_some_and(|line| !line.trim().is_empty());
    if !args && !line {
        return Err(InvalidConfig::NoArgs);
    }
    if spec.hooks().is_some() {
        return Err(InvalidConfig::Hooks);
    }
    let mismatch = |section| InvalidConfig::Runtime {
        section,
        os: runtime.os,
        isolation: runtime.isolation,
    };
    if config.get("linux").is_some_and(|v| !v.is_null()) && runtime.os == Os::Windows {
        return Err(mismatch("linux"));
    }
    let windows = config.get("windows").unwrap_or(&Value::Null);
    if windows.get("hyperv").is_some_and(|v| !v.is_null())
        && runtime.isolation == Isolation::Process
    {
        return Err(mismatch("windows.hyperv"));
    }
    let layers = windows
        .get("layerFolders")
        .and_then(Value::as_array)
        .map_or(0, Vec::len);
    if runtime.os == Os::Windows && layers < 2 {
        return Err(InvalidConfig::NoLayers);
    }
    for key in spec.annotations().iter().flatten().map(|(key, _)| key) {
        if annotation_reaches_beyond(key) {
            return Err(InvalidConfig::Annotation { key: key.clone() });
        }
    }
    Ok(())
}

/// The paths of the host that a checked config names.
pub fn host_paths(config: &Value) -> HostPaths {
    let texts = |value: Option<&Value>| -> Vec<String> {
        let list = value.and_then(Value::as_array).into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let windows = config.get("windows");
    let mut mounts: Vec<String> = config
        .get("mounts")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|mount| mount.get("source")?.as_str())
        .filter(|source| !source.is_empty())
        .map(str::to_owned)
        .collect();
    let vm = windows.and_then(|w| w.get("hyperv")?.get("utilityVMPath")?.as_str());
    mounts.extend(vm.filter(|path| !path.is_empty()).map(str::to_owned));
    HostPaths {
        layers: texts(windows.and_then(|w| w.get("layerFolders"))),
        mounts,
    }
}

/// Checks every path of the host that a config names against what the agent allows.
pub fn admit(paths: &HostPaths, layers: &Roots, mounts: &Roots) -> Result<(), PathError> {
    for layer in &paths.layers {
        // The last one may be made by the node's administrator later than the first ones, but it
        // has to be there when the container is made, as all of them.
        layers.admit_existing(layer)?;
    }
    for mount in &paths.mounts {
        mounts.admit_existing(mount)?;
    }
    Ok(())
}
