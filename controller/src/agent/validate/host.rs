//! What a spec may ask of the host beyond paths: how it is isolated, what of the host it uses, and how
//! much. The settings say it; here a spec is held against them, before a container is made.

use clap::ValueEnum;
use hcs_crds::{HcsContainerSpec, Isolation, Os, Runtime};
use serde::Deserialize;
use serde_json::Value;

use crate::agent::host_policy::HostPolicy;

/// Bytes in what Windows and hcsshim call a megabyte.
const MB: u64 = 1024 * 1024;

/// A kind of container, as `spec.runtime` asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[value(rename_all = "PascalCase")]
pub enum Kind {
    /// Windows, in the host's own kernel.
    Process,
    /// Windows, in a virtual machine.
    HyperV,
    /// Linux, in a virtual machine (LCOW).
    Linux,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Process, Self::HyperV, Self::Linux];

    fn of(runtime: Runtime) -> Self {
        match (runtime.os, runtime.isolation) {
            (Os::Linux, _) => Self::Linux,
            (Os::Windows, Isolation::HyperV) => Self::HyperV,
            (Os::Windows, Isolation::Process) => Self::Process,
        }
    }
}

/// Something of the host, other than files, that a config can take hold of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[value(rename_all = "PascalCase")]
pub enum HostAccess {
    /// `windows.devices`.
    Devices,
    /// `windows.credentialSpec`: a group managed service account of the host's domain.
    Credentials,
    /// `windows.network`: endpoints and namespaces of the host, and other containers' networks.
    Network,
}

/// What a config says that takes hold of the host.
const ACCESSES: [(&str, &str, HostAccess); 5] = [
    ("/windows/devices", "windows.devices", HostAccess::Devices),
    (
        "/windows/credentialSpec",
        "windows.credentialSpec",
        HostAccess::Credentials,
    ),
    (
        "/windows/network/endpointList",
        "windows.network.endpointList",
        HostAccess::Network,
    ),
    (
        "/windows/network/networkNamespace",
        "windows.network.networkNamespace",
        HostAccess::Network,
    ),
    (
        "/windows/network/networkSharedContainerName",
        "windows.network.networkSharedContainerName",
        HostAccess::Network,
    ),
];

/// Where a config says how much memory: for a container, and for its virtual machine.
const MEMORY_ANNOTATIONS: [&str; 2] = [
    "io.microsoft.container.memory.sizeinmb",
    "io.microsoft.virtualmachine.computetopology.memory.sizeinmb",
];
/// The same of processors.
const CPU_ANNOTATIONS: [&str; 2] = [
    "io.microsoft.container.processor.count",
    "io.microsoft.virtualmachine.computetopology.processor.count",
];

/// Why the host's settings refuse a spec: the field, its value, the rule, the remedy.
#[derive(Debug, thiserror::Error)]
pub enum Denied {
    /// Another kind of container.
    #[error(
        "spec.runtime: {kind:?} is not allowed: this node allows {allowed:?} (--allowed-runtimes); make the object anew with one of these, or let an administrator add it"
    )]
    Runtime {
        /// What it asks for.
        kind: Kind,
        /// What there is.
        allowed: Vec<Kind>,
    },
    /// A config of the user's own.
    #[error(
        "spec.bundle.config: an inline config is not allowed: this node runs only bundles that lie on it (--allow-inline-config); use spec.bundle.path"
    )]
    InlineConfig,
    /// Something of the host.
    #[error(
        "spec.bundle: {field} {value} is not allowed: it reaches the host, and this node does not allow {access:?} (--host-access); remove it, or let an administrator add that"
    )]
    Access {
        /// The field of the config.
        field: &'static str,
        /// Its value.
        value: Value,
        /// What would allow it.
        access: HostAccess,
    },
    /// More than there may be.
    #[error(
        "{field}: {value} {unit} is not allowed: this node allows at most {most} ({setting}); ask for less"
    )]
    TooMuch {
        /// The field.
        field: &'static str,
        /// Its value.
        value: u64,
        /// What both are counted in.
        unit: &'static str,
        /// The most.
        most: u64,
        /// The setting's flag.
        setting: &'static str,
    },
    /// As much as it takes.
    #[error(
        "spec.bundle: {field} is not set: this node allows at most {most} {unit} ({setting}), so a config must say how much; set it"
    )]
    Unlimited {
        /// The field that would limit it.
        field: &'static str,
        /// What it is counted in.
        unit: &'static str,
        /// The most.
        most: u64,
        /// The setting's flag.
        setting: &'static str,
    },
}

/// What the spec itself asks for.
pub fn admit_spec(spec: &HcsContainerSpec, policy: &HostPolicy) -> Result<(), Denied> {
    let kind = Kind::of(spec.runtime);
    if !policy.kinds.contains(&kind) {
        let allowed = policy.kinds.clone();
        return Err(Denied::Runtime { kind, allowed });
    }
    if spec.bundle.config.is_some() && !policy.inline_config {
        return Err(Denied::InlineConfig);
    }
    let size = spec
        .scratch
        .as_ref()
        .map_or(0, |scratch| scratch.size_gb.into());
    match policy.max_scratch_gb {
        Some(most) if size > most => Err(Denied::TooMuch {
            field: "spec.scratch.sizeGB",
            value: size,
            unit: "GB",
            most,
            setting: "--max-scratch-gb",
        }),
        _ => Ok(()),
    }
}

/// What the config asks for, wherever it comes from.
pub fn admit_config(config: &Value, policy: &HostPolicy) -> Result<(), Denied> {
    for (pointer, field, access) in ACCESSES {
        if let Some(value) = config.pointer(pointer).filter(|value| !is_nothing(value))
            && !policy.access.contains(&access)
        {
            let value = value.clone();
            return Err(Denied::Access {
                field,
                value,
                access,
            });
        }
    }
    let memory = Limited {
        field: "windows.resources.memory.limit",
        pointer: "/windows/resources/memory/limit",
        annotations: &MEMORY_ANNOTATIONS,
        unit: "MB",
        per_unit: MB,
        setting: "--max-memory-mb",
    };
    memory.admit(config, policy.max_memory_mb)?;
    let cpus = Limited {
        field: "windows.resources.cpu.count",
        pointer: "/windows/resources/cpu/count",
        annotations: &CPU_ANNOTATIONS,
        unit: "processors",
        per_unit: 1,
        setting: "--max-cpus",
    };
    cpus.admit(config, policy.max_cpus)
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// Something that a config can have more or less of.
struct Limited {
    field: &'static str,
    pointer: &'static str,
    annotations: &'static [&'static str],
    unit: &'static str,
    /// Of what the field is counted in.
    per_unit: u64,
    setting: &'static str,
}

impl Limited {
    fn admit(&self, config: &Value, most: Option<u64>) -> Result<(), Denied> {
        let Some(most) = most else { return Ok(()) };
        let mut said = false;
        let field = config.pointer(self.pointer).and_then(Value::as_u64);
        let field = field.map(|value| (self.field, value.div_ceil(self.per_unit)));
        // hcsshim takes the annotation before the field, and a zero for nothing.
        for (field, value) in field
            .into_iter()
            .chain(self.annotated(config))
            .filter(|(_, value)| *value > 0)
        {
            said = true;
            if value > most {
                return Err(Denied::TooMuch {
                    field,
                    value,
                    unit: self.unit,
                    most,
                    setting: self.setting,
                });
            }
        }
        if said {
            return Ok(());
        }
        Err(Denied::Unlimited {
            field: self.field,
            unit: self.unit,
            most,
            setting: self.setting,
        })
    }

    fn annotated(&self, config: &Value) -> impl Iterator<Item = (&'static str, u64)> {
        let annotations = config.get("annotations");
        self.annotations.iter().filter_map(move |name| {
            let value = annotations?.get(name)?.as_str()?;
            Some((*name, value.parse().ok()?))
        })
    }
}

#[cfg(test)]
mod tests;
