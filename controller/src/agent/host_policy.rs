//! The part of the settings that says what a spec may ask of the host.

use super::validate::paths::Roots;

/// Allowed roots by what they are for.
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
}
