//! Stop signals by name. Which of them a container takes depends on the system inside it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::spec::Os;

/// A name that is none of [`StopSignal::ALL`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{name}' is no stop signal")]
pub struct UnknownSignal {
    /// The name as it was given.
    pub name: String,
}

macro_rules! stop_signals {
    ($($(#[$doc:meta])* $variant:ident = $name:literal),+ $(,)?) => {
        /// A signal that `runhcs kill` takes, by the name that it takes.
        #[derive(
            Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord,
        )]
        pub enum StopSignal {
            $($(#[$doc])* #[serde(rename = $name)] $variant,)+
        }

        impl StopSignal {
            /// Every signal, the Windows ones first.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The name, as the API and `runhcs kill` have it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }
    };
}

stop_signals! {
    /// CTRL_C_EVENT (Windows).
    CtrlC = "CtrlC",
    /// CTRL_BREAK_EVENT (Windows).
    CtrlBreak = "CtrlBreak",
    /// CTRL_CLOSE_EVENT (Windows).
    CtrlClose = "CtrlClose",
    /// CTRL_LOGOFF_EVENT (Windows).
    CtrlLogOff = "CtrlLogOff",
    /// CTRL_SHUTDOWN_EVENT (Windows).
    CtrlShutdown = "CtrlShutdown",
    /// Ask to end (both systems; on Windows runhcs makes it CtrlShutdown).
    Term = "TERM",
    /// End at once (both systems).
    Kill = "KILL",
    /// SIGHUP (Linux).
    Hup = "HUP",
    /// SIGINT (Linux).
    Int = "INT",
    /// SIGQUIT (Linux).
    Quit = "QUIT",
    /// SIGABRT (Linux).
    Abrt = "ABRT",
    /// SIGALRM (Linux).
    Alrm = "ALRM",
    /// SIGPWR (Linux).
    Pwr = "PWR",
    /// SIGUSR1 (Linux).
    Usr1 = "USR1",
    /// SIGUSR2 (Linux).
    Usr2 = "USR2",
    /// SIGWINCH (Linux).
    Winch = "WINCH",
}

impl StopSignal {
    /// Whether a container with this system inside takes the signal.
    pub const fn is_for(self, os: Os) -> bool {
        match self {
            Self::Term | Self::Kill => true,
            Self::CtrlC
            | Self::CtrlBreak
            | Self::CtrlClose
            | Self::CtrlLogOff
            | Self::CtrlShutdown => matches!(os, Os::Windows),
            _ => matches!(os, Os::Linux),
        }
    }
}

impl fmt::Display for StopSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for StopSignal {
    type Err = UnknownSignal;

    fn from_str(name: &str) -> Result<Self, UnknownSignal> {
        Self::ALL
            .iter()
            .copied()
            .find(|signal| signal.as_str() == name)
            .ok_or_else(|| UnknownSignal {
                name: name.to_owned(),
            })
    }
}
