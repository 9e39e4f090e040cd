//! The part of the settings that says what a spec may ask of the host.

use super::validate::host::{HostAccess, Kind};
use super::validate::paths::Roots;

/// Allowed roots by what they are for, and what else is allowed.
#[derive(Clone, Debug)]
pub struct HostPolicy {
    /// `spec.bundle.path`.
    pub bundles: Roots,
    /// `windows.layerFolders` of a config.
    pub layers: Roots,
    /// `spec.scratch.cacheFile`.
    pub caches: Roots,
    /// `mounts[].source` of a config.
    pub mounts: Roots,
    /// `spec.runtime`.
    pub kinds: Vec<Kind>,
    /// Whether there may be a `spec.bundle.config`.
    pub inline_config: bool,
    /// What a config may take hold of.
    pub access: Vec<HostAccess>,
    /// Most memory of a container, in MB; none is no limit.
    pub max_memory_mb: Option<u64>,
    /// Most processors of a container; none is no limit.
    pub max_cpus: Option<u64>,
    /// Largest `spec.scratch.sizeGB`; none is no limit.
    pub max_scratch_gb: Option<u64>,
}

impl HostPolicy {
    /// These folders, and the defaults of all else.
    pub fn of_roots(bundles: Roots, layers: Roots, caches: Roots, mounts: Roots) -> Self {
        Self {
            bundles,
            layers,
            caches,
            mounts,
            kinds: Kind::ALL.to_vec(),
            inline_config: true,
            access: Vec::new(),
            max_memory_mb: None,
            max_cpus: None,
            max_scratch_gb: None,
        }
    }
}
