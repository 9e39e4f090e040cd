//! Which annotations an OCI runtime spec may carry: runhcs acts on some, and a few of these reach
//! beyond the container. Of what belongs to runhcs, only what is known to stay inside is allowed, so
//! that one which a later runhcs knows is refused until somebody has looked at it.

/// Beginnings of the names, in lower case, that runhcs, the runtimes it listens to, or this operator
/// take for their own. runhcs reads those of three runtimes as sandbox annotations, which put a
/// container into another's virtual machine.
pub(crate) const RESERVED: [&str; 8] = [
    "com.microsoft.",
    "hcs-operator.dev/",
    "io.kubernetes.cri-o.",
    "io.kubernetes.cri.",
    "io.kubernetes.docker.",
    "io.kubernetes.sandbox.",
    "io.microsoft.",
    "microsoft.com/",
];

/// Those of them that are allowed, in lower case (hcsshim v0.11.7, `pkg/annotations`): sizes and
/// weights, dumps inside the container, and what makes it safer.
pub(crate) const ALLOWED: [&str; 23] = [
    "io.microsoft.container.memory.sizeinmb",
    "io.microsoft.container.processdumplocation",
    "io.microsoft.container.processor.count",
    "io.microsoft.container.processor.limit",
    "io.microsoft.container.processor.weight",
    "io.microsoft.container.storage.qos.bandwidthmaximum",
    "io.microsoft.container.storage.qos.iopsmaximum",
    "io.microsoft.container.wcow.gmsa.disable",
    "io.microsoft.disable-unsafe-operations",
    "io.microsoft.lcow.rlimitcore",
    "io.microsoft.lcow.shm.size-kb",
    "io.microsoft.virtualmachine.computetopology.memory.allowovercommit",
    "io.microsoft.virtualmachine.computetopology.memory.enablecolddiscardhint",
    "io.microsoft.virtualmachine.computetopology.memory.enabledeferredcommit",
    "io.microsoft.virtualmachine.computetopology.memory.sizeinmb",
    "io.microsoft.virtualmachine.computetopology.processor.count",
    "io.microsoft.virtualmachine.computetopology.processor.limit",
    "io.microsoft.virtualmachine.computetopology.processor.weight",
    "io.microsoft.virtualmachine.fileshares.disablewritable",
    "io.microsoft.virtualmachine.fullyphysicallybacked",
    "io.microsoft.virtualmachine.wcow.timezone.noinherit",
    "io.microsoft.wcow.processdumpcount",
    "io.microsoft.wcow.processdumptype",
];

/// Whether an annotation of this name may reach beyond the container: into another's virtual machine,
/// to files and devices of the node, or into the operator's own.
pub fn annotation_reaches_beyond(name: &str) -> bool {
    let name = name.to_lowercase();
    RESERVED.iter().any(|start| name.starts_with(start)) && !ALLOWED.contains(&name.as_str())
}
