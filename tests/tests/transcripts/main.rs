//! The simulator says what the real runhcs says. One script of verbs, states and odd arguments is played on both, and
//! the transcripts must be equal but for names, pids and times: output, errors, exit codes, pid files, what is left.
//!
//! The real one's is kept in `tests/windows/transcript.txt`, so that the simulator is held to it where there is no wine
//! too. `HCS_TESTS_RECORD=1 cargo test -p hcs-tests --test transcripts real` records it anew.
#![cfg(unix)]

mod machine;
mod neutral;
mod patience;
mod player;
mod runner;
mod script;

use std::fmt::Write as _;
use std::path::PathBuf;

use hcs_tests::binaries::{Workspace, workspace};
use hcs_tests::windows::Toolchain;
use machine::Machine;
use player::Player;

type Result<T = (), E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

fn recorded() -> PathBuf {
    workspace().join("tests/windows/transcript.txt")
}

/// Plays the script and compares with what is recorded.
fn says_what_is_recorded(machine: Machine) -> Result {
    let mut player = Player::on(machine);
    let end = script::play(&mut player);
    let said = player.transcript();
    if let Err(error) = end {
        let start = said.len().saturating_sub(2000);
        return Err(format!("{error}, after:\n{}", said.get(start..).unwrap_or(&said)).into());
    }
    if std::env::var_os("HCS_TESTS_RECORD").is_some() && player.is_real() {
        std::fs::write(recorded(), &said)?;
        return Ok(());
    }
    let expected = std::fs::read_to_string(recorded())?;
    let differences = difference(&expected, &said);
    assert!(
        differences.is_empty(),
        "{} differences:\n{differences}",
        differences.lines().count()
    );
    Ok(())
}

/// The commands that were answered otherwise, each with both answers.
fn difference(expected: &str, said: &str) -> String {
    let commands = |text: &str| -> Vec<String> {
        text.split("\n\n")
            .map(|part| part.trim().to_owned())
            .collect()
    };
    let (expected, said) = (commands(expected), commands(said));
    let mut all = String::new();
    for index in 0..expected.len().max(said.len()) {
        let [wanted, got] = [&expected, &said].map(|side| side.get(index).map_or("", |s| s));
        if wanted != got {
            let _ = writeln!(all, "--- {}", wanted.lines().next().unwrap_or_default());
            let _ = writeln!(all, "expected: {}", wanted.replace('\n', "\n          "));
            let _ = writeln!(all, "said:     {}", got.replace('\n', "\n          "));
        }
    }
    all
}

#[test]
fn the_real_runhcs_says_what_is_recorded() -> Result {
    let Some(toolchain) = toolchain() else {
        return Ok(());
    };
    let dir = tempfile::tempdir()?;
    says_what_is_recorded(Machine::real(dir.path(), &toolchain)?)
}

#[test]
fn the_simulator_says_what_the_real_runhcs_says() -> Result {
    let dir = tempfile::tempdir()?;
    says_what_is_recorded(Machine::simulated(dir.path(), &Workspace::get()?)?)
}

#[test]
fn the_simulator_built_for_windows_says_what_the_real_runhcs_says() -> Result {
    let Some(toolchain) = toolchain() else {
        return Ok(());
    };
    let dir = tempfile::tempdir()?;
    says_what_is_recorded(Machine::simulated_on_windows(dir.path(), &toolchain)?)
}

fn toolchain() -> Option<Toolchain> {
    Toolchain::find()
        .inspect_err(|missing| eprintln!("SKIPPED: not without {missing}"))
        .ok()
}
