//! Takes out of a transcript what must differ: the work folder and how paths are written, pids, times, the executable's
//! name, and wine's words where Windows has others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// What is known of one machine's names.
pub struct Neutral {
    /// The work folder and the workload as the machine's programs write them, first within JSON, and their names here.
    paths: [(String, &'static str); 4],
    pids: BTreeMap<u32, String>,
    named: BTreeSet<(u32, String)>,
}

/// wine's text for an error, and Windows'. Those that reach runhcs through the emulation have Windows' text already.
const WINE: [(&str, &str); 6] = [
    ("Directory name invalid.", "The directory name is invalid."),
    ("Invalid function.", "Incorrect function."),
    (
        "File not found.",
        "The system cannot find the file specified.",
    ),
    (
        "Path not found.",
        "The system cannot find the path specified.",
    ),
    (
        "Invalid name.",
        "The filename, directory name, or volume label syntax is incorrect.",
    ),
    ("Access denied.", "Access is denied."),
];

impl Neutral {
    /// For this work folder and this workload.
    pub fn new(work: String, workload: String) -> Self {
        let in_json = |path: &str| path.replace('\\', "\\\\");
        let paths = [
            (in_json(&work), "DIR"),
            (work, "DIR"),
            (in_json(&workload), "WORKLOAD"),
            (workload, "WORKLOAD"),
        ];
        Self {
            paths,
            pids: BTreeMap::new(),
            named: BTreeSet::new(),
        }
    }

    /// From now on this pid is called by this name.
    pub fn name_pid(&mut self, pid: u32, name: &str) {
        // A pid is used again, and its old file may still be there: what was said first does not count again.
        if !self.named.insert((pid, name.to_owned())) {
            return;
        }
        self.pids.insert(pid, format!("<shim of {name}>"));
    }

    /// The text without what must differ.
    pub fn text(&self, text: &str) -> String {
        let text = self.paths(text);
        let text = TIME.replace_all(&text, "<time>");
        let text = PID.replace_all(&text, |found: &Captures<'_>| self.pid(found));
        let text = PS.replace_all(&text, |found: &Captures<'_>| {
            format!(
                "{}[{}]",
                &found[1],
                found[2]
                    .split(',')
                    .map(|_| "<pid>")
                    .collect::<Vec<_>>()
                    .join(",")
            )
        });
        let text = TABLE.replace_all(&text, |found: &Captures<'_>| {
            format!(
                "out: {} {} {} ",
                found[1].trim(),
                self.name(&found[2]),
                &found[3]
            )
        });
        let text = text.lines().map(columns).collect::<Vec<_>>().join("\n") + "\n";
        let text = PANIC.replace_all(&text, "$1");
        let text = text.replace("runhcs.exe", "runhcs");
        WINE.iter()
            .fold(text, |text, (wine, windows)| text.replace(wine, windows))
    }

    /// Paths below the work folder become `DIR/a/b`, and no longer say how they are parted.
    fn paths(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (path, name) in &self.paths {
            text = text.replace(path.as_str(), name);
        }
        BELOW
            .replace_all(&text, |found: &Captures<'_>| {
                found[0].replace("\\\\", "/").replace('\\', "/")
            })
            .into_owned()
    }

    fn pid(&self, found: &Captures<'_>) -> String {
        format!("{}{}", &found[1], self.name(&found[2]))
    }

    fn name(&self, pid: &str) -> String {
        match pid.parse::<i64>() {
            Ok(number) if number > 0 => {
                let known = u32::try_from(number)
                    .ok()
                    .and_then(|number| self.pids.get(&number));
                known.cloned().unwrap_or_else(|| "<pid>".to_owned())
            }
            _ => pid.to_owned(),
        }
    }
}

/// How wide a column is depends on the names in it.
fn columns(line: &str) -> String {
    let table = line.starts_with("out: ID ") || line.contains("<time>") && !line.contains('"');
    if table {
        SPACES.replace_all(line.trim_end(), " ").into_owned()
    } else {
        line.to_owned()
    }
}

macro_rules! regex {
    ($name:ident, $pattern:expr) => {
        static $name: LazyLock<Regex> =
            LazyLock::new(|| Regex::new($pattern).expect("the pattern is a constant"));
    };
}

regex!(TIME, r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z");
regex!(PID, r#"("pid": ?|holds "|'pid-|--pid )(-?\d+)"#);
regex!(PS, r"(?m)^(out: )\[([\d,]+)\]");
regex!(
    TABLE,
    r"(?m)^out: (.*?) {2,}(-?\d+) {2,}(created|running|paused|stopped)"
);
// Where in runhcs' sources it was is of no use to anybody.
regex!(PANIC, r"(?m)^(err: panic: .*\n)(err: ?.*\n)*");
regex!(SPACES, r" {2,}");
regex!(
    BELOW,
    r#"DIR[^":
]*"#
);
