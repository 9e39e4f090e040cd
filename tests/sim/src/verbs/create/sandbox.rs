//! Sandboxes and VM hosts: whose VM a container runs in.

use std::collections::BTreeMap;

use crate::context::Context;
use crate::failure::{Failure, SpecProblem};
use crate::spec::Spec;

/// Where a container runs.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// Its sandbox, which may be itself; empty if none.
    pub sandbox: String,
    /// The container whose VM it runs in; empty without a VM.
    pub vm: String,
    /// Whether the VM is its own.
    pub own_vm: bool,
}

/// Annotations by which container runtimes tell sandboxes: those of CRI, of CRI-O, of docker.
const ANNOTATIONS: [(&str, &str); 3] = [
    (
        "io.kubernetes.cri.container-type",
        "io.kubernetes.cri.sandbox-id",
    ),
    (
        "io.kubernetes.cri-o.ContainerType",
        "io.kubernetes.cri-o.SandboxID",
    ),
    ("io.kubernetes.docker.type", "io.kubernetes.sandbox.id"),
];

/// The sandbox's id, and whether the container is that sandbox.
fn sandbox(annotations: &BTreeMap<String, String>) -> (String, bool) {
    let found = ANNOTATIONS.iter().find_map(|(kind, id)| {
        let kind_value = annotations.get(*kind).filter(|value| !value.is_empty())?;
        Some((
            kind_value.as_str(),
            *kind,
            annotations.get(*id).cloned().unwrap_or_default(),
        ))
    });
    match found {
        Some(("container", _, id)) => (id, false),
        Some(("sandbox", _, id) | ("podsandbox", "io.kubernetes.docker.type", id)) => (id, true),
        _ => (String::new(), false),
    }
}

/// Finds the host of the container that is being created.
pub fn find_host(context: &Context, spec: &Spec) -> Result<Host, Failure> {
    let (sandbox_id, is_sandbox) = sandbox(&spec.annotations);
    let mut host_id = context.parsed.text("host").to_owned();
    if is_sandbox {
        if sandbox_id != context.id() {
            return Err(SpecProblem::SandboxId.into());
        }
    } else if !sandbox_id.is_empty() {
        host_id = host_of_sandbox(context, &sandbox_id, host_id)?;
        if spec.vm_isolated() && host_id.is_empty() {
            return Err(SpecProblem::SandboxNotIsolated(sandbox_id).into());
        }
    }
    let mut is_host = false;
    if !host_id.is_empty() {
        if !context.registry.get(&host_id)?.is_host {
            return Err(SpecProblem::NotHost(host_id).into());
        }
    } else if spec.vm_isolated() {
        context.id().clone_into(&mut host_id);
        is_host = true;
    }
    Ok(Host {
        sandbox: sandbox_id,
        vm: host_id,
        own_vm: is_host,
    })
}

fn host_of_sandbox(context: &Context, sandbox_id: &str, wanted: String) -> Result<String, Failure> {
    let sandbox = context.registry.get(sandbox_id)?;
    if sandbox.sandbox_id != sandbox_id {
        return Err(SpecProblem::NotSandbox(sandbox_id.to_owned()).into());
    }
    if wanted.is_empty() || wanted == sandbox.host_id {
        return Ok(sandbox.host_id);
    }
    let sandbox_id = sandbox_id.to_owned();
    Err(if sandbox.host_id.is_empty() {
        SpecProblem::SandboxWithoutHost {
            sandbox: sandbox_id,
            host: wanted,
        }
    } else {
        SpecProblem::OtherHost {
            sandbox: sandbox_id,
            actual: sandbox.host_id,
            host: wanted,
        }
    }
    .into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sandboxes_are_told_by_their_annotations() {
        let annotations = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect()
        };
        let cri = annotations(&[
            ("io.kubernetes.cri.container-type", "container"),
            ("io.kubernetes.cri.sandbox-id", "pod"),
        ]);
        assert_eq!(sandbox(&cri), ("pod".to_owned(), false));
        let docker = annotations(&[
            ("io.kubernetes.docker.type", "podsandbox"),
            ("io.kubernetes.sandbox.id", "pod"),
        ]);
        assert_eq!(sandbox(&docker), ("pod".to_owned(), true));
        assert_eq!(sandbox(&BTreeMap::new()), (String::new(), false));
    }
}
