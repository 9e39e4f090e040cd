//! The agent's settings, through the real executable.

use std::fs;

use hcs_tests::{Node, PATIENCE, Result, Scenario};

/// How a run of the operator with these arguments ends, and what it says.
fn run(node: &Node, name: &str, args: &[String]) -> Result<(Option<i32>, String)> {
    let spawn = node
        .machine()
        .operator(name, node.dir())
        .args(args.to_vec());
    let process = spawn.start()?;
    let code = process.wait(PATIENCE)?.code();
    Ok((code, process.log_tail(100)))
}

/// The arguments that an agent on this node needs.
fn sound(node: &Node, data_dir: &str) -> Vec<String> {
    let path = |path| node.path(path);
    [
        "agent",
        "--node-name",
        "n",
        "--runhcs",
        &path(node.machine().runhcs()),
        "--data-dir",
        &path(&node.dir().join(data_dir)),
    ]
    .map(str::to_owned)
    .to_vec()
}

fn with(mut args: Vec<String>, more: &[&str]) -> Vec<String> {
    args.extend(more.iter().map(|arg| (*arg).to_owned()));
    args
}

#[tokio::test]
async fn wrong_settings_are_named_all_at_once() -> Result {
    let scenario = Scenario::named("wrong-settings").await?;
    let node = scenario.node().await?;
    let wrong = [
        ("--runhcs", "runhcs"),
        ("--data-dir", "data"),
        ("--bundle-roots", "bundles"),
        ("--layer-roots", "layers"),
        ("--cache-roots", "cache"),
        ("--mount-roots", "mounts"),
        ("--relist-interval", "10ms"),
        ("--runhcs-timeout", "0s"),
        ("--scratch-timeout", "999ms"),
        ("--runhcs-parallel", "0"),
        ("--runhcs-log", "runhcs.log"),
        ("--runhcs-owner", ""),
        ("--runhcs-root", "a/b"),
        ("--shim-log-dir", "shims"),
        ("--node-name", "No Name"),
    ];
    let mut args = vec!["agent".to_owned()];
    args.extend(
        wrong
            .iter()
            .flat_map(|(flag, value)| [(*flag).to_owned(), (*value).to_owned()]),
    );
    let (code, said) = run(&node, "wrong", &args)?;
    assert_eq!(code, Some(2), "{said}");
    for (flag, _) in wrong {
        assert!(said.contains(&format!("error: {flag}: ")), "{flag}: {said}");
    }
    let (code, said) = run(&node, "nameless", &["agent".to_owned()])?;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("error: --node-name: required"), "{said}");
    for (name, flag, value) in [
        ("no-time", "--relist-interval", "soon"),
        ("no-number", "--runhcs-parallel", "many"),
        ("no-address", "--http-address", "here"),
        ("no-format", "--log-format", "xml"),
    ] {
        let (code, said) = run(&node, name, &with(sound(&node, "other"), &[flag, value]))?;
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(flag) && said.contains(value), "{said}");
    }
    let (code, said) = run(&node, "sound", &with(sound(&node, "other"), &["--check"]))?;
    assert_eq!(code, Some(0), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_settings_file_that_cannot_be_used_is_said_with_its_place() -> Result {
    let scenario = Scenario::named("bad-file").await?;
    let node = scenario.node().await?;
    for (name, text, says) in [
        (
            "unknown",
            "relistInterval: 3s\nrelistInterwal: 3s\n",
            "relistInterwal",
        ),
        ("type", "bundleRoots: 7\n", "bundleRoots"),
        ("yaml", "bundleRoots: [\n", "line"),
    ] {
        let file = node.dir().join(name);
        fs::write(&file, text).unwrap();
        let args = with(sound(&node, "other"), &["--config", &node.path(&file)]);
        let (code, said) = run(&node, name, &args)?;
        assert_ne!(code, Some(0), "{said}");
        assert!(
            said.contains("settings file") && said.contains(says),
            "{said}"
        );
    }
    let missing = node.path(node.dir().join("nowhere.yaml"));
    let args = with(sound(&node, "other"), &["--config", &missing]);
    let (code, said) = run(&node, "missing", &args)?;
    assert_ne!(code, Some(0), "{said}");
    assert!(said.contains("failed to read the settings file"), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_second_agent_with_the_same_data_is_refused() -> Result {
    let scenario = Scenario::named("second-agent").await?;
    let node = scenario.node().await?;
    let (code, said) = run(&node, "second", &sound(&node, "data"))?;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("another agent works in"), "{said}");
    node.agent().running()
}
