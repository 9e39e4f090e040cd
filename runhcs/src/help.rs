//! What a runhcs says of itself: its help text tells which verbs and flags it has, which is more
//! than its version does (that is the OCI specification's).

/// A help text, of the program or of one verb.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Help {
    /// The version as printed, such as `spec: 1.0.2-dev`; only the program's help has one.
    pub version: Option<String>,
    /// The verbs; only the program's help has them.
    pub verbs: Vec<String>,
    /// The flags in their long form, such as `--pid-file`.
    pub flags: Vec<String>,
}

impl Help {
    /// Whether the verb is there.
    pub fn has_verb(&self, verb: &str) -> bool {
        self.verbs.iter().any(|known| known == verb)
    }

    /// Whether the flag is there: `--use-virtual-memory`.
    pub fn has_flag(&self, flag: &str) -> bool {
        self.flags.iter().any(|known| known == flag)
    }

    pub(crate) fn parse(text: &str) -> Self {
        let mut help = Self::default();
        let mut section = "";
        for line in text.lines() {
            let indented = line.starts_with(' ');
            let line = line.trim();
            match line.strip_suffix(':') {
                Some(head) if !indented => section = head,
                _ if line.is_empty() => {}
                _ => help.line(section, line),
            }
        }
        help
    }

    fn line(&mut self, section: &str, line: &str) {
        // The names, before what they mean.
        let (names, _) = line.split_once("  ").unwrap_or((line, ""));
        match section {
            "VERSION" => self.version = Some(line.to_owned()),
            "COMMANDS" => self.verbs.extend(names.split(", ").map(str::to_owned)),
            "OPTIONS" | "GLOBAL OPTIONS" => {
                let words = names.split([' ', ',']);
                let flags = words.filter(|word| word.starts_with("--"));
                self.flags.extend(flags.map(str::to_owned));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_of_the_program_has_its_version_verbs_and_flags() {
        let text = "NAME:\n   runhcs - a runtime\n\nTo start:\n\n    # runhcs run [ -b bundle ]\n\n\
            VERSION:\n   spec: 1.0.2-dev\n\nCOMMANDS:\n   create          create a container\n   \
            create-scratch  creates a vhdx\n   help, h         Shows a list\n\nGLOBAL OPTIONS:\n   \
            --debug             enable debug output\n   --root value        registry key --of\n   \
            --version, -v       print the version\n";
        let help = Help::parse(text);
        assert_eq!(help.version.as_deref(), Some("spec: 1.0.2-dev"));
        assert_eq!(help.verbs, ["create", "create-scratch", "help", "h"]);
        assert_eq!(help.flags, ["--debug", "--root", "--version"]);
        assert!(help.has_verb("create") && !help.has_verb("exec"));
    }

    #[test]
    fn the_help_of_a_verb_has_its_flags() {
        let text = "NAME:\n   runhcs.exe create - create a container\n\nOPTIONS:\n   \
            --bundle value, -b value  path to the root\n   --pid-file value          the file\n   \n";
        let help = Help::parse(text);
        assert!(help.has_flag("--bundle") && help.has_flag("--pid-file"));
        assert_eq!(help.flags.len(), 2);
        assert_eq!(help.version, None);
    }

    #[test]
    fn any_other_text_says_nothing() {
        assert_eq!(Help::parse("usage: dir [OPTION]...\n"), Help::default());
    }
}
