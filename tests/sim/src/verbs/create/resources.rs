//! Layers: what hcsshim demands of them, makes of them and leaves of them.

use std::fs;
use std::path::Path;

use crate::context::Context;
use crate::failure::{Failure, SpecProblem};
use crate::names;
use crate::node::{Release, write_atomically};
use crate::platform::error_text;
use crate::registry::Record;
use crate::spec::Spec;

/// Go's report of an access to the last element of an empty list.
const NO_LAST_ELEMENT: &str = "panic: runtime error: index out of range [-1]";

/// Checks the layers, and makes the scratch layer if it is not there.
pub fn allocate(context: &Context, record: &Record) -> Result<(), Failure> {
    let spec = &record.spec;
    let layers = spec
        .windows
        .as_ref()
        .and_then(|windows| windows.layer_folders.as_ref());
    if spec.linux {
        return allocate_linux(spec, layers.map_or(0, Vec::len));
    }
    let Some(layers) = layers else {
        return Err(in_vm(record, SpecProblem::NoLayers));
    };
    let Some((scratch, base)) = layers.split_last() else {
        return Err(Failure::Panic(NO_LAST_ELEMENT));
    };
    if record.is_host {
        make_folder(&Path::new(scratch).join("vm"))?;
        if base.is_empty() {
            return Err(in_vm(record, SpecProblem::VmLayers));
        }
    }
    if context.settings.release == Release::V0_13 {
        return Err(in_vm(record, SpecProblem::UntypedLayers));
    }
    make_folder(Path::new(scratch))?;
    let disk = Path::new(scratch).join("sandbox.vhdx");
    if !disk.exists() {
        if base.iter().any(|layer| !Path::new(layer).is_dir()) {
            return Err(in_vm(record, SpecProblem::BaseLayerMissing));
        }
        fs::write(&disk, b"").map_err(|error| file_failure("open", &disk, &error))?;
    }
    let root = spec.root.as_deref().unwrap_or_default();
    if root.is_empty() {
        return if base.is_empty() {
            Err(in_vm(record, SpecProblem::OneLayer))
        } else {
            Ok(())
        };
    }
    if base.is_empty() {
        return Err(in_vm(record, SpecProblem::NotEnoughLayers));
    }
    if !record.is_host && record.host_id.is_empty() && !is_volume(root) {
        return Err(SpecProblem::RootNotVolume(root.to_owned()).into());
    }
    Ok(())
}

fn allocate_linux(spec: &Spec, layers: usize) -> Result<(), Failure> {
    let root = spec.root.as_deref().unwrap_or_default();
    if layers == 0 && root.is_empty() {
        return Err(SpecProblem::NoLinuxRoot.into());
    }
    Ok(())
}

/// A problem found by the process that runs the VM comes with a line break.
fn in_vm(record: &Record, problem: SpecProblem) -> Failure {
    match problem {
        SpecProblem::VmLayers if record.is_host => Failure::Shim(format!("{problem}\n")),
        other => other.into(),
    }
}

/// Notes the scratch layer as mounted. Nothing but a reboot unmounts it: runhcs keeps what it
/// would need for that in a form that it cannot read again.
pub fn record_layers(context: &Context, record: &Record) -> Result<(), Failure> {
    let layers = record
        .spec
        .windows
        .as_ref()
        .and_then(|windows| windows.layer_folders.as_ref());
    let Some(scratch) = layers.and_then(|layers| layers.last()) else {
        return Ok(());
    };
    let file = context.node.layers().join(names::file_name(scratch));
    let text = format!("prepared {scratch}\n");
    write_atomically(&file, text.as_bytes()).map_err(Failure::simulator("noting a layer"))
}

/// Whether `path` is a volume by its GUID.
fn is_volume(path: &str) -> bool {
    let body = path
        .strip_prefix(r"\\?\Volume{")
        .and_then(|rest| rest.strip_suffix(r"}\").or_else(|| rest.strip_suffix('}')));
    body.is_some_and(|guid| {
        guid.len() == 36
            && guid.char_indices().all(|(at, character)| match at {
                8 | 13 | 18 | 23 => character == '-',
                _ => character.is_ascii_hexdigit(),
            })
    })
}

fn make_folder(path: &Path) -> Result<(), Failure> {
    fs::create_dir_all(path).map_err(|error| file_failure("mkdir", path, &error))
}

fn file_failure(operation: &'static str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::File {
        operation,
        path: path.to_owned(),
        reason: error_text(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_volumes_are_roots() {
        assert!(is_volume(
            r"\\?\Volume{01234567-89ab-cdef-0123-456789abcdef}\"
        ));
        assert!(!is_volume(r"C:\rootfs"));
        assert!(!is_volume(r"\\?\Volume{01234567}\"));
    }
}
