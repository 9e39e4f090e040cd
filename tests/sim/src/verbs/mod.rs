//! What each verb does, in the order in which runhcs does it.

mod create;
mod create_scratch;
mod delete;
mod exec;
mod kill;
mod list;
mod pause;
mod pid_file;
mod ps;
mod resize_tty;
mod start;
mod state;

use crate::context::Context;
use crate::failure::Failure;
use crate::outcome::Outcome;
use crate::shim;

/// Checks the number and form of a verb's arguments.
pub fn check_arguments(verb: &str, args: &[String]) -> Result<(), Failure> {
    let size = |text: &String| {
        text.parse::<i64>()
            .is_ok_and(|size| (1..=65535).contains(&size))
    };
    let has_id = args.first().is_some_and(|id| !id.is_empty());
    let fits = match verb {
        "create-scratch" | "list" | "prepare-disk" => args.is_empty(),
        "exec" => has_id,
        "kill" => has_id && args.len() <= 2,
        "resize-tty" => has_id && args.len() == 3 && args[1..].iter().all(size),
        _ => has_id && args.len() == 1,
    };
    if fits { Ok(()) } else { Err(Failure::Usage) }
}

/// Runs a verb whose arguments were checked.
pub fn run(verb: &str, context: &Context) -> Result<Outcome, Failure> {
    match verb {
        "create" => create::run(context),
        "create-scratch" => create_scratch::run(context),
        "delete" => delete::run(context),
        "exec" => exec::run(context),
        "kill" => kill::run(context),
        "list" => list::run(context),
        "pause" => pause::pause(context),
        "prepare-disk" => create_scratch::prepare_disk(context),
        "ps" => ps::run(context),
        "resize-tty" => resize_tty::run(context),
        "resume" => pause::resume(context),
        "run" => create::create_and_start(context),
        "shim" => Ok(shim::serve(context)),
        "start" => start::run(context),
        "state" => state::run(context),
        _ => Ok(Outcome::silent()),
    }
}
