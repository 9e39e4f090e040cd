//! From a spec, each string of which may be hostile, to what the agent acts on.
//!
//! The API server has checked the schema and the rules already; all of it is checked again here,
//! since a schema can be replaced and an object can be older than it. Nothing here touches the
//! node: what needs a look at its disk is checked when the bundle is prepared.

use hcs_crds::{
    DesiredState, HcsContainer, HcsContainerSpec, Isolation, ManagementPolicy, Os, StopSignal,
};
use jiff::SignedDuration;
use kube::ResourceExt as _;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::plan::{Desired, Goal};
use super::record::TerminalSize;

pub mod config;
pub mod host;
mod keys;
pub mod paths;

/// Why a spec cannot be acted on.
#[derive(Debug, thiserror::Error)]
pub enum InvalidSpec {
    /// Neither or both of the ways to name a bundle.
    #[error("spec.bundle: set exactly one of config and path")]
    Bundle,
    /// A container for Linux without a VM.
    #[error("spec.runtime: os Linux needs isolation HyperV")]
    LinuxWithoutVm,
    /// A pause that Windows refuses.
    #[error(
        "spec.desiredState: Paused needs isolation HyperV; Windows cannot pause a process-isolated container"
    )]
    PausedProcess,
    /// A scratch that nothing would use.
    #[error("spec.scratch: only a container of os Linux has a scratch of its own")]
    ScratchOnWindows,
    /// A scratch of no size.
    #[error("spec.scratch.sizeGB: must be at least 1")]
    ScratchSize,
    /// A terminal of no size.
    #[error("spec.tty: width and height must be from 1 to 65535")]
    Tty,
    /// A signal of the other operating system.
    #[error("spec.stopSignal: {signal} is no signal of os {os:?}")]
    StopSignal {
        /// The signal.
        signal: StopSignal,
        /// The system inside the container.
        os: Os,
    },
    /// A backoff that would shrink.
    #[error("spec.restart: initialBackoffSeconds is greater than maxBackoffSeconds")]
    Backoff,
    /// Something in the inline config.
    #[error("spec.bundle.config: {0}")]
    Config(#[from] config::InvalidConfig),
    /// The object has no uid or namespace, so it did not come from an API server.
    #[error("metadata: uid or namespace is missing")]
    Metadata,
}

/// What decides of this object, by its spec and its deletion.
pub fn desired(object: &HcsContainer) -> Desired {
    let spec = &object.spec;
    let goal = match spec.desired_state {
        _ if object.metadata.deletion_timestamp.is_some() => Goal::Gone,
        DesiredState::Created => Goal::Created,
        DesiredState::Running => Goal::Running,
        DesiredState::Paused => Goal::Paused,
        DesiredState::Stopped => Goal::Stopped,
        DesiredState::Deleted => Goal::Deleted,
    };
    Desired {
        generation: object.metadata.generation.unwrap_or_default(),
        goal,
        hash: hash(spec),
        restart_request: spec.restart_request.clone(),
        restart_policy: spec.restart_policy,
        max_restarts: spec.restart.max_restarts,
        update_policy: spec.update_policy,
        scratch_gb: spec.scratch.as_ref().map(|scratch| scratch.size_gb),
        tty: spec.tty.map(|tty| TerminalSize {
            width: tty.width,
            height: tty.height,
        }),
        grace: SignedDuration::from_secs(spec.termination_grace_period_seconds.into()),
        reset_after: SignedDuration::from_secs(spec.restart.reset_after_seconds.into()),
        ttl: spec
            .ttl_seconds_after_finished
            .map(|seconds| SignedDuration::from_secs(seconds.into())),
    }
}

/// Whether the agent only looks on.
pub fn observes(object: &HcsContainer) -> bool {
    object.spec.management_policy == ManagementPolicy::Observe
}

/// The checks that need no look at the node's disk.
pub fn check(object: &HcsContainer) -> Result<(), InvalidSpec> {
    let spec = &object.spec;
    if object.uid().is_none() || object.namespace().is_none() {
        return Err(InvalidSpec::Metadata);
    }
    if spec.runtime.os == Os::Linux && spec.runtime.isolation != Isolation::HyperV {
        return Err(InvalidSpec::LinuxWithoutVm);
    }
    if spec.desired_state == DesiredState::Paused && spec.runtime.isolation == Isolation::Process {
        return Err(InvalidSpec::PausedProcess);
    }
    match &spec.scratch {
        Some(_) if spec.runtime.os != Os::Linux => return Err(InvalidSpec::ScratchOnWindows),
        Some(scratch) if scratch.size_gb == 0 => return Err(InvalidSpec::ScratchSize),
        _ => {}
    }
    if spec
        .tty
        .is_some_and(|tty| tty.width == 0 || tty.height == 0)
    {
        return Err(InvalidSpec::Tty);
    }
    if let Some(signal) = spec
        .stop_signal
        .filter(|signal| !signal.is_for(spec.runtime.os))
    {
        return Err(InvalidSpec::StopSignal {
            signal,
            os: spec.runtime.os,
        });
    }
    if spec.restart.initial_backoff_seconds > spec.restart.max_backoff_seconds {
        return Err(InvalidSpec::Backoff);
    }
    match (&spec.bundle.config, &spec.bundle.path) {
        (Some(config), None) => {
            let value = serde_json::Value::Object(config.to_map());
            config::check(&value, spec.runtime).map_err(InvalidSpec::Config)
        }
        (None, Some(_)) => Ok(()),
        _ => Err(InvalidSpec::Bundle),
    }
}

/// A hash of all that only a new container can honour.
fn hash(spec: &HcsContainerSpec) -> String {
    #[derive(Serialize)]
    struct Baked<'a> {
        bundle: &'a hcs_crds::Bundle,
        runtime: hcs_crds::Runtime,
        scratch_gb: Option<u32>,
    }
    let baked = Baked {
        bundle: &spec.bundle,
        runtime: spec.runtime,
        scratch_gb: spec.scratch.as_ref().map(|scratch| scratch.size_gb),
    };
    // A map with string keys always serializes; an empty text would only mean "changed".
    let text = serde_json::to_vec(&baked).unwrap_or_default();
    Sha256::digest(text)
        .iter()
        .take(16)
        .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

#[cfg(test)]
mod tests;
