//! The checks of `test` that are no tests: format, lints, documentation, generated files, dependencies.

use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};
use hcs_tests::binaries::{self, cache_folder, run, workspace};

use crate::args::{Generate, Part};
use crate::generate::generate;

/// cargo-deny's release; new ones find new things, which must not fail a build that was fine.
const CARGO_DENY: &str = "0.20.2";

/// What became of a check.
pub enum Check {
    /// It found nothing.
    Passed,
    /// It could not be made, for a reason that is not the project's.
    Skipped(String),
}

/// Makes a check.
type Run = fn() -> Result<Check>;

/// The checks, the fastest first.
pub fn all() -> [(Part, Run); 5] {
    [
        (Part::Fmt, fmt),
        (Part::Generated, generated),
        (Part::Clippy, clippy),
        (Part::Docs, docs),
        (Part::Deny, deny),
    ]
}

/// A cargo command in the workspace's root.
pub fn cargo(args: &[&str]) -> Command {
    let mut cargo = binaries::cargo();
    cargo.args(args);
    cargo
}

fn passed(command: Command, what: &str) -> Result<Check> {
    run(command, what)?;
    Ok(Check::Passed)
}

fn fmt() -> Result<Check> {
    passed(cargo(&["fmt", "--all", "--check"]), "the format check")
}

fn generated() -> Result<Check> {
    if generate(&Generate { check: true })? == ExitCode::SUCCESS {
        Ok(Check::Passed)
    } else {
        bail!("generated files are not up to date")
    }
}

fn clippy() -> Result<Check> {
    let args = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "--deny",
        "warnings",
    ];
    passed(cargo(&args), "clippy")
}

fn docs() -> Result<Check> {
    let mut doc = cargo(&["doc", "--workspace", "--no-deps"]);
    doc.env("RUSTDOCFLAGS", "--deny warnings");
    passed(doc, "rustdoc")
}

/// cargo-deny checks what `deny.toml` says. Advisories need a database from the network: without it, that part is
/// skipped.
fn deny() -> Result<Check> {
    let program = match cargo_deny() {
        Ok(program) => program,
        Err(error) => {
            return Ok(Check::Skipped(format!(
                "DEPENDENCIES NOT CHECKED: cargo-deny cannot be had: {error:#}"
            )));
        }
    };
    let deny = |args: &[&str]| {
        let mut command = Command::new(&program);
        command
            .current_dir(workspace())
            .args(["--all-features"])
            .args(args);
        command
    };
    run(
        deny(&["check", "licenses", "bans", "sources"]),
        "cargo-deny",
    )?;
    let fetched = deny(&["fetch", "db"])
        .env("GIT_TERMINAL_PROMPT", "0")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .context("failed to start cargo-deny")?;
    if !fetched.success() {
        return Ok(Check::Skipped(
            "ADVISORIES NOT CHECKED: the advisory database cannot be fetched from here".to_owned(),
        ));
    }
    passed(
        deny(&["check", "--disable-fetch", "advisories"]),
        "cargo-deny advisories",
    )
}

/// cargo-deny in the cache outside the checkout, installed there first if need be.
fn cargo_deny() -> Result<PathBuf> {
    let root = cache_folder()?.join(format!("cargo-deny-{CARGO_DENY}"));
    let program = root.join("bin/cargo-deny");
    if !program.is_file() {
        eprintln!("Installing cargo-deny {CARGO_DENY}: takes some minutes the first time");
        let mut install = cargo(&[
            "install",
            "--quiet",
            "--locked",
            "cargo-deny",
            "--version",
            CARGO_DENY,
        ]);
        // As it would be built for a release takes three minutes longer.
        install
            .arg("--root")
            .arg(&root)
            .env_remove("CARGO_TARGET_DIR")
            .env("CARGO_PROFILE_RELEASE_LTO", "off")
            .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1");
        run(install, "cargo install cargo-deny")?;
    }
    Ok(program)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::cargo;

    /// Crates with their features, as cargo builds them for a choice of packages.
    fn crates(choice: &[&str]) -> BTreeSet<String> {
        let mut tree = cargo(&[
            "tree", "--locked", "--prefix", "none", "--format", "{p} {f}",
        ]);
        let output = tree.args(choice).output().expect("cargo starts");
        assert!(output.status.success(), "{output:?}");
        let lines = String::from_utf8(output.stdout).expect("cargo prints UTF-8");
        // A star marks what has been shown before.
        lines
            .lines()
            .map(|line| line.trim_end_matches(" (*)").to_owned())
            .collect()
    }

    /// Else a fresh checkout builds most crates twice: once for `cargo xtask`, once for what that builds.
    #[test]
    fn xtask_alone_is_built_of_crates_with_the_features_that_the_workspace_turns_on() {
        let alone = crates(&["--package", "xtask", "--edges", "normal,build"]);
        let together = crates(&["--workspace", "--edges", "normal,build,dev"]);
        let missing: Vec<_> = alone.difference(&together).collect();
        assert!(
            missing.is_empty(),
            "features missing in xtask/Cargo.toml: {missing:#?}"
        );
    }
}
