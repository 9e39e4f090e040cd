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
pub fn admit_config(config: &Value, runtime: Runtime, policy: &HostPolicy) -> Result<(), Denied> {
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
    let kind = Kind::of(runtime);
    MEMORY.admit(config, kind, policy.max_memory_mb)?;
    CPUS.admit(config, kind, policy.max_cpus)
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
    /// The annotation that outweighs the field for the container, wherever it runs.
    container: &'static str,
    /// The one that does so for its virtual machine, which is what the host gives away.
    vm: &'static str,
    unit: &'static str,
    /// Of what the field is counted in.
    per_unit: u64,
    setting: &'static str,
}

const MEMORY: Limited = Limited {
    field: "windows.resources.memory.limit",
    pointer: "/windows/resources/memory/limit",
    container: "io.microsoft.container.memory.sizeinmb",
    vm: "io.microsoft.virtualmachine.computetopology.memory.sizeinmb",
    unit: "MB",
    per_unit: MB,
    setting: "--max-memory-mb",
};

const CPUS: Limited = Limited {
    field: "windows.resources.cpu.count",
    pointer: "/windows/resources/cpu/count",
    container: "io.microsoft.container.processor.count",
    vm: "io.microsoft.virtualmachine.computetopology.processor.count",
    unit: "processors",
    per_unit: 1,
    setting: "--max-cpus",
};

impl Limited {
    fn admit(&self, config: &Value, kind: Kind, most: Option<u64>) -> Result<(), Denied> {
        let Some(most) = most else { return Ok(()) };
        let field = config.pointer(self.pointer).and_then(Value::as_u64);
        let field = field.unwrap_or_default();
        let [container, vm] = [self.container, self.vm].map(|name| annotated(config, name));
        for (field, value) in [
            (self.field, field.div_ceil(self.per_unit)),
            (self.container, container),
            (self.vm, vm),
        ] {
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
        // hcsshim takes the annotation before the field, a zero for nothing, and less than one unit for zero. With a
        // virtual machine, what is said of the container alone leaves the machine as large as hcsshim makes one.
        let annotated = if kind == Kind::Process { container } else { vm };
        if annotated > 0 || field >= self.per_unit {
            return Ok(());
        }
        Err(Denied::Unlimited {
            field: self.field,
            unit: self.unit,
            most,
            setting: self.setting,
        })
    }
}

/// What an annotation says, read as hcsshim does (`strconv.ParseUint`): digits alone, so no sign, and else nothing.
fn annotated(config: &Value, name: &str) -> u64 {
    let value = config.get("annotations").and_then(|all| all.get(name));
    let digits = value
        .and_then(Value::as_str)
        .filter(|value| value.bytes().all(|byte| byte.is_ascii_digit()));
    digits
        .and_then(|digits| digits.parse().ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
