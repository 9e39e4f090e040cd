//! The bundle that `create` is given: always a folder of the agent's own with a `config.json`
//! made for one attempt. What the user wrote is only read, so that two attempts never share a
//! file, and the agent's annotations and the terminal's size can go in.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use hcs_crds::{HcsContainer, Isolation, Os};
use serde_json::{Map, Value, json};

use super::disk::write_whole;
use super::host_policy::HostPolicy;
use super::record::Record;
use super::validate::config::{self, HostPaths, InvalidConfig};
use super::validate::host::{self, Denied};
use super::validate::paths::{PathError, canonical};

/// Largest `config.json` that is read, in bytes; the API server's own limit for an object.
const LARGEST_CONFIG: u64 = 1_572_864;
/// `ociVersion` where the config names none.
const OCI_VERSION: &str = "1.0.2";

/// Why a bundle cannot be prepared.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// A path that the agent does not allow.
    #[error("{field}: {source}")]
    Path {
        /// The field that names it.
        field: &'static str,
        /// What is wrong.
        source: PathError,
    },
    /// The bundle has no `config.json`.
    #[error("spec.bundle.path: {path:?} has no config.json")]
    NoConfig {
        /// The bundle.
        path: PathBuf,
    },
    /// The config cannot be read.
    #[error("spec.bundle.path: failed to read {path:?}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The config is no JSON.
    #[error("spec.bundle.path: {path:?} is not JSON: {source}")]
    NotJson {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// The config cannot be run.
    #[error("spec.bundle: {0}")]
    Invalid(#[from] InvalidConfig),
    /// The host's settings refuse it.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The agent's own copy cannot be written.
    #[error("failed to write the bundle {path:?}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// A config that passed all checks, and what it takes hold of on the host.
pub struct Prepared {
    config: Map<String, Value>,
    /// What no two containers may have at once: the bundle and the layer that is written to.
    pub claims: Vec<String>,
    /// The layer that is written to, if it is none of the agent's own.
    pub layer: Option<String>,
}

/// Reads and checks the config that an object names.
pub fn prepare(object: &HcsContainer, policy: &HostPolicy) -> Result<Prepared, BundleError> {
    let spec = &object.spec;
    host::admit_spec(spec, policy)?;
    let mut claims = Vec::new();
    let (config, origin) = match (&spec.bundle.config, &spec.bundle.path) {
        (Some(config), _) => (Value::Object(config.to_map()), None),
        (None, Some(path)) => {
            let at = |source| BundleError::Path {
                field: "spec.bundle.path",
                source,
            };
            let bundle = policy.bundles.admit_existing(path).map_err(at)?;
            claims.push(canonical(&bundle));
            (read_config(&bundle, path, policy)?, Some(bundle))
        }
        (None, None) => (Value::Null, None),
    };
    config::check(&config, spec.runtime)?;
    host::admit_config(&config, spec.runtime, policy)?;
    let paths = config::host_paths(&config);
    let at = |source| BundleError::Path {
        field: "spec.bundle: layerFolders or mounts",
        source,
    };
    config::admit(&paths, &policy.layers, &policy.mounts).map_err(at)?;
    // With a scratch of its own, a container writes to none of the layers that it names.
    let layer = spec.scratch.is_none().then(|| written_layer(&paths));
    let layer = layer.flatten();
    claims.extend(layer.clone());
    let Value::Object(mut config) = config else {
        return Err(BundleError::Invalid(InvalidConfig::NoProcess));
    };
    if let Some(origin) = origin {
        root_below(&mut config, &origin);
    }
    admit_root(&config, policy)?;
    Ok(Prepared {
        config,
        claims,
        layer,
    })
}

fn read_config(bundle: &Path, path: &str, policy: &HostPolicy) -> Result<Value, BundleError> {
    let file = bundle.join("config.json");
    let named = format!("{}/config.json", path.trim_end_matches(['/', '\\']));
    let admitted = policy
        .bundles
        .admit_existing(&named)
        .map_err(|source| match source {
            PathError::Missing { .. } => BundleError::NoConfig {
                path: bundle.to_owned(),
            },
            source => BundleError::Path {
                field: "spec.bundle.path",
                source,
            },
        })?;
    let read = |source| BundleError::Read {
        path: file.clone(),
        source,
    };
    if !fs::metadata(&admitted).map_err(read)?.is_file() {
        return Err(BundleError::NoConfig {
            path: bundle.to_owned(),
        });
    }
    let mut text = Vec::new();
    let opened = fs::File::open(&admitted).map_err(read)?;
    opened
        .take(LARGEST_CONFIG + 1)
        .read_to_end(&mut text)
        .map_err(read)?;
    if text.len() as u64 > LARGEST_CONFIG {
        let message = format!("it is larger than {LARGEST_CONFIG} bytes");
        return Err(read(io::Error::new(io::ErrorKind::FileTooLarge, message)));
    }
    serde_json::from_slice(&text).map_err(|source| BundleError::NotJson { path: file, source })
}

/// The layer that a container writes to: the last one.
fn written_layer(paths: &HostPaths) -> Option<String> {
    paths.layers.last().map(|layer| canonical(Path::new(layer)))
}

/// A relative `root.path` means a place in the user's bundle, not in the agent's copy.
fn root_below(config: &mut Map<String, Value>, origin: &Path) {
    let Some(Value::String(root)) = config.get_mut("root").and_then(|root| root.get_mut("path"))
    else {
        return;
    };
    if !root.is_empty() && Path::new(root.as_str()).is_relative() {
        *root = origin.join(&root).to_string_lossy().into_owned();
    }
}

/// `root.path` is what a container sees as its own disk: without this check, it could be the host's
/// (`\\?\Volume{…}\`). It may lie where bundles or layers may.
fn admit_root(config: &Map<String, Value>, policy: &HostPolicy) -> Result<(), BundleError> {
    let root = config.get("root").and_then(|root| root.get("path"));
    let Some(path) = root.and_then(Value::as_str).filter(|path| !path.is_empty()) else {
        return Ok(());
    };
    let in_layers = policy.layers.admit_existing(path);
    let admitted = in_layers.or_else(|_| policy.bundles.admit_existing(path));
    let field = "spec.bundle: root.path";
    admitted.map_err(|source| BundleError::Path { field, source })?;
    Ok(())
}

/// Writes the bundle of the record's current attempt into `folder`.
pub fn write(
    prepared: Prepared,
    object: &HcsContainer,
    record: &Record,
    folder: &Path,
) -> Result<(), BundleError> {
    let mut config = prepared.config;
    config
        .entry("ociVersion")
        .or_insert_with(|| OCI_VERSION.into());
    annotate(&mut config, record);
    if let (Some(tty), Some(Value::Object(process))) = (object.spec.tty, config.get_mut("process"))
    {
        process.insert("terminal".into(), true.into());
        let size = json!({"height": tty.height, "width": tty.width});
        process.insert("consoleSize".into(), size);
    }
    if object.spec.runtime.os == Os::Linux {
        config.entry("linux").or_insert_with(|| json!({}));
    }
    let hyperv = object.spec.runtime.isolation == Isolation::HyperV;
    let scratch = record
        .scratch
        .as_ref()
        .filter(|_| object.spec.scratch.is_some());
    if hyperv || scratch.is_some() {
        let windows = config.entry("windows").or_insert_with(|| json!({}));
        if let Value::Object(windows) = windows {
            if hyperv {
                windows.entry("hyperv").or_insert_with(|| json!({}));
            }
            if let (Some(scratch), Value::Array(layers)) = (
                scratch,
                windows.entry("layerFolders").or_insert_with(|| json!([])),
            ) {
                // runhcs takes the last layer for the scratch and looks for sandbox.vhdx in it.
                let parent = Path::new(&scratch.path).parent().unwrap_or(Path::new(""));
                layers.push(parent.to_string_lossy().into());
            }
        }
    }
    let path = folder.join("config.json");
    let text = Value::Object(config).to_string();
    write_whole(&path, text.as_bytes()).map_err(|source| BundleError::Write { path, source })
}

fn annotate(config: &mut Map<String, Value>, record: &Record) {
    let annotations = config.entry("annotations").or_insert_with(|| json!({}));
    if !annotations.is_object() {
        *annotations = json!({});
    }
    if let Value::Object(annotations) = annotations {
        let object = &record.object;
        for (key, value) in [
            (hcs_crds::ANNOTATION_UID, object.uid.clone()),
            (hcs_crds::ANNOTATION_NAMESPACE, object.namespace.clone()),
            (hcs_crds::ANNOTATION_NAME, object.name.clone()),
            (hcs_crds::ANNOTATION_ATTEMPT, record.attempt.to_string()),
            (super::ANNOTATION_HASH, record.applied.hash.clone()),
        ] {
            annotations.insert(key.into(), value.into());
        }
    }
}

#[cfg(test)]
mod tests;
