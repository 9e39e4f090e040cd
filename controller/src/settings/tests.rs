//! Where settings come from, and what is said of wrong ones.

use clap::Parser;

use super::*;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    given: Given,
}

fn given(args: &[&str]) -> Given {
    Cli::parse_from([&["x"], args].concat()).given
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), text).unwrap();
    file
}

#[test]
fn a_flag_outweighs_the_file_and_the_file_the_default() {
    let file = file("nodeName: of-file\nrelistInterval: 45s\nrunhcsDebug: true\n");
    let given = given(&["--node-name", "of-flag"])
        .with_file(Some(file.path()))
        .unwrap();
    let settings = AgentSettings::check(&given).unwrap();
    assert_eq!(settings.node, "of-flag");
    assert_eq!(settings.relist_interval, Duration::from_secs(45));
    assert!(settings.client.debug);
    assert_eq!(settings.scratch_timeout, Duration::from_mins(10));
}

#[test]
fn an_empty_file_gives_nothing() {
    let file = file("# nothing here\n");
    assert!(
        Given::default()
            .with_file(Some(file.path()))
            .unwrap()
            .node_name
            .is_none()
    );
}

#[test]
fn a_file_with_an_unknown_field_or_a_wrong_type_is_refused_with_its_place() {
    for (text, words) in [
        ("nodename: x\n", "unknown field `nodename`"),
        ("runhcsParallel: many\n", "runhcsParallel: invalid type"),
        ("relistInterval: 5 parsecs\n", "relistInterval"),
        ("- a\n", "invalid type: sequence"),
    ] {
        let file = file(text);
        let error = Given::default()
            .with_file(Some(file.path()))
            .unwrap_err()
            .to_string();
        assert!(error.contains(words), "{error}");
    }
    let missing = Given::default()
        .with_file(Some(Path::new("/none.yaml")))
        .unwrap_err();
    assert!(missing.to_string().contains("/none.yaml"));
}

#[test]
fn all_wrong_settings_are_named_at_once() {
    let given = Given {
        node_name: Some("No Node".into()),
        runhcs: Some("runhcs.exe".into()),
        data_dir: Some("data".into()),
        bundle_roots: Some(vec!["bundles".into()]),
        relist_interval: Some(Duration::ZERO),
        runhcs_parallel: Some(0),
        runhcs_log: Some("log.txt".into()),
        runhcs_owner: Some(String::new()),
        ..Given::default()
    };
    let wrong: Vec<_> = AgentSettings::check(&given)
        .unwrap_err()
        .into_iter()
        .map(|w| w.setting)
        .collect();
    assert_eq!(
        wrong,
        [
            "--node-name",
            "--data-dir",
            "--bundle-roots",
            "--relist-interval",
            "--runhcs-parallel",
            "--runhcs",
            "--runhcs-log",
            "--runhcs-owner"
        ]
    );
}

#[test]
fn a_missing_node_name_says_where_it_comes_from() {
    let wrong = AgentSettings::check(&Given::default()).unwrap_err();
    assert!(wrong[0].to_string().starts_with("--node-name: required"));
}
