//! `resize-tty`: the size of a process's terminal.

use crate::cli::flags::parse_int;
use crate::container::Container;
use crate::context::{Context, ask_shim};
use crate::failure::Failure;
use crate::faults::Point;
use crate::ipc::Request;
use crate::outcome::Outcome;

/// Sets a size.
pub fn run(context: &Context) -> Result<Outcome, Failure> {
    // A sign passes the check of the arguments, but not Go's ParseUint, whose failure runhcs overlooks.
    let size = |index: usize| {
        let text = &context.parsed.args[index];
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| digits).unwrap_or(0)
    };
    let (width, height) = (size(1), size(2));
    let container = Container::get_live(&context.registry, &context.systems, context.id())?;
    let record = &container.record;
    let shim = context
        .parsed
        .value("pid")
        .and_then(|pid| parse_int(pid).ok())
        .unwrap_or(0);
    let (pid, key) = if shim == 0 {
        (record.init, "pid".to_owned())
    } else {
        let shim_pid = u32::try_from(shim).ok();
        (
            shim_pid.and_then(|pid| record.processes.get(&pid).copied()),
            format!("pid-{shim}"),
        )
    };
    let pid = pid.ok_or_else(|| Failure::NoState {
        id: context.id().to_owned(),
        key,
    })?;
    context.at(Point::BeforeEffect)?;
    ask_shim(
        record,
        "hcs::System::OpenProcess",
        &Request::Resize { pid, width, height },
    )?;
    context.at(Point::AfterEffect)?;
    Ok(Outcome::silent())
}
