//! Why a call fails, in the words that runhcs prints.

use std::path::PathBuf;

use crate::platform::open_error_text;

/// Go's report of an access through a pointer to nothing.
pub const NIL_POINTER: &str = "panic: runtime error: invalid memory address or nil pointer dereference\n[signal 0xc0000005 \
     code=0x1 addr=0x50 pc=0x0]";

/// A failed call: `Display` is the text on standard error.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The arguments do not fit the verb; the verb's help precedes on standard output.
    #[error("invalid command usage")]
    Usage,
    /// No record of this id.
    #[error("ID '{0}' was not found")]
    NotFound(String),
    /// The record of `id` lacks `key`.
    #[error("state '{key}' is not present for ID '{id}'")]
    NoState {
        /// Id as given.
        id: String,
        /// Name of the registry value.
        key: String,
    },
    /// A record of this id is there.
    #[error("container {0} already exists")]
    AlreadyExists(String),
    /// The verb wants a container that lives.
    #[error("container is stopped")]
    Stopped,
    /// `start` of a container that is not created.
    #[error("cannot start {0}")]
    CannotStart(CannotStart),
    /// `delete` without force.
    #[error("cannot delete container {id} that is not stopped: {status}")]
    CannotDelete {
        /// Id as given.
        id: String,
        /// Status of the container.
        status: &'static str,
    },
    /// An unknown signal.
    #[error("invalid signal value")]
    InvalidSignal,
    /// An unknown `--format`.
    #[error("invalid format option")]
    InvalidFormat,
    /// The Host Compute Service refused.
    #[error("{operation} {id}: {reason}")]
    System {
        /// What hcsshim calls the operation.
        operation: &'static str,
        /// Id of the system.
        id: String,
        /// Why.
        reason: HcsReason,
    },
    /// A process could not be made.
    #[error("hcs::System::CreateProcess: {command_line} {id}: {reason}")]
    CreateProcess {
        /// What was to run.
        command_line: String,
        /// Id of the system.
        id: String,
        /// Why.
        reason: HcsReason,
    },
    /// No `config.json` in the bundle.
    #[error("JSON specification file config.json not found")]
    NoSpecification,
    /// A JSON document that Go's decoder refuses.
    #[error(transparent)]
    Json(#[from] crate::go_json::JsonError),
    /// A configuration that hcsshim refuses.
    #[error(transparent)]
    Spec(#[from] SpecProblem),
    /// An operation on a file failed.
    #[error("{operation} {}: {reason}", path.display())]
    File {
        /// Go's name for the operation.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// A file could not be given its name.
    #[error("rename {} {}: {reason}", from.display(), to.display())]
    Rename {
        /// Its name so far.
        from: PathBuf,
        /// Its name to be.
        to: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// What a shim said before it ended. It ends with a line break of its own.
    #[error("{0}")]
    Shim(String),
    /// A shim ended without a word.
    #[error("unknown shim failure, exit code {0}")]
    SilentShim(u32),
    /// The program reads memory that is not there: Go's report, exit code 2.
    #[error("{0}\n\ngoroutine 1 [running]:\nmain.main()")]
    Panic(&'static str),
    /// A fault that was asked for.
    #[error("{text}")]
    Injected {
        /// Text on standard error.
        text: String,
        /// Exit code.
        exit_code: u32,
    },
    /// An unknown `--log-format`.
    #[error("unknown log-format {0:?}")]
    LogFormat(String),
    /// A handle of a process that cannot be.
    #[error("OpenProcess: The parameter is incorrect.")]
    OpenProcess,
    /// The simulator itself cannot go on.
    #[error("runhcs-sim: {context}: {source}")]
    Simulator {
        /// What it was doing.
        context: &'static str,
        /// Why it cannot.
        source: std::io::Error,
    },
}

/// Why a container cannot be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CannotStart {
    /// It runs.
    #[error("an already running container")]
    Running,
    /// It ran.
    #[error("a container that has stopped")]
    Stopped,
    /// It is held.
    #[error("a container in the 'paused' state")]
    Paused,
}

/// The words of the Host Compute Service.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HcsReason {
    /// 0x80370105.
    #[error(
        "The requested virtual machine or container operation is not valid in the current state."
    )]
    InvalidState,
    /// 0x8037010D.
    #[error("The virtual machine or container JSON document is invalid.")]
    InvalidDocument,
    /// 0x8037010F.
    #[error("A virtual machine or container with the specified identifier already exists.")]
    AlreadyExists,
    /// ERROR_NOT_FOUND.
    #[error("Element not found.")]
    ElementNotFound,
    /// ERROR_NOT_SUPPORTED.
    #[error("The request is not supported.")]
    NotSupported,
    /// Why a process could not be made.
    #[error("{0}")]
    Process(String),
}

/// What hcsshim has against a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecProblem {
    /// `windows.layerFolders` is absent.
    #[error("field 'Spec.Windows.Layerfolders' is not populated")]
    NoLayers,
    /// One layer only.
    #[error("failed to mount container storage: need at least two layers - base and scratch")]
    OneLayer,
    /// One layer only, with a root path given.
    #[error("invalid spec - not enough layer folders supplied")]
    NotEnoughLayers,
    /// One layer only, for Hyper-V isolation.
    #[error("UVM options incorrect: at least 2 LayerFolders must be supplied")]
    VmLayers,
    /// Any Windows container, since v0.13.0.
    #[error("failed to mount container storage: invalid layer type <nil>")]
    UntypedLayers,
    /// A base layer is not there.
    #[error(
        "failed to CreateSandboxLayer: hcsshim::CreateScratchLayer failed in Win32: \
         The system cannot find the path specified. (0x3)"
    )]
    BaseLayerMissing,
    /// LCOW without layers and root.
    #[error("must provide either Windows.LayerFolders or Root.Path")]
    NoLinuxRoot,
    /// A root path for process isolation that is not a volume.
    #[error(
        r"invalid container spec - Root.Path '{0}' must be a volume GUID path in the format '\\?\Volume{{GUID}}\'"
    )]
    RootNotVolume(String),
    /// A sandbox container by another id.
    #[error("sandbox ID must match ID")]
    SandboxId,
    /// The container that is to be the sandbox is none.
    #[error("container {0} is not a sandbox")]
    NotSandbox(String),
    /// `--host` with a sandbox that has no host.
    #[error(
        "sandbox container {sandbox} is not running in a VM host, but host {host} was specified"
    )]
    SandboxWithoutHost {
        /// The sandbox.
        sandbox: String,
        /// Value of `--host`.
        host: String,
    },
    /// `--host` with a sandbox in another host.
    #[error(
        "sandbox container {sandbox} has a different host {actual} from the requested host {host}"
    )]
    OtherHost {
        /// The sandbox.
        sandbox: String,
        /// Its host.
        actual: String,
        /// Value of `--host`.
        host: String,
    },
    /// A VM-isolated container in a sandbox that is not.
    #[error("container {0} is not a VM isolated sandbox")]
    SandboxNotIsolated(String),
    /// `--host` names a container that is no host.
    #[error("host container {0} is not a VM host")]
    NotHost(String),
    /// exec without a program.
    #[error("process args cannot be empty")]
    NoArguments,
    /// A process document without arguments.
    #[error("args must not be empty")]
    EmptyArguments,
    /// A process document without a folder.
    #[error("cwd property must not be empty")]
    NoCwd,
    /// A process document with a relative folder.
    #[error("cwd must be an absolute path")]
    RelativeCwd,
    /// create-scratch without a path.
    #[error("'destpath' is required")]
    NoDestination,
    /// create-scratch onto something.
    #[error(
        "failed to create ext4vhdx for 'createscratch-uvm': failed to create VHDx {path}: failed to create virtual disk: {reason}"
    )]
    Scratch {
        /// Value of `--destpath`.
        path: String,
        /// The system's words.
        reason: String,
    },
    /// create-scratch from a cache that cannot be copied.
    #[error(
        "failed to create ext4vhdx for 'createscratch-uvm': \
         failed to copy cached file '{cache}' to '{path}': \
         failed CopyFileW Win32 call from '{cache}' to '{path}': {reason}"
    )]
    ScratchCopy {
        /// Value of `--cache-path`.
        cache: String,
        /// Value of `--destpath`.
        path: String,
        /// The system's words.
        reason: String,
    },
    /// create-scratch that cannot fill the cache.
    #[error(
        "failed to create ext4vhdx for 'createscratch-uvm': \
         failed to seed cache '{path}' from '{cache}': \
         failed CopyFileW Win32 call from '{path}' to '{cache}': {reason}"
    )]
    ScratchSeed {
        /// Value of `--cache-path`.
        cache: String,
        /// Value of `--destpath`.
        path: String,
        /// The system's words.
        reason: String,
    },
}

impl Failure {
    /// Exit code of the call.
    pub fn exit_code(&self) -> u32 {
        match self {
            Self::Injected { exit_code, .. } => *exit_code,
            Self::Panic(_) => 2,
            _ => 1,
        }
    }

    /// A file could not be read. Go opens a folder too, and only cannot read it.
    pub fn reading(path: PathBuf, error: &std::io::Error) -> Self {
        if path.is_dir() {
            let reason = "Incorrect function.".to_owned();
            return Self::File {
                operation: "read",
                path,
                reason,
            };
        }
        let reason = open_error_text(&path, error);
        Self::File {
            operation: "open",
            path,
            reason,
        }
    }

    /// A failure of the simulator itself.
    pub fn simulator(context: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Simulator { context, source }
    }
}
