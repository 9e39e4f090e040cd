//! The help texts, put together from the tables in `table.rs` as urfave/cli does.

use std::fmt::Write as _;

use super::flags::{Flag, Kind};
use super::table::{self, Verb};
use crate::tabwriter::align;

/// Version that `--version` and help show: a plain build of v0.11.7 knows only its OCI version.
const VERSION: &str = "spec: 1.0.2-dev";

/// Name of the program in help: the last part of what it was called by.
pub fn program_name() -> String {
    let called = std::env::args_os().next().unwrap_or_default();
    let name = std::path::Path::new(&called).file_name().unwrap_or(&called);
    name.to_string_lossy().into_owned()
}

/// Help of runhcs itself.
pub fn of_program() -> String {
    let mut commands = String::new();
    for verb in table::VERBS.iter().filter(|verb| !verb.hidden) {
        // Writing to a string cannot fail.
        let _ = write!(commands, "\n   {}\t{}", verb.names.join(", "), verb.usage);
    }
    let options: Vec<String> = table::GLOBAL_FLAGS.iter().map(describe).collect();
    let text = format!(
        "NAME:\n   runhcs - {}\n\nUSAGE:\n   {} [global options] command [command options] \
         [arguments...]\n\nVERSION:\n   {VERSION}\n\nCOMMANDS:{commands}\n\nGLOBAL OPTIONS:\n   \
         {}\n",
        table::PROGRAM_USAGE,
        program_name(),
        options.join("\n   ")
    );
    align(&text, 1, 2)
}

/// Help of one verb.
pub fn of_verb(verb: &Verb) -> String {
    let name = if verb.names[0] == "help" {
        "help".to_owned()
    } else {
        format!("{} {}", program_name(), verb.names[0])
    };
    let visible: Vec<&Flag> = verb.flags.iter().filter(|_| !verb.hidden).collect();
    let mut text = format!("NAME:\n   {name} - {}\n\nUSAGE:\n   {name}", verb.usage);
    if !visible.is_empty() {
        text.push_str(" [command options]");
    }
    text.push(' ');
    text.push_str(if verb.args_usage.is_empty() {
        "[arguments...]"
    } else {
        verb.args_usage
    });
    if !verb.description.is_empty() {
        text.push_str("\n\nDESCRIPTION:\n   ");
        text.push_str(verb.description);
    }
    if !visible.is_empty() {
        text.push_str("\n\nOPTIONS:\n   ");
        for flag in visible {
            text.push_str(&describe(flag));
            text.push_str("\n   ");
        }
    }
    text.push('\n');
    align(&text, 1, 2)
}

/// What `--version` prints.
pub fn version() -> String {
    format!("runhcs version {VERSION}\n")
}

fn describe(flag: &Flag) -> String {
    let placeholder = if flag.kind == Kind::Bool {
        ""
    } else {
        " value"
    };
    let names: Vec<String> = flag
        .names
        .iter()
        .map(|name| {
            format!(
                "{}{name}{placeholder}",
                if name.len() == 1 { "-" } else { "--" }
            )
        })
        .collect();
    let default = match flag.kind {
        Kind::Text("") | Kind::Bool | Kind::List => String::new(),
        Kind::Text(default) => format!(" (default: {default:?})"),
        Kind::Int | Kind::Uint => " (default: 0)".to_owned(),
    };
    format!(
        "{}\t{}",
        names.join(", "),
        format!("{}{default}", flag.usage).trim()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_of_resize_tty_is_as_recorded() {
        let verb = table::find("resize-tty").unwrap();
        let name = program_name();
        assert_eq!(
            of_verb(verb),
            format!(
                "NAME:\n   {name} resize-tty - resize-tty updates the terminal size for a \
                 container process\n\nUSAGE:\n   {name} resize-tty [command options] \
                 <container-id> <width> <height>\n\nOPTIONS:\n   --pid value, -p value  the \
                 process pid (defaults to init pid) (default: 0)\n   \n"
            )
        );
    }

    #[test]
    fn help_of_state_is_as_recorded() {
        let name = program_name();
        assert_eq!(
            of_verb(table::find("state").unwrap()),
            format!(
                "NAME:\n   {name} state - output the state of a container\n\nUSAGE:\n   {name} \
                 state <container-id>\n\nWhere \"<container-id>\" is your name for the instance \
                 of the container.\n\nDESCRIPTION:\n   The state command outputs current state \
                 information for the\ninstance of a container.\n"
            )
        );
    }
}
