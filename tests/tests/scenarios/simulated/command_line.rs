//! The settings that go-runhcs has reach runhcs' command line, the flag before the variable before the file.

use std::fs;

use hcs_crds::Phase;
use hcs_tests::{Container, Ground, NodeOptions, Result, Scenario};

#[tokio::test]
async fn settings_reach_runhcs_from_flags_then_variables_then_the_file() -> Result {
    let scenario = Scenario::named("command-line").await?;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("agent.yaml");
    let log = folder.path().join("runhcs.log");
    let ground = Ground::of_this_run()?;
    let (folder_there, log_there) = (ground.path(folder.path()), ground.path(&log));
    let text = "runhcsOwner: of-the-file\nrunhcsRoot: of-the-file\nrunhcsLogFormat: json\nrunhcsDebug: true\n";
    fs::write(&file, text).unwrap();
    let options = NodeOptions {
        args: [
            "--config",
            &ground.path(&file),
            "--runhcs-owner",
            "of-the-flag",
            "--runhcs-log",
            &log_there,
            "--shim-log-dir",
            &folder_there,
        ]
        .map(str::to_owned)
        .to_vec(),
        envs: [
            ("HCS_OPERATOR_RUNHCS_OWNER", "of-the-variable"),
            // The only one that create works with: runhcs v0.11.7 does not tell its shims of another.
            ("HCS_OPERATOR_RUNHCS_ROOT", "default"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec(),
        ..NodeOptions::default()
    };
    let node = scenario.node_with(options).await?;
    let web = Container::named("web").on(&node).running_for_ever();
    let web = scenario.create(web).await?;
    web.becomes(Phase::Running).await?;
    let expected = [
        ("--owner", "of-the-flag"),
        ("--root", "default"),
        ("--log-format", "json"),
        ("--log", &log_there),
    ];
    for call in node.sim().calls().unwrap() {
        let said = |flag: &str, value: &str| {
            let joined = format!("{flag}={value}");
            let pair = call.argv.windows(2).any(|pair| pair == [flag, value]);
            pair || call.argv.contains(&joined)
        };
        for (flag, value) in expected {
            assert!(said(flag, value), "{flag} {value}: {:?}", call.argv);
        }
        assert!(
            call.argv.iter().any(|arg| arg == "--debug"),
            "{:?}",
            call.argv
        );
    }
    let create = node.calls_about(&web)?.remove(0);
    let shim_log = folder.path().join(format!("{}.log", create.id));
    let shim_log = ground.path(&shim_log);
    assert!(
        create.argv.iter().any(|arg| arg.contains(&shim_log)),
        "{create:?}"
    );
    scenario.leaves_nothing_on(&node).await
}
