//! The integration tests as programs. Cargo builds them once for a run; each is then started without it, since it would
//! look through all sources again each time.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::checks;

/// The program of the scenarios.
pub const SCENARIOS: &str = "scenarios";

/// A program of integration tests: a file in a package's `tests`, or a folder there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The file's name, or the folder's.
    pub name: String,
    executable: PathBuf,
    package: PathBuf,
}

impl Program {
    /// What runs it as `cargo test` does.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.executable);
        command.current_dir(&self.package);
        command
    }
}

/// All of them, built where that is still to be done.
pub fn all() -> Result<&'static [Program]> {
    static BUILT: OnceLock<Vec<Program>> = OnceLock::new();
    if let Some(built) = BUILT.get() {
        return Ok(built);
    }
    let mut cargo = checks::cargo(&["test", "--workspace", "--test", "*", "--no-run"]);
    cargo.arg("--message-format=json-render-diagnostics");
    let output = cargo.stderr(Stdio::inherit()).output();
    let output = output.context("failed to start cargo")?;
    if !output.status.success() {
        bail!(
            "cargo's build of the integration tests failed: {}",
            output.status
        );
    }
    let text = String::from_utf8(output.stdout).context("cargo's messages are not UTF-8")?;
    let programs = text.lines().map(program).collect::<Result<Vec<_>>>()?;
    Ok(BUILT.get_or_init(|| programs.into_iter().flatten().collect()))
}

/// What runs the one of this name.
pub fn command(name: &str) -> Result<Command> {
    let program = all()?.iter().find(|program| program.name == name);
    let program = program.with_context(|| format!("there is no integration test {name}"))?;
    Ok(program.command())
}

/// A message of cargo's; most are of other things.
#[derive(Deserialize)]
struct Message {
    executable: Option<PathBuf>,
    manifest_path: Option<PathBuf>,
    target: Option<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

/// The program that a message says was built, or need not be.
fn program(message: &str) -> Result<Option<Program>> {
    let message: Message =
        serde_json::from_str(message).context("cargo's message is not as expected")?;
    let (Some(executable), Some(manifest), Some(target)) =
        (message.executable, message.manifest_path, message.target)
    else {
        return Ok(None);
    };
    let is_test = target.kind.iter().any(|kind| kind == "test");
    Ok(is_test.then(|| Program {
        name: target.name,
        executable,
        package: manifest.with_file_name(""),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_a_built_test_gives_its_program() {
        let message = r#"{"reason":"compiler-artifact","manifest_path":"/w/tests/Cargo.toml",
            "target":{"kind":["test"],"name":"chart"},"fresh":true,"executable":"/w/target/debug/deps/chart-1"}"#;
        let program = program(message).unwrap().unwrap();
        assert_eq!(program.name, "chart");
        let command = program.command();
        assert_eq!(command.get_program(), "/w/target/debug/deps/chart-1");
        assert_eq!(
            command.get_current_dir(),
            Some(std::path::Path::new("/w/tests/"))
        );
    }

    #[test]
    fn other_messages_give_none() {
        for message in [
            r#"{"reason":"build-finished","success":true}"#,
            r#"{"reason":"compiler-artifact","manifest_path":"/w/Cargo.toml","target":{"kind":["lib"],"name":"runhcs"},
                "executable":null}"#,
            r#"{"reason":"compiler-artifact","manifest_path":"/w/Cargo.toml","target":{"kind":["bin"],"name":"xtask"},
                "executable":"/w/target/debug/xtask"}"#,
        ] {
            assert_eq!(program(message).unwrap(), None);
        }
    }
}
