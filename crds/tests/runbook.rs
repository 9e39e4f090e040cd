//! `docs/runbook.md` against the reasons: people follow a reason from a condition, an Event or an
//! alert to its anchor there.

// Clippy allows it in test functions, and all of this is tests.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::Path;

use hcs_crds::Reason;
use hcs_crds::conditions::TYPES;

fn runbook() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/runbook.md");
    std::fs::read_to_string(path).unwrap()
}

/// The text below each heading of the third level, which only reasons have.
fn entries(runbook: &str) -> Vec<(&str, &str)> {
    let sections = runbook.split("\n### ").skip(1);
    sections
        .map(|section| {
            let (heading, text) = section.split_once('\n').unwrap();
            (heading.trim(), text.split("\n## ").next().unwrap_or(text))
        })
        .collect()
}

#[test]
fn every_reason_has_one_heading_and_no_heading_names_another() {
    let runbook = runbook();
    let headings: Vec<&str> = entries(&runbook).iter().map(|entry| entry.0).collect();
    for reason in Reason::ALL {
        let count = headings.iter().filter(|h| **h == reason.as_str()).count();
        assert_eq!(count, 1, "headings of {reason} in docs/runbook.md");
    }
    for heading in headings {
        let known = Reason::ALL.iter().any(|reason| reason.as_str() == heading);
        assert!(known, "docs/runbook.md has {heading}, which is no reason");
    }
}

#[test]
fn every_reason_is_explained_with_what_to_do() {
    let runbook = runbook();
    for (reason, text) in entries(&runbook) {
        for part in ["**Means:**", "**Do:**"] {
            assert!(text.contains(part), "{reason} has no {part}");
        }
    }
}

#[test]
fn every_condition_type_is_explained() {
    let runbook = runbook();
    for (condition, _) in TYPES {
        let row = format!("| `{condition}` |");
        assert!(runbook.contains(&row), "{condition} is not in the runbook");
    }
}

#[test]
fn every_link_within_the_runbook_leads_somewhere() {
    let runbook = runbook();
    let anchors: BTreeSet<String> = runbook
        .lines()
        .filter(|line| line.starts_with("##"))
        .map(|line| anchor(line.trim_start_matches('#').trim()))
        .collect();
    for link in runbook.split("](#").skip(1) {
        let target = link.split(')').next().unwrap_or_default();
        assert!(anchors.contains(target), "#{target} is no heading");
    }
    for reason in Reason::ALL {
        assert!(anchors.contains(&reason.anchor()), "{reason}");
    }
}

/// A heading's anchor, as Markdown renderers make it.
fn anchor(heading: &str) -> String {
    heading
        .chars()
        .filter_map(|c| match c {
            ' ' => Some('-'),
            c if c.is_alphanumeric() || c == '-' => Some(c.to_ascii_lowercase()),
            _ => None,
        })
        .collect()
}
