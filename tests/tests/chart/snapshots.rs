//! What the chart makes of each set of values, kept in `snapshots/` so that a change of it is read before it is made.
//! `HCS_TESTS_RENEW=1 cargo test -p hcs-tests --test chart snapshot` writes them anew.

use std::fs;

use crate::chart::{Values, beside};

/// Writes the snapshots in place of comparing.
const RENEW: &str = "HCS_TESTS_RENEW";

/// The templates that `cargo xtask generate` makes of files that say the same, and keeps equal.
const GENERATED: [&str; 3] = ["/crds/", "/rbac/", "/policy/"];

/// Of what is made of other files only how it begins.
fn shortened(rendered: &str) -> String {
    let mut text = String::new();
    for document in rendered.split("---\n").filter(|it| !it.trim().is_empty()) {
        let (source, object) = document.split_once('\n').unwrap_or_default();
        let generated = GENERATED.iter().any(|folder| source.contains(folder));
        let end = ["\nspec:\n", "\nrules:\n", "\nroleRef:\n"];
        let end = end.iter().filter_map(|line| object.find(line)).min();
        let shown = match end {
            Some(end) if generated => &document[..=source.len() + end],
            _ => document.trim_end(),
        };
        text.push_str("---\n");
        text.push_str(shown);
        text.push('\n');
    }
    text
}

#[test]
fn each_set_of_values_gives_its_snapshot() {
    let renew = std::env::var_os(RENEW).is_some();
    let mut stale = Vec::new();
    for values in Values::all() {
        let rendered = shortened(&values.rendered().unwrap());
        let file = beside("snapshots").join(format!("{}.yaml", values.name));
        if fs::read_to_string(&file).is_ok_and(|kept| kept == rendered) {
            continue;
        }
        if renew {
            fs::write(&file, rendered).unwrap();
        } else {
            let kept = fs::read_to_string(&file).unwrap_or_default();
            let new = rendered
                .lines()
                .find(|line| !kept.lines().any(|it| it == *line));
            stale.push(format!("{}: {new:?}", values.name));
        }
    }
    assert!(
        stale.is_empty(),
        "not as kept, with the first new line; if that is meant, renew them with {RENEW}=1: {stale:#?}"
    );
}

#[test]
fn each_snapshot_has_its_values() {
    let names: Vec<String> = Values::all().into_iter().map(|it| it.name).collect();
    for file in fs::read_dir(beside("snapshots")).unwrap() {
        let name = file.unwrap().path();
        let name = name.file_stem().unwrap().to_str().unwrap().to_owned();
        assert!(names.contains(&name), "{name} is of no set of values");
    }
}
