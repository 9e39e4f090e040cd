//! The parts of an OCI configuration that runhcs looks at, read as Go reads them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::go_json::{Fields, JsonError, parse};
use crate::systems::TerminalSize;

/// `config.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Spec {
    /// `ociVersion`.
    pub version: String,
    /// `annotations`; absent and empty look alike in all output.
    pub annotations: BTreeMap<String, String>,
    /// `hostname`.
    pub hostname: String,
    /// `process`.
    pub process: Option<Process>,
    /// `root.path`; `None` without a `root`.
    pub root: Option<String>,
    /// Whether there is a `linux` section: LCOW.
    pub linux: bool,
    /// `windows`.
    pub windows: Option<Windows>,
}

/// `process`, also the document of `exec --process`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Process {
    /// Program and arguments.
    pub args: Vec<String>,
    /// The whole command line instead of `args`.
    pub command_line: String,
    /// Working folder.
    pub cwd: String,
    /// `NAME=value` each.
    pub env: Vec<String>,
    /// Whether it wants a terminal.
    pub terminal: bool,
    /// Its terminal's first size.
    pub console_size: Option<TerminalSize>,
    /// `user.username`; recorded only.
    pub username: String,
}

/// `windows`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Windows {
    /// Layers, the scratch layer last; `None` if absent.
    pub layer_folders: Option<Vec<String>>,
    /// Whether there is a `hyperv` section.
    pub hyperv: bool,
}

impl Spec {
    /// Reads `config.json`; `None` if it says `null`, which Go takes.
    pub fn parse(text: &[u8]) -> Result<Option<Self>, JsonError> {
        let value = parse(text)?;
        if value.is_null() {
            return Ok(None);
        }
        let fields = Fields::of_document(&value, "Spec", "specs.Spec")?;
        let process = fields.object("process", "Process", "specs.Process")?;
        let root = fields.object("root", "Root", "specs.Root")?;
        let windows = fields.object("windows", "Windows", "specs.Windows")?;
        Ok(Some(Self {
            version: fields.string("ociVersion")?,
            process: process
                .map(|process| Process::from_fields(&process))
                .transpose()?,
            root: root.map(|root| root.string("path")).transpose()?,
            hostname: fields.string("hostname")?,
            annotations: fields.string_map("annotations")?.unwrap_or_default(),
            linux: fields.object("linux", "Linux", "specs.Linux")?.is_some(),
            windows: windows
                .map(|windows| Windows::from_fields(&windows))
                .transpose()?,
        }))
    }

    /// Whether it runs in a VM of its own.
    pub fn vm_isolated(&self) -> bool {
        self.linux || self.windows.as_ref().is_some_and(|windows| windows.hyperv)
    }
}

impl Process {
    /// Reads the document of `exec --process`.
    pub fn parse(text: &[u8]) -> Result<Self, JsonError> {
        let value = parse(text)?;
        if value.is_null() {
            return Ok(Self::default());
        }
        Self::from_fields(&Fields::of_document(&value, "Process", "specs.Process")?)
    }

    fn from_fields(fields: &Fields) -> Result<Self, JsonError> {
        let size = |size: Fields| {
            let number = |name: &str| {
                size.unsigned(name)
                    .map(|number| u32::try_from(number).unwrap_or(u32::MAX))
            };
            Ok::<_, JsonError>(TerminalSize {
                height: number("height")?,
                width: number("width")?,
            })
        };
        let user = fields.object("user", "User", "specs.User")?;
        Ok(Self {
            terminal: fields.boolean("terminal")?,
            console_size: fields
                .object("consoleSize", "Box", "specs.Box")?
                .map(size)
                .transpose()?,
            username: user
                .map(|user| user.string("username"))
                .transpose()?
                .unwrap_or_default(),
            args: fields.strings("args")?.unwrap_or_default(),
            command_line: fields.string("commandLine")?,
            env: fields.strings("env")?.unwrap_or_default(),
            cwd: fields.string("cwd")?,
        })
    }

    /// The command line as it is shown: `commandLine`, else the arguments quoted for Windows.
    pub fn shown_command_line(&self) -> String {
        if self.command_line.is_empty() {
            let quoted: Vec<String> = self.args.iter().map(|arg| quote(arg)).collect();
            quoted.join(" ")
        } else {
            self.command_line.clone()
        }
    }
}

impl Windows {
    fn from_fields(fields: &Fields) -> Result<Self, JsonError> {
        Ok(Self {
            layer_folders: fields.strings("layerFolders")?,
            hyperv: fields
                .object("hyperv", "WindowsHyperV", "specs.WindowsHyperV")?
                .is_some(),
        })
    }
}

/// `argument` as Windows programs take it apart again: quoted if it holds a space or is empty.
fn quote(argument: &str) -> String {
    if !argument.is_empty() && !argument.contains([' ', '\t', '"']) {
        return argument.to_owned();
    }
    let spaced = argument.is_empty() || argument.contains([' ', '\t']);
    let mut quoted = String::from(if spaced { "\"" } else { "" });
    let mut backslashes = 0;
    for character in argument.chars() {
        match character {
            '\\' => backslashes += 1,
            '"' => {
                quoted.push_str(&"\\".repeat(backslashes + 1));
                backslashes = 0;
            }
            _ => backslashes = 0,
        }
        quoted.push(character);
    }
    if spaced {
        quoted.push_str(&"\\".repeat(backslashes));
        quoted.push('"');
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_quoted_for_windows() {
        for (argument, quoted) in [
            ("a", "a"),
            ("", "\"\""),
            ("a b", "\"a b\""),
            (r"C:\a b\", r#""C:\a b\\""#),
            (r#"say "x""#, r#""say \"x\"""#),
            (r#"a\"b"#, r#"a\\\"b"#),
        ] {
            assert_eq!(quote(argument), quoted, "{argument}");
        }
    }

    #[test]
    fn a_configuration_is_read() {
        let text = br#"{"ociVersion":"1.0.2","process":{"args":["a","b"],"cwd":"C:\\",
            "consoleSize":{"height":30,"width":100},"terminal":true,"user":{}},
            "windows":{"layerFolders":["l","s"],"hyperv":{}},"annotations":{"k":"v"}}"#;
        let spec = Spec::parse(text).unwrap().unwrap();
        assert!(spec.vm_isolated() && !spec.linux);
        let process = spec.process.unwrap();
        assert_eq!(
            process.console_size,
            Some(TerminalSize {
                width: 100,
                height: 30
            })
        );
        assert_eq!(process.shown_command_line(), "a b");
        assert_eq!(spec.windows.unwrap().layer_folders.unwrap().len(), 2);
    }
}
