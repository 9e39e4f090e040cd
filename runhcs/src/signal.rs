//! Signals as `runhcs kill` takes them. Which ones a container understands depends on its guest:
//! Windows containers know console control events, Linux ones (LCOW) know Linux signals; `TERM`,
//! `KILL` and numbers exist for both.

use std::fmt;
use std::str::FromStr;

/// What `kill` sends to the container's init process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Signal {
    /// Leaves the choice to runhcs: `CtrlShutdown` on Windows, `TERM` on Linux. Passed as an empty
    /// argument, as go-runhcs does.
    #[default]
    Default,
    /// `CtrlC`, Windows.
    CtrlC,
    /// `CtrlBreak`, Windows.
    CtrlBreak,
    /// `CtrlClose`, Windows.
    CtrlClose,
    /// `CtrlLogOff`, Windows.
    CtrlLogOff,
    /// `CtrlShutdown`, Windows.
    CtrlShutdown,
    /// `TERM`: on Windows another name of `CtrlShutdown`.
    Term,
    /// `KILL`.
    Kill,
    /// A number: on Windows 0, 1, 2, 5 and 6 stand for the console events in the order above, 9
    /// and 15 for `KILL` and `TERM`.
    Number(u32),
    /// A Linux signal other than `TERM` and `KILL`, for Linux containers.
    Linux(LinuxSignal),
    /// Any other text, passed on as it is. runhcs refuses what it does not know (`SIGTERM`, for
    /// one: its names have no `SIG`) with [`ErrorKind::InvalidSignal`](crate::ErrorKind).
    Raw(String),
}

const WINDOWS: [(Signal, &str); 7] = [
    (Signal::CtrlC, "CtrlC"),
    (Signal::CtrlBreak, "CtrlBreak"),
    (Signal::CtrlClose, "CtrlClose"),
    (Signal::CtrlLogOff, "CtrlLogOff"),
    (Signal::CtrlShutdown, "CtrlShutdown"),
    (Signal::Term, "TERM"),
    (Signal::Kill, "KILL"),
];

impl Signal {
    /// A signal that runhcs is given word for word, known or not.
    pub fn raw(text: impl Into<String>) -> Self {
        Self::Raw(text.into())
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => Ok(()),
            Self::CtrlC => f.write_str("CtrlC"),
            Self::CtrlBreak => f.write_str("CtrlBreak"),
            Self::CtrlClose => f.write_str("CtrlClose"),
            Self::CtrlLogOff => f.write_str("CtrlLogOff"),
            Self::CtrlShutdown => f.write_str("CtrlShutdown"),
            Self::Term => f.write_str("TERM"),
            Self::Kill => f.write_str("KILL"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Linux(signal) => signal.fmt(f),
            Self::Raw(text) => f.write_str(text),
        }
    }
}

/// A name that no runhcs knows as a signal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown signal {0:?}: names have no SIG, as in CtrlShutdown, TERM, HUP or 15")]
pub struct UnknownSignal(pub String);

impl FromStr for Signal {
    type Err = UnknownSignal;

    /// Takes what runhcs takes: names in any case, numbers, and nothing for the default.
    fn from_str(text: &str) -> Result<Self, UnknownSignal> {
        if text.is_empty() {
            return Ok(Self::Default);
        }
        if text.bytes().all(|byte| byte.is_ascii_digit())
            && let Ok(number) = text.parse()
        {
            return Ok(Self::Number(number));
        }
        WINDOWS
            .into_iter()
            .find(|(_, name)| name.eq_ignore_ascii_case(text))
            .map(|(signal, _)| signal)
            .or_else(|| LinuxSignal::by_name(text).map(Self::Linux))
            .ok_or_else(|| UnknownSignal(text.to_owned()))
    }
}

/// Declares the signals once, with their names and numbers.
macro_rules! linux_signals {
    ($($variant:ident $name:literal $number:literal,)+) => {
        /// The Linux signals that runhcs knows by name besides `TERM` and `KILL`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs, reason = "each is the signal of its name, see signal(7)")]
        pub enum LinuxSignal {
            $($variant,)+
        }

        impl LinuxSignal {
            /// All of them, by name.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The name that runhcs knows, without `SIG`.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// The signal's number on x86-64.
            pub fn number(self) -> u32 {
                match self {
                    $(Self::$variant => $number,)+
                }
            }
        }
    };
}

linux_signals! {
    Abrt "ABRT" 6,
    Alrm "ALRM" 14,
    Bus "BUS" 7,
    Chld "CHLD" 17,
    Cld "CLD" 17,
    Cont "CONT" 18,
    Fpe "FPE" 8,
    Hup "HUP" 1,
    Ill "ILL" 4,
    Int "INT" 2,
    Io "IO" 29,
    Iot "IOT" 6,
    Pipe "PIPE" 13,
    Poll "POLL" 29,
    Prof "PROF" 27,
    Pwr "PWR" 30,
    Quit "QUIT" 3,
    Segv "SEGV" 11,
    Stkflt "STKFLT" 16,
    Stop "STOP" 19,
    Sys "SYS" 31,
    Trap "TRAP" 5,
    Tstp "TSTP" 20,
    Ttin "TTIN" 21,
    Ttou "TTOU" 22,
    Urg "URG" 23,
    Usr1 "USR1" 10,
    Usr2 "USR2" 12,
    Vtalrm "VTALRM" 26,
    Winch "WINCH" 28,
    Xcpu "XCPU" 24,
    Xfsz "XFSZ" 25,
}

impl LinuxSignal {
    fn by_name(text: &str) -> Option<Self> {
        let known = |signal: &&Self| signal.as_str().eq_ignore_ascii_case(text);
        Self::ALL.iter().find(known).copied()
    }
}

impl fmt::Display for LinuxSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back_as_the_signal_that_wrote_it() {
        let linux = LinuxSignal::ALL.iter().map(|signal| Signal::Linux(*signal));
        let windows = WINDOWS.into_iter().map(|(signal, _)| signal);
        let rest = [Signal::Default, Signal::Number(0), Signal::Number(15)];
        for signal in linux.chain(windows).chain(rest) {
            assert_eq!(signal.to_string().parse(), Ok(signal));
        }
    }

    #[test]
    fn names_are_taken_in_any_case() {
        assert_eq!("ctrlshutdown".parse(), Ok(Signal::CtrlShutdown));
        assert_eq!("Hup".parse(), Ok(Signal::Linux(LinuxSignal::Hup)));
    }

    #[test]
    fn what_runhcs_would_refuse_is_refused_here() {
        for text in ["SIGTERM", "-9", "+9", "9 ", "4294967296", "CtrlAltDel"] {
            assert_eq!(text.parse::<Signal>(), Err(UnknownSignal(text.to_owned())));
        }
    }

    #[test]
    fn raw_text_passes_as_it_is() {
        assert_eq!(Signal::raw("SIGTERM").to_string(), "SIGTERM");
    }
}
