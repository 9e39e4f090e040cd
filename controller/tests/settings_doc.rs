//! `docs/settings.md` against the program: every flag is in it with its environment variable, its
//! key and its default, nothing is in it that does not exist, and its example file is accepted.
#![allow(clippy::disallowed_methods)] // meant for the agent

// Clippy allows it in test functions, and all of this is tests.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

fn operator(args: &[&str]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_hcs-operator"));
    // What is set in the caller's environment would show in the help, and change the settings.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("HCS_OPERATOR_") {
            program.env_remove(name);
        }
    }
    program.args(args).output().unwrap()
}

fn section(heading: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/settings.md");
    let doc = std::fs::read_to_string(path).unwrap();
    let (_, rest) = doc.split_once(&format!("\n## {heading}\n")).unwrap();
    rest.split("\n## ").next().unwrap_or_default().to_owned()
}

/// Each flag of a command with its help in one line.
fn flags(command: &str) -> BTreeMap<String, String> {
    let output = operator(&[command, "--help"]);
    let help = String::from_utf8(output.stdout).unwrap();
    let mut flags: BTreeMap<String, String> = BTreeMap::new();
    let mut current = String::new();
    for line in help.lines().map(str::trim) {
        if line.starts_with("--") || line.starts_with("-h") {
            line.split([' ', '['])
                .next()
                .unwrap()
                .clone_into(&mut current);
            flags.insert(current.clone(), String::new());
        } else if let Some(text) = flags.get_mut(&current) {
            text.push_str(line);
            text.push(' ');
        }
    }
    flags.remove("-h,");
    flags
}

/// The rows of a section's table by their flag, each cell as it is written.
fn rows(section: &str) -> BTreeMap<String, Vec<String>> {
    let rows = section.lines().filter(|line| line.starts_with("| `--"));
    rows.map(|line| {
        let cells: Vec<String> = line
            .trim_matches('|')
            .split('|')
            .map(|cell| cell.trim().to_owned())
            .collect();
        (cells[0].trim_matches('`').to_owned(), cells)
    })
    .collect()
}

fn first_code(cell: &str) -> Option<&str> {
    cell.strip_prefix('`')?.split('`').next()
}

fn camel_case(flag: &str) -> String {
    let mut words = flag.trim_start_matches('-').split('-');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |text, word| {
        let (head, tail) = word.split_at(1);
        text + &head.to_uppercase() + tail
    })
}

fn check(command: &str, heading: &str, default_cell: usize) {
    let flags = flags(command);
    let rows = rows(&section(heading));
    assert!(!flags.is_empty());
    assert_eq!(
        flags.keys().collect::<Vec<_>>(),
        rows.keys().collect::<Vec<_>>(),
        "the flags of {command}, and those in docs/settings.md"
    );
    for (flag, help) in &flags {
        let cells = &rows[flag];
        if let Some(variable) = first_code(&cells[1]) {
            let named = format!("[env: {variable}=]");
            assert!(help.contains(&named), "{flag}: {variable} is not in {help}");
        } else {
            assert!(!help.contains("[env:"), "{flag} has a variable: {help}");
        }
        if let Some(default) = first_code(&cells[default_cell]) {
            let named = help.contains(&format!("Default {default}"))
                || help.contains(&format!("[default: {default}]"));
            assert!(named, "{flag}: the default {default} is not in {help}");
        }
    }
}

#[test]
fn every_flag_of_the_agent_is_documented_and_no_other() {
    check("agent", "Agent", 3);
}

#[test]
fn every_flag_of_the_controller_is_documented_and_no_other() {
    check("controller", "Controller", 2);
}

#[test]
fn each_key_of_the_file_is_its_flag_in_camel_case() {
    for (flag, cells) in rows(&section("Agent")) {
        if let Some(key) = first_code(&cells[2]) {
            assert_eq!(key, camel_case(&flag), "{flag}");
        }
    }
}

#[test]
fn the_example_file_sets_everything_and_is_accepted() {
    let agent = section("Agent");
    let (_, rest) = agent.split_once("```yaml\n").unwrap();
    let example = rest.split("```").next().unwrap();
    let named: Vec<&str> = example
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(key, _)| key)
        .collect();
    for (flag, cells) in rows(&agent) {
        if let Some(key) = first_code(&cells[2]) {
            assert!(named.contains(&key), "{flag} is not in the example");
        }
    }
    let example = if cfg!(windows) {
        example.to_owned()
    } else {
        let unix = example.replace("C:\\", "/c/").replace("D:\\", "/d/");
        unix.replace('\\', "/")
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings.yaml");
    std::fs::write(&file, example).unwrap();
    let output = operator(&["agent", "--check", "--config", file.to_str().unwrap()]);
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).trim(),
        "the settings are sound",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
