//! The verbs, their flags and what the real program's help prints of them.

use super::flags::{Flag, Kind};

/// A verb of runhcs.
#[derive(Debug, Clone, Copy)]
pub struct Verb {
    /// Its name; more than one only for `help`.
    pub names: &'static [&'static str],
    /// What it does, on one line.
    pub usage: &'static str,
    /// Its arguments, and what else stands below USAGE.
    pub args_usage: &'static str,
    /// What stands below DESCRIPTION.
    pub description: &'static str,
    /// Its flags.
    pub flags: &'static [Flag],
    /// Whether flags behind arguments are moved before them.
    pub reorder: bool,
    /// Whether help is silent about it.
    pub hidden: bool,
}

const fn text(names: &'static [&'static str], usage: &'static str) -> Flag {
    Flag {
        names,
        kind: Kind::Text(""),
        usage,
    }
}

const fn truth(names: &'static [&'static str], usage: &'static str) -> Flag {
    Flag {
        names,
        kind: Kind::Bool,
        usage,
    }
}

const fn text_or(
    names: &'static [&'static str],
    default: &'static str,
    usage: &'static str,
) -> Flag {
    Flag {
        names,
        kind: Kind::Text(default),
        usage,
    }
}

const VERB: Verb = Verb {
    names: &[],
    usage: "",
    args_usage: "",
    description: "",
    flags: &[],
    reorder: true,
    hidden: false,
};

/// The flag that every verb has beside its own.
pub const HELP: Flag = truth(&["help", "h"], "show help");

/// Flags before the verb.
pub const GLOBAL_FLAGS: &[Flag] = &[
    truth(&["debug"], "enable debug output for logging"),
    text_or(
        &["log"],
        "nul",
        r"set the log file path or named pipe (e.g. \\.\pipe\ProtectedPrefix\Administrators\runhcs-log) where internal debug information is written",
    ),
    text_or(
        &["log-format"],
        "text",
        "set the format used by logs ('text' (default), or 'json')",
    ),
    text_or(&["owner"], "runhcs", "compute system owner"),
    text_or(
        &["root"],
        "default",
        "registry key for storage of container state",
    ),
    HELP,
    truth(&["version", "v"], "print the version"),
];

/// What help says of runhcs.
pub const PROGRAM_USAGE: &str = r#"Open Container Initiative runtime for Windows

runhcs is a fork of runc, modified to run containers on Windows with or without Hyper-V isolation.  Like runc, it is a command line client for running applications packaged according to the Open Container Initiative (OCI) format.

runhcs integrates with existing process supervisors to provide a production container runtime environment for applications. It can be used with your existing process monitoring tools and the container will be spawned as a direct child of the process supervisor.

Containers are configured using bundles. A bundle for a container is a directory that includes a specification file named "config.json".  Bundle contents will depend on the container type.

To start a new instance of a container:

    # runhcs run [ -b bundle ] <container-id>

Where "<container-id>" is your name for the instance of the container that you are starting. The name you provide for the container instance must be unique on your host. Providing the bundle directory using "-b" is optional. The default value for "bundle" is the current directory."#;

const NEW_ID: &str = r#"<container-id>

Where "<container-id>" is your name for the instance of the container that you
are starting. The name you provide for the container instance must be unique on
your host."#;

const BUNDLE: Flag = text(
    &["bundle", "b"],
    "path to the root of the bundle directory, defaults to the current directory",
);
const PID_FILE: Flag = text(&["pid-file"], "specify the file to write the process id to");
const SHIM_LOG: Flag = text(
    &["shim-log"],
    r"path to the log file or named pipe (e.g. \\.\pipe\ProtectedPrefix\Administrators\runhcs-<container-id>-shim-log) for the launched shim process",
);
const VM_LOG: Flag = text(
    &["vm-log"],
    r"path to the log file or named pipe (e.g. \\.\pipe\ProtectedPrefix\Administrators\runhcs-<container-id>-vm-log) for the launched VM shim process",
);
const VM_CONSOLE: Flag = text(
    &["vm-console"],
    r"path to the pipe for the VM's console (e.g. \\.\pipe\debugpipe)",
);
const HOST: Flag = text(
    &["host"],
    "host container whose VM this container should run in",
);
const DETACH: Flag = truth(&["detach", "d"], "detach from the container's process");

const CREATE: Verb = Verb {
    names: &["create"],
    usage: "create a container",
    args_usage: NEW_ID,
    description: r#"The create command creates an instance of a container for a bundle. The bundle
is a directory with a specification file named "config.json" and a root
filesystem.

The specification file includes an args parameter. The args parameter is used
to specify command(s) that get run when the container is started. To change the
command(s) that get executed on start, edit the args parameter of the spec. See
"runc spec --help" for more explanation."#,
    flags: &[BUNDLE, PID_FILE, SHIM_LOG, VM_LOG, VM_CONSOLE, HOST],
    ..VERB
};

const CREATE_SCRATCH: Verb = Verb {
    names: &["create-scratch"],
    usage: "creates a scratch vhdx at 'destpath' that is ext4 formatted",
    description: "Creates a scratch vhdx at 'destpath' that is ext4 formatted",
    flags: &[
        text(
            &["destpath"],
            "Required: describes the destination vhd path",
        ),
        Flag {
            names: &["sizeGB"],
            kind: Kind::Uint,
            usage: "optional: The size in GB of the scratch file to create",
        },
        text(
            &["cache-path"],
            "optional: The path to an existing scratch.vhdx to copy instead of create.",
        ),
    ],
    ..VERB
};

const DELETE: Verb = Verb {
    names: &["delete"],
    usage: "delete any resources held by the container often used with detached container",
    args_usage: r#"<container-id>

Where "<container-id>" is the name for the instance of the container.

EXAMPLE:
For example, if the container id is "ubuntu01" and runhcs list currently shows the
status of "ubuntu01" as "stopped" the following will delete resources held for
"ubuntu01" removing "ubuntu01" from the runhcs list of containers:

       # runhcs delete ubuntu01"#,
    flags: &[truth(
        &["force", "f"],
        "Forcibly deletes the container if it is still running (uses SIGKILL)",
    )],
    ..VERB
};

const EXEC: Verb = Verb {
    names: &["exec"],
    usage: "execute new process inside the container",
    args_usage: "<container-id> <command> [command options]  || -p process.json <container-id>

Where \"<container-id>\" is the name for the instance of the container and
\"<command>\" is the command to be executed in the container.
\"<command>\" can't be empty unless a \"-p\" flag provided.

EXAMPLE:
For example, if the container is configured to run the linux ps command the
following will output a list of processes running in the container:

    \t# runhcs exec <container-id> ps",
    flags: &[
        text(&["cwd"], "current working directory in the container"),
        Flag {
            names: &["env", "e"],
            kind: Kind::List,
            usage: "set environment variables",
        },
        truth(&["tty", "t"], "allocate a pseudo-TTY"),
        text(&["user", "u"], ""),
        text(&["process", "p"], "path to the process.json"),
        DETACH,
        PID_FILE,
        text(
            &["shim-log"],
            r"path to the log file or named pipe (e.g. \\.\pipe\ProtectedPrefix\Administrators\runhcs-<container-id>-<exec-id>-log) for the launched shim process",
        ),
    ],
    reorder: false,
    ..VERB
};

const KILL: Verb = Verb {
    names: &["kill"],
    usage: "kill sends the specified signal (default: SIGTERM) to the container's init process",
    args_usage: r#"<container-id> [signal]

Where "<container-id>" is the name for the instance of the container and
"[signal]" is the signal to be sent to the init process.

EXAMPLE:
For example, if the container id is "ubuntu01" the following will send a "KILL"
signal to the init process of the "ubuntu01" container:

       # runhcs kill ubuntu01 KILL"#,
    ..VERB
};

const LIST: Verb = Verb {
    names: &["list"],
    usage: "lists containers started by runhcs with the given root",
    args_usage: r#"

Where the given root is specified via the global option "--root"
(default: "/run/runhcs").

EXAMPLE 1:
To list containers created via the default "--root":
       # runhcs list

EXAMPLE 2:
To list containers created using a non-default value for "--root":
       # runhcs --root value list"#,
    flags: &[
        text_or(&["format", "f"], "table", "select one of: table or json"),
        truth(&["quiet", "q"], "display only container IDs"),
    ],
    ..VERB
};

const PAUSE: Verb = Verb {
    names: &["pause"],
    usage: "pause suspends all processes inside the container",
    args_usage: r#"<container-id>

Where "<container-id>" is the name for the instance of the container to be
paused. "#,
    description: "The pause command suspends all processes in the instance of the container.

Use runhcs list to identify instances of containers and their current status.",
    ..VERB
};

const PREPARE_DISK: Verb = Verb {
    names: &["prepare-disk"],
    usage: "format a disk with ext4",
    description: "Format a disk with ext4. To be used prior to exposing a pass-through disk. Prerequisite is that disk should be offline ('Get-Disk -Number <disk num> | Set-Disk -IsOffline $true').",
    flags: &[text(
        &["destpath"],
        "Required: describes the destination disk path",
    )],
    ..VERB
};

const PS: Verb = Verb {
    names: &["ps"],
    usage: "ps displays the processes running inside a container",
    args_usage: "<container-id> [ps options]",
    flags: &[text_or(
        &["format", "f"],
        "json",
        "select one of: table or json",
    )],
    reorder: false,
    ..VERB
};

const RESIZE_TTY: Verb = Verb {
    names: &["resize-tty"],
    usage: "resize-tty updates the terminal size for a container process",
    args_usage: "<container-id> <width> <height>",
    flags: &[Flag {
        names: &["pid", "p"],
        kind: Kind::Int,
        usage: "the process pid (defaults to init pid)",
    }],
    ..VERB
};

const RESUME: Verb = Verb {
    names: &["resume"],
    usage: "resumes all processes that have been previously paused",
    args_usage: r#"<container-id>

Where "<container-id>" is the name for the instance of the container to be
resumed."#,
    description: "The resume command resumes all processes in the instance of the container.

Use runhcs list to identify instances of containers and their current status.",
    ..VERB
};

const RUN: Verb = Verb {
    names: &["run"],
    usage: "create and run a container",
    args_usage: NEW_ID,
    description: r#"The run command creates an instance of a container for a bundle. The bundle
is a directory with a specification file named "config.json" and a root
filesystem.

The specification file includes an args parameter. The args parameter is used
to specify command(s) that get run when the container is started. To change the
command(s) that get executed on start, edit the args parameter of the spec."#,
    flags: &[BUNDLE, PID_FILE, SHIM_LOG, VM_LOG, VM_CONSOLE, HOST, DETACH],
    ..VERB
};

const SHIM: Verb = Verb {
    names: &["shim"],
    usage: "launch the process and proxy stdio (do not call it outside of runhcs)",
    flags: &[truth(&["exec"], "")],
    hidden: true,
    ..VERB
};

const START: Verb = Verb {
    names: &["start"],
    usage: "executes the user defined process in a created container",
    args_usage: NEW_ID,
    description: "The start command executes the user defined process in a created container.",
    ..VERB
};

const STATE: Verb = Verb {
    names: &["state"],
    usage: "output the state of a container",
    args_usage: r#"<container-id>

Where "<container-id>" is your name for the instance of the container."#,
    description: "The state command outputs current state information for the
instance of a container.",
    ..VERB
};

const HELP_VERB: Verb = Verb {
    names: &["help", "h"],
    usage: "Shows a list of commands or help for one command",
    args_usage: "[command]",
    ..VERB
};

/// All verbs, in the order of help.
pub const VERBS: &[Verb] = &[
    CREATE,
    CREATE_SCRATCH,
    DELETE,
    EXEC,
    KILL,
    LIST,
    PAUSE,
    PREPARE_DISK,
    PS,
    RESIZE_TTY,
    RESUME,
    RUN,
    SHIM,
    START,
    STATE,
    HELP_VERB,
];

/// The verb of this name.
pub fn find(name: &str) -> Option<&'static Verb> {
    VERBS.iter().find(|verb| verb.names.contains(&name))
}
