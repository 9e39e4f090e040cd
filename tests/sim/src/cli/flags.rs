//! Command line flags as Go's flag package and urfave/cli take them, peculiarities included.

/// What a flag takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing, or `=true`, `=0` and the like.
    Bool,
    /// A text; the default that help shows.
    Text(&'static str),
    /// A text, any number of times.
    List,
    /// A number.
    Int,
    /// A number that is not negative.
    Uint,
}

/// A flag of a verb or of runhcs itself.
#[derive(Debug, Clone, Copy)]
pub struct Flag {
    /// Its names, the long one first.
    pub names: &'static [&'static str],
    /// What it takes.
    pub kind: Kind,
    /// What help says of it.
    pub usage: &'static str,
}

/// Flags and arguments of a command line.
#[derive(Debug, Clone, Default)]
pub struct Parsed {
    /// First name of each flag that was given, and its value, in order.
    values: Vec<(&'static str, String)>,
    /// What is no flag.
    pub args: Vec<String>,
}

/// Why a command line cannot be taken apart, in Go's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FlagError {
    /// `--=x` and the like.
    #[error("bad flag syntax: {0}")]
    Syntax(String),
    /// No such flag.
    #[error("flag provided but not defined: -{0}")]
    Undefined(String),
    /// A value is missing.
    #[error("flag needs an argument: -{0}")]
    NoValue(String),
    /// A truth value that is none.
    #[error("invalid boolean value {value:?} for -{name}: parse error")]
    Bool {
        /// The flag as given.
        name: String,
        /// Its value.
        value: String,
    },
    /// A number that is none, or too large.
    #[error("invalid value {value:?} for flag -{name}: {reason}")]
    Number {
        /// The flag as given.
        name: String,
        /// Its value.
        value: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Both the long and the short name of one flag.
    #[error("Cannot use two forms of the same flag: {0} {1}")]
    TwoForms(String, String),
}

impl Parsed {
    /// Value of a text or number flag; the last one given counts.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.values
            .iter()
            .rev()
            .find(|(flag, _)| *flag == name)
            .map(|(_, value)| value.as_str())
    }

    /// Value of a text flag, empty if absent.
    pub fn text(&self, name: &str) -> &str {
        self.value(name).unwrap_or_default()
    }

    /// All values of a flag.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.values
            .iter()
            .filter(move |(flag, _)| *flag == name)
            .map(|(_, v)| v.as_str())
    }

    /// Whether a truth flag is set.
    pub fn is_true(&self, name: &str) -> bool {
        self.value(name)
            .is_some_and(|value| parse_bool(value) == Some(true))
    }
}

/// Takes `args` apart up to the first that is no flag.
pub fn parse(flags: &[Flag], args: &[String]) -> Result<Parsed, FlagError> {
    let mut parsed = Parsed::default();
    let mut given: Vec<(&'static str, String)> = Vec::new();
    let mut rest = args.iter();
    while let Some(arg) = rest.as_slice().first() {
        if arg.len() < 2 || !arg.starts_with('-') {
            break;
        }
        rest.next();
        if arg == "--" {
            break;
        }
        let body = arg
            .strip_prefix("--")
            .or_else(|| arg.strip_prefix('-'))
            .unwrap_or(arg);
        if body.is_empty() || body.starts_with(['-', '=']) {
            return Err(FlagError::Syntax(arg.clone()));
        }
        let (name, value) = match body.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (body, None),
        };
        let Some(flag) = flags.iter().find(|flag| flag.names.contains(&name)) else {
            return Err(FlagError::Undefined(name.to_owned()));
        };
        let value = match (flag.kind, value) {
            (Kind::Bool, value) => value.unwrap_or_else(|| "true".to_owned()),
            (_, Some(value)) => value,
            (_, None) => rest
                .next()
                .ok_or_else(|| FlagError::NoValue(name.to_owned()))?
                .clone(),
        };
        check(flag.kind, name, &value)?;
        given.push((flag.names[0], name.to_owned()));
        parsed.values.push((flag.names[0], value));
    }
    parsed.args = rest.cloned().collect();
    check_forms(flags, &given)?;
    Ok(parsed)
}

/// Refuses a flag that was given by two of its names.
fn check_forms(flags: &[Flag], given: &[(&'static str, String)]) -> Result<(), FlagError> {
    for flag in flags {
        let mut used: Vec<&&str> = flag
            .names
            .iter()
            .filter(|name| {
                given
                    .iter()
                    .any(|(first, used)| *first == flag.names[0] && used == *name)
            })
            .collect();
        if let (Some(second), Some(first)) = (used.pop(), used.pop()) {
            return Err(FlagError::TwoForms(
                (*second).to_owned(),
                (*first).to_owned(),
            ));
        }
    }
    Ok(())
}

fn check(kind: Kind, name: &str, value: &str) -> Result<(), FlagError> {
    let number = |reason| FlagError::Number {
        name: name.to_owned(),
        value: value.to_owned(),
        reason,
    };
    match kind {
        Kind::Bool if parse_bool(value).is_none() => Err(FlagError::Bool {
            name: name.to_owned(),
            value: value.to_owned(),
        }),
        Kind::Int => parse_int(value).map(|_| ()).map_err(number),
        Kind::Uint => match parse_int(value) {
            Ok(number) if number >= 0 && !value.starts_with(['-', '+']) => Ok(()),
            Ok(_) => Err(number("parse error")),
            Err(reason) => Err(number(reason)),
        },
        _ => Ok(()),
    }
}

/// Go's `strconv.ParseBool`.
fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// Go's `strconv.ParseInt` with base 0: decimal, `0x`, `0o`, `0b`, a leading 0 for octal.
pub fn parse_int(text: &str) -> Result<i64, &'static str> {
    let (sign, digits) = match text.as_bytes().first() {
        Some(b'-') => (-1, &text[1..]),
        Some(b'+') => (1, &text[1..]),
        _ => (1, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (base, digits) = if let Some(hex) = lower.strip_prefix("0x") {
        (16, hex)
    } else if let Some(octal) = lower.strip_prefix("0o") {
        (8, octal)
    } else if let Some(binary) = lower.strip_prefix("0b") {
        (2, binary)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (8, &lower[1..])
    } else {
        (10, lower.as_str())
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(base)) {
        return Err("parse error");
    }
    let value = i64::from_str_radix(digits, base).map_err(|_| "value out of range")?;
    Ok(sign * value)
}

/// Puts flags before arguments, as urfave/cli does for most verbs: whatever looks like a known
/// flag, and what follows it unless that begins with a dash or the flag has its own value.
pub fn reorder(flags: &[Flag], args: &[String]) -> Vec<String> {
    let (mut before, mut after) = (Vec::new(), Vec::new());
    let mut may_be_value = false;
    for (index, arg) in args.iter().enumerate() {
        if arg == "--" {
            after.extend_from_slice(&args[index..]);
            break;
        }
        if may_be_value && !arg.starts_with('-') {
            may_be_value = false;
            before.push(arg.clone());
        } else if is_flag(flags, arg) {
            before.push(arg.clone());
            may_be_value = !arg.contains('=');
        } else {
            after.push(arg.clone());
        }
    }
    before.append(&mut after);
    before
}

fn is_flag(flags: &[Flag], arg: &str) -> bool {
    if arg == "-" || !arg.starts_with('-') {
        return false;
    }
    let body = arg.strip_prefix("--").unwrap_or(arg);
    let body = body.strip_prefix('-').unwrap_or(body);
    let name = body.split('=').next().unwrap_or_default();
    flags.iter().any(|flag| flag.names.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAGS: &[Flag] = &[
        Flag {
            names: &["format", "f"],
            kind: Kind::Text("table"),
            usage: "",
        },
        Flag {
            names: &["quiet", "q"],
            kind: Kind::Bool,
            usage: "",
        },
        Flag {
            names: &["pid", "p"],
            kind: Kind::Int,
            usage: "",
        },
        Flag {
            names: &["size"],
            kind: Kind::Uint,
            usage: "",
        },
    ];

    fn strings(args: &[&str]) -> Vec<String> {
        args.iter().map(|&arg| arg.to_owned()).collect()
    }

    fn error(args: &[&str]) -> String {
        parse(FLAGS, &strings(args)).unwrap_err().to_string()
    }

    #[test]
    fn one_dash_is_as_good_as_two() {
        for args in [
            ["-format", "json"],
            ["--format", "json"],
            ["-f", "json"],
            ["--f", "json"],
        ] {
            assert_eq!(
                parse(FLAGS, &strings(&args)).unwrap().text("format"),
                "json"
            );
        }
        assert_eq!(
            parse(FLAGS, &strings(&["-format=json"]))
                .unwrap()
                .text("format"),
            "json"
        );
    }

    #[test]
    fn mistakes_are_told_in_gos_words() {
        assert_eq!(error(&["--nope"]), "flag provided but not defined: -nope");
        assert_eq!(error(&["--format"]), "flag needs an argument: -format");
        assert_eq!(error(&["---x"]), "bad flag syntax: ---x");
        assert_eq!(
            error(&["-q=maybe"]),
            "invalid boolean value \"maybe\" for -q: parse error"
        );
        assert_eq!(
            error(&["-p", "x"]),
            "invalid value \"x\" for flag -p: parse error"
        );
        assert_eq!(
            error(&["--size", "-1"]),
            "invalid value \"-1\" for flag -size: parse error"
        );
        assert_eq!(
            error(&["-pid", "1", "-p", "2"]),
            "Cannot use two forms of the same flag: p pid"
        );
    }

    #[test]
    fn flags_behind_arguments_are_moved_before_them() {
        let moved = reorder(
            FLAGS,
            &strings(&["id", "--format", "json", "-q", "x", "--", "-q"]),
        );
        assert_eq!(
            moved,
            strings(&["--format", "json", "-q", "x", "id", "--", "-q"])
        );
    }

    #[test]
    fn numbers_may_be_in_any_base() {
        assert_eq!(parse_int("0x10"), Ok(16));
        assert_eq!(parse_int("010"), Ok(8));
        assert_eq!(parse_int("99999999999999999999"), Err("value out of range"));
    }
}
