//! From arguments to output and exit code, as urfave/cli and runhcs' `main` do it.

pub mod flags;
pub mod help;
mod log;
pub mod table;

use crate::calls::Call;
use crate::context::Context;
use crate::failure::Failure;
use crate::faults::{Faults, Point};
use crate::node::Node;
use crate::outcome::Outcome;
use crate::registry::Registry;
use crate::systems::Systems;
use crate::verbs;
use flags::{FlagError, Parsed};
use log::{Log, failed_without_log};
use table::{GLOBAL_FLAGS, HELP, Verb};

/// Runs a command line, without the program; the caller prints and exits.
pub fn run(args: &[String]) -> Outcome {
    let node = match Node::of_this_process() {
        Ok(node) => node,
        Err(error) => {
            return Outcome::failed(&Failure::simulator("finding the state folder")(error));
        }
    };
    let mut call = Call::begin(&node, args);
    let global = match flags::parse(GLOBAL_FLAGS, args) {
        Ok(global) => global,
        Err(error) => {
            let outcome = failed_without_log(refused_by_program(&error));
            return finish(&call, None, outcome);
        }
    };
    if global.is_true("help") {
        return finish(&call, None, Outcome::printed(help::of_program()));
    }
    if global.is_true("version") {
        return finish(&call, None, Outcome::printed(help::version()));
    }
    let log = match Log::open(&global) {
        Ok(log) => log,
        Err(failure) => {
            let text = format!("{failure}\n\n{}", help::of_program());
            let outcome = log_failure(&failure).after(&text);
            return finish(&call, None, outcome);
        }
    };
    if let Err(error) = node.prepare(root(&global)) {
        let failure = Failure::simulator("making the state folder")(error);
        return Outcome::failed(&failure);
    }
    let Some(name) = global.args.first() else {
        return finish(&call, None, Outcome::printed(help::of_program()));
    };
    call.verb.clone_from(name);
    let Some(verb) = table::find(name) else {
        return finish(&call, Some(&log), no_topic(name));
    };
    let (call, outcome) = run_verb(verb, node, call, &global);
    if verb.hidden {
        outcome
    } else {
        finish(&call, Some(&log), outcome)
    }
}

fn root(global: &Parsed) -> &str {
    global.value("root").unwrap_or("default")
}

/// Writes the account and the log, once all is known.
fn finish(call: &Call, log: Option<&Log>, outcome: Outcome) -> Outcome {
    if let Some(log) = log {
        log.failed(&outcome);
    }
    call.record_finished(outcome.exit_code);
    outcome
}

/// A log that cannot be opened is told of where the log would be: on standard error. One whose
/// format is unknown is open by then.
fn log_failure(failure: &Failure) -> Outcome {
    let outcome = Outcome::failed(failure);
    match failure {
        Failure::LogFormat(_) => outcome,
        _ => failed_without_log(outcome),
    }
}

fn refused_by_program(error: &FlagError) -> Outcome {
    let text = match error {
        FlagError::TwoForms(..) => format!("{error}\n{}", help::of_program()),
        _ => format!("Incorrect Usage. {error}\n\n{}", help::of_program()),
    };
    fail_with(&error.to_string(), 1).after(&text)
}

fn no_topic(name: &str) -> Outcome {
    fail_with(&format!("No help topic for '{name}'"), 3)
}

fn fail_with(text: &str, exit_code: u32) -> Outcome {
    Outcome {
        stdout: Vec::new(),
        stderr: format!("{text}\n").into_bytes(),
        exit_code,
    }
}

fn run_verb(verb: &Verb, node: Node, mut call: Call, global: &Parsed) -> (Call, Outcome) {
    let args = &global.args[1..];
    let known: Vec<flags::Flag> = verb.flags.iter().copied().chain([HELP]).collect();
    let ordered = if verb.reorder {
        flags::reorder(&known, args)
    } else {
        args.to_vec()
    };
    let parsed = match flags::parse(&known, &ordered) {
        Ok(parsed) => parsed,
        Err(error) => {
            let text = format!("Incorrect Usage: {error}\n\n{}", help::of_verb(verb));
            return (call, fail_with(&error.to_string(), 1).after(&text));
        }
    };
    if parsed.is_true("help") {
        return (call, Outcome::printed(help::of_verb(verb)));
    }
    if verb.names[0] == "help" {
        let outcome = help_on(parsed.args.first());
        return (call, outcome);
    }
    if let Err(failure) = verbs::check_arguments(verb.names[0], &parsed.args) {
        return (call, Outcome::failed(&failure).after(&help::of_verb(verb)));
    }
    call.id = parsed.args.first().cloned().unwrap_or_default();
    let settings = match node.settings() {
        Ok(settings) => settings,
        Err(error) => {
            let failure = Failure::simulator("reading settings.json")(error);
            return (call, Outcome::failed(&failure));
        }
    };
    let context = Context {
        registry: Registry::open(&node, root(global)),
        systems: Systems::open(&node),
        faults: Faults::open(&node),
        settings,
        owner: global.value("owner").unwrap_or("runhcs").to_owned(),
        node,
        call,
        parsed,
    };
    let outcome = act(verb, &context);
    (context.call, outcome)
}

fn help_on(topic: Option<&String>) -> Outcome {
    match topic {
        None => Outcome::printed(help::of_program()),
        Some(name) => match table::find(name) {
            Some(verb) => Outcome::printed(help::of_verb(verb)),
            None => no_topic(name),
        },
    }
}

/// Does what the verb is for, among the faults that were asked for.
fn act(verb: &Verb, context: &Context) -> Outcome {
    let name = verb.names[0];
    if verb.hidden {
        return verbs::run(name, context).unwrap_or_else(|failure| Outcome::failed(&failure));
    }
    let delay = context.settings.call_delay_ms;
    if delay > 0 {
        std::thread::sleep(std::time::Duration::from_millis(delay));
    }
    let done = context
        .at(Point::Begin)
        .and_then(|()| verbs::run(name, context));
    let mut outcome = done.unwrap_or_else(|failure| Outcome::failed(&failure));
    let printed = context
        .at(Point::Output)
        .and_then(|()| context.faults.distort(&mut outcome, name, &context.call.id));
    match printed {
        Ok(()) => outcome,
        Err(failure) => Outcome::failed(&failure),
    }
}
