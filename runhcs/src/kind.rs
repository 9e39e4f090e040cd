//! What a failure means, found in runhcs' own words: its exit code is 1 for nearly everything,
//! so the text on stderr is all there is to tell "not found" from "already running".

use std::fmt;

/// Declares the kinds once, with their labels.
macro_rules! kinds {
    ($($(#[$doc:meta])+ $kind:ident,)+) => {
        /// What kind of failure an [`Error`](crate::Error) is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum ErrorKind {
            $($(#[$doc])+ $kind,)+
        }

        impl ErrorKind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$kind,)+];

            /// A stable CamelCase label, the variant's own name, for metrics and conditions.
            pub fn label(self) -> &'static str {
                match self {
                    $(Self::$kind => stringify!($kind),)+
                }
            }
        }
    };
}

kinds! {
    /// No container has this id.
    NotFound,
    /// `create`: runhcs has a container of this id.
    AlreadyExists,
    /// `create`: the compute service has a system of this id that runhcs does not know.
    HcsAlreadyExists,
    /// The compute service has no system of this id any more.
    HcsNotFound,
    /// The verb wants a running container ("container is stopped": also said of created and
    /// paused ones).
    NotRunning,
    /// `delete` without force of a container that has not ended.
    NotStopped,
    /// `start` of a running container.
    AlreadyRunning,
    /// `start` of a paused container.
    CannotStartPaused,
    /// `start` of a container that has ended.
    CannotStartStopped,
    /// The compute service refuses the operation in the container's present state.
    InvalidState,
    /// Windows cannot do it for this kind of container, such as pause one with process isolation.
    NotSupported,
    /// runhcs has no such process on record: `resize-tty` of a container that was not started, or
    /// of an unknown pid.
    StateMissing,
    /// The init process has ended, its container not yet.
    ProcessGone,
    /// The program to run is not in the container.
    ProgramNotFound,
    /// The working folder of the process to run is not in the container.
    DirectoryNotFound,
    /// The bundle, or the `config.json` in it, is missing or no good.
    BundleInvalid,
    /// `exec`: the process file is no good.
    ProcessInvalid,
    /// The container's layers could not be put together.
    StorageFailed,
    /// A file that the call names (process, pid, log, cache) is missing or cannot be made.
    FileNotFound,
    /// Windows denied access.
    AccessDenied,
    /// The command line, as runhcs sees it, is wrong.
    Usage,
    /// `kill`: no such signal for this kind of container.
    InvalidSignal,
    /// The shim ended without a word.
    ShimFailed,
    /// The container ended when it should have started.
    UnexpectedExit,
    /// runhcs itself crashed.
    Crashed,
    /// The input was refused before anything was started.
    InvalidInput,
    /// There is no such executable.
    ExecutableNotFound,
    /// The executable is there but cannot be run.
    NotExecutable,
    /// The system could not start, feed or wait for the process.
    Io,
    /// The call did not end in time and was killed.
    TimedOut,
    /// Something else killed runhcs.
    Killed,
    /// runhcs succeeded, and its answer makes no sense or is too long.
    BadOutput,
    /// Anything else that runhcs says.
    Failed,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// A line of stderr is of a kind if it starts, goes on and ends like this.
type Rule = (&'static str, &'static str, &'static str, ErrorKind);

const RULES: &[Rule] = {
    use ErrorKind as K;
    &[
        ("ID '", "", "' was not found", K::NotFound),
        ("container ", "", " already exists", K::AlreadyExists),
        ("container already created", "", "", K::AlreadyExists),
        ("container is stopped", "", "", K::NotRunning),
        (
            "cannot delete container ",
            " that is not stopped",
            "",
            K::NotStopped,
        ),
        (
            "cannot start an already running container",
            "",
            "",
            K::AlreadyRunning,
        ),
        (
            "cannot start a container in the 'paused' state",
            "",
            "",
            K::CannotStartPaused,
        ),
        (
            "cannot start a container in the '",
            "",
            "' state",
            K::InvalidState,
        ),
        (
            "cannot start a container that has stopped",
            "",
            "",
            K::CannotStartStopped,
        ),
        ("state '", "' is not present for ID '", "'", K::StateMissing),
        ("invalid signal value", "", "", K::InvalidSignal),
        ("invalid command usage", "", "", K::Usage),
        ("invalid format option", "", "", K::Usage),
        ("No help topic for '", "", "'", K::Usage),
        ("flag provided but not defined", "", "", K::Usage),
        ("unknown log-format ", "", "", K::Usage),
        ("'destpath' is required", "", "", K::Usage),
        ("LCOW is not supported", "", "", K::NotSupported),
        ("unknown shim failure", "", "", K::ShimFailed),
        ("panic: ", "", "", K::Crashed),
        ("fatal error: ", "", "", K::Crashed),
        ("process args cannot be empty", "", "", K::ProcessInvalid),
        ("cwd property must not be empty", "", "", K::ProcessInvalid),
        ("cwd must be an absolute path", "", "", K::ProcessInvalid),
        ("args must not be empty", "", "", K::ProcessInvalid),
        (
            "JSON specification file ",
            "",
            " not found",
            K::BundleInvalid,
        ),
        ("chdir ", ": ", "", K::BundleInvalid),
        ("field 'Spec.", "", "", K::BundleInvalid),
        ("invalid character ", "", "", K::BundleInvalid),
        ("unexpected end of JSON input", "", "", K::BundleInvalid),
        ("unexpected EOF", "", "", K::BundleInvalid),
        ("EOF", "", "", K::BundleInvalid),
        ("json: cannot unmarshal ", "", "", K::BundleInvalid),
        (
            "failed to mount container storage: ",
            "",
            "",
            K::StorageFailed,
        ),
        ("failed to CreateSandboxLayer: ", "", "", K::StorageFailed),
        (
            "hcs::System::CreateProcess",
            "",
            "The system cannot find the file specified.",
            K::ProgramNotFound,
        ),
        (
            "hcs::System::CreateProcess",
            "",
            "The system cannot find the path specified.",
            K::ProgramNotFound,
        ),
        (
            "hcs::System::CreateProcess",
            "",
            "The directory name is invalid.",
            K::DirectoryNotFound,
        ),
        (
            "hcs::System::OpenProcess",
            "",
            "Element not found.",
            K::ProcessGone,
        ),
        (
            "hcs::",
            "",
            "operation is not valid in the current state.",
            K::InvalidState,
        ),
        (
            "hcs::",
            "",
            "The request is not supported.",
            K::NotSupported,
        ),
        (
            "hcs::",
            "",
            "identifier already exists.",
            K::HcsAlreadyExists,
        ),
        ("hcs::", "", "identifier does not exist.", K::HcsNotFound),
        ("hcs::", "", "identifier is not running.", K::NotRunning),
        ("hcs::", "", "exited unexpectedly.", K::UnexpectedExit),
        (
            "open ",
            "",
            "cannot find the file specified.",
            K::FileNotFound,
        ),
        (
            "open ",
            "",
            "cannot find the path specified.",
            K::FileNotFound,
        ),
        ("", "", "Access is denied.", K::AccessDenied),
    ]
};

impl ErrorKind {
    /// The kind of failure that runhcs tells of on stderr: the first line that is known decides,
    /// as more may follow it (the compute service's events) or precede it (help texts). `verb` is
    /// what was called: a JSON error is about the bundle in `create`, but the process in `exec`.
    pub fn classify(verb: &str, stderr: &str) -> Self {
        let known = |line: &str| RULES.iter().find(|rule| matches(line.trim(), rule));
        match stderr.lines().find_map(known) {
            Some((.., Self::BundleInvalid)) if verb == "exec" => Self::ProcessInvalid,
            Some((.., kind)) => *kind,
            None => Self::Failed,
        }
    }
}

fn matches(line: &str, (start, middle, end, _): &Rule) -> bool {
    line.strip_prefix(start)
        .and_then(|rest| rest.strip_suffix(end))
        .is_some_and(|rest| rest.contains(middle))
}
