//! `kill`: a signal for the init process.

use crate::container::{Container, Status};
use crate::context::{Context, ask_shim};
use crate::failure::{Failure, HcsReason};
use crate::faults::Point;
use crate::ipc::{Answer, Request};
use crate::node::NullSignal;
use crate::outcome::Outcome;
use crate::platform::Signal;

/// What an argument of `kill` comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    Signal(Signal),
    /// KILL for a Windows container: the signal document `null`.
    Null,
}

/// Signals of LCOW by name.
const LINUX_SIGNALS: [(&str, i32); 31] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("PWR", 30),
    ("SYS", 31),
];

/// Sends a signal.
pub fn run(context: &Context) -> Result<Outcome, Failure> {
    let container = Container::get_live(&context.registry, &context.systems, context.id())?;
    if container.status() != Status::Running {
        return Err(Failure::Stopped);
    }
    let record = &container.record;
    let argument = context.parsed.args.get(1).map_or("", String::as_str);
    let sent = if record.spec.linux {
        linux(argument)
    } else {
        windows(argument)
    };
    let sent = sent.ok_or(Failure::InvalidSignal)?;
    let pid = record.init.ok_or_else(|| Failure::NoState {
        id: context.id().to_owned(),
        key: "pid".to_owned(),
    })?;
    context.at(Point::BeforeEffect)?;
    let terminal = record
        .spec
        .process
        .as_ref()
        .is_some_and(|process| process.terminal);
    let request = match sent {
        // With a terminal, anything kills.
        _ if terminal && !record.spec.linux => Request::Kill { pid },
        Sent::Null if context.settings.null_signal == NullSignal::Invalid => {
            return Err(Failure::System {
                operation: "hcs::Process::Signal",
                id: format!("{}:{pid}", record.id),
                reason: HcsReason::InvalidDocument,
            });
        }
        Sent::Null => Request::Kill { pid },
        Sent::Signal(signal) => Request::Signal { pid, signal },
    };
    let _: Answer = ask_shim(record, "hcs::System::OpenProcess", &request)?;
    context.at(Point::AfterEffect)?;
    Ok(Outcome::silent())
}

/// Signals of Windows containers, by name in any case or by number.
fn windows(argument: &str) -> Option<Sent> {
    let signal = match argument.to_uppercase().as_str() {
        "CTRLC" | "0" => Signal::CtrlC,
        "CTRLBREAK" | "1" => Signal::CtrlBreak,
        "CTRLCLOSE" | "2" => Signal::CtrlClose,
        "CTRLLOGOFF" | "5" => Signal::CtrlLogOff,
        "" | "CTRLSHUTDOWN" | "TERM" | "6" | "15" => Signal::CtrlShutdown,
        "KILL" | "9" => return Some(Sent::Null),
        _ => return None,
    };
    Some(Sent::Signal(signal))
}

fn linux(argument: &str) -> Option<Sent> {
    let name = argument.to_uppercase();
    let number = if name.is_empty() {
        15
    } else if let Ok(number) = name.parse() {
        number
    } else {
        LINUX_SIGNALS.iter().find(|(known, _)| *known == name)?.1
    };
    let known = LINUX_SIGNALS.iter().any(|(_, known)| *known == number);
    known.then_some(Sent::Signal(Signal::Linux(number)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_known_by_name_and_number() {
        assert_eq!(windows(""), Some(Sent::Signal(Signal::CtrlShutdown)));
        assert_eq!(windows("ctrlc"), Some(Sent::Signal(Signal::CtrlC)));
        assert_eq!(windows("9"), Some(Sent::Null));
        assert_eq!(windows("SIGTERM"), None);
        assert_eq!(linux("usr1"), Some(Sent::Signal(Signal::Linux(10))));
        assert_eq!(linux("99"), None);
    }
}
