//! CEL rules that look at more than one field, or at the old object. Rules of one string stand
//! with it, in `paths.rs` and `schema.rs`.
//!
//! Messages say what to do, and name the defaults that a user may not have written.

use kube::core::Rule;

fn rule(rule: &str, message: &str, field: &str) -> Rule {
    let plain = Rule::new(rule).message(message);
    if field.is_empty() {
        plain
    } else {
        plain.field_path(field)
    }
}

pub(crate) fn node_name_is_a_name() -> Rule {
    rule(
        "self.matches(r'^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",
        "nodeName must be a Node's name: lower-case letters, digits, '-' and '.', with a letter \
         or digit at both ends",
        "",
    )
}

pub(crate) fn node_name_is_immutable() -> Rule {
    rule(
        "self == oldSelf",
        "nodeName is immutable: a container cannot move; delete the object and make it anew",
        "",
    )
}

pub(crate) fn runtime_is_immutable() -> Rule {
    rule(
        "self == oldSelf",
        "runtime is immutable: delete the object and make it anew",
        "",
    )
}

pub(crate) fn linux_needs_hyperv() -> Rule {
    rule(
        "self.os != 'Linux' || self.isolation == 'HyperV'",
        "os Linux (LCOW) needs isolation HyperV (the default is Process)",
        ".isolation",
    )
}

pub(crate) fn one_bundle_source() -> Rule {
    rule(
        "has(self.config) != has(self.path)",
        "exactly one of bundle.config and bundle.path must be set",
        "",
    )
}

pub(crate) fn backoff_is_ordered() -> Rule {
    rule(
        "self.initialBackoffSeconds <= self.maxBackoffSeconds",
        "initialBackoffSeconds (default 10) must not be greater than maxBackoffSeconds \
         (default 300)",
        ".initialBackoffSeconds",
    )
}

pub(crate) fn scratch_needs_linux() -> Rule {
    rule(
        "!has(self.scratch) || self.runtime.os == 'Linux'",
        "scratch needs runtime.os Linux: a Windows container's writable layer is the last of \
         its layerFolders",
        ".scratch",
    )
}

pub(crate) fn paused_needs_hyperv() -> Rule {
    rule(
        "self.desiredState != 'Paused' || self.runtime.isolation == 'HyperV'",
        "desiredState Paused needs runtime.isolation HyperV: Windows cannot pause a container \
         with process isolation",
        ".desiredState",
    )
}

pub(crate) fn stop_signal_fits_os() -> Rule {
    rule(
        "!has(self.stopSignal) || self.stopSignal in ['TERM', 'KILL'] || \
         self.stopSignal.startsWith('Ctrl') == (self.runtime.os == 'Windows')",
        "stopSignal does not exist in runtime.os: Windows has CtrlC, CtrlBreak, CtrlClose, \
         CtrlLogOff, CtrlShutdown, TERM and KILL; Linux has TERM, KILL and the other names",
        ".stopSignal",
    )
}

pub(crate) fn windows_config_needs_layers() -> Rule {
    rule(
        "!has(self.bundle.config) || self.runtime.os != 'Windows' || \
         (has(self.bundle.config.windows) && \
         has(self.bundle.config.windows.layerFolders) && \
         size(self.bundle.config.windows.layerFolders) > 1)",
        "bundle.config.windows.layerFolders needs at least two folders with runtime.os Windows: \
         the base layer and the one that the container writes to",
        ".bundle.config",
    )
}

pub(crate) fn linux_config_needs_linux() -> Rule {
    rule(
        "!has(self.bundle.config) || !has(self.bundle.config.linux) || self.runtime.os == 'Linux'",
        "bundle.config.linux needs runtime.os Linux: runhcs would take the container for an LCOW \
         one",
        ".bundle.config",
    )
}

pub(crate) fn hyperv_config_needs_hyperv() -> Rule {
    rule(
        "!has(self.bundle.config) || !has(self.bundle.config.windows) || \
         !has(self.bundle.config.windows.hyperv) || self.runtime.isolation == 'HyperV'",
        "bundle.config.windows.hyperv needs runtime.isolation HyperV",
        ".bundle.config",
    )
}
