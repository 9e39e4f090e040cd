//! The commands of `docs/install.md`, read from it and run as they stand.

use std::fs;
use std::process::Command;

use hcs_crds::Phase;
use hcs_tests::{Node, PATIENCE, Result, Scenario, binaries, eventually, helm};

use crate::stage::Stage;

/// The words of each command of the first console block below a heading.
fn commands(heading: &str) -> Vec<String> {
    let text = fs::read_to_string(binaries::workspace().join("docs/install.md")).unwrap();
    let (_, section) = text.split_once(&format!("\n## {heading}\n")).unwrap();
    let (_, block) = section.split_once("```console\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let block = block.replace("\\\n", " ");
    block.lines().map(str::to_owned).collect()
}

/// The commands that the release's notes name, without what would have one go on until it is interrupted.
fn next_steps(notes: &str) -> Vec<String> {
    let (_, next) = notes.split_once("\nNext:\n").unwrap();
    let lines = next.lines().map(|line| line.trim().replace(" --watch", ""));
    let commands: Vec<_> = lines.filter(|line| !line.is_empty()).collect();
    assert_eq!(commands.len(), 3, "{notes}");
    commands
}

/// Makes the sample the reader's own: their node and layers, and a program that a simulated node can run.
fn made_ours(stage: &Stage, node: &Node) -> String {
    let sample = binaries::workspace().join("manifests/samples/1-web.yaml");
    let mut text = fs::read_to_string(sample).unwrap();
    let layers = ["nanoserver-ltsc2022", "web"].map(|layer| node.dir().join("layers").join(layer));
    let workload = node.workload().display().to_string();
    for (from, to) in [
        ("nodeName: win-1", format!("nodeName: {}", node.name())),
        (
            r"C:\hcs\layers\nanoserver-ltsc2022",
            layers[0].display().to_string(),
        ),
        (r"C:\hcs\layers\web", layers[1].display().to_string()),
        ("[ping, -t, 127.0.0.1]", format!("[{workload}, run]")),
        (r"cwd: C:\", format!("cwd: {}", node.dir().display())),
    ] {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, &to);
    }
    for layer in layers {
        fs::create_dir_all(layer).unwrap();
    }
    let ours = stage.control_plane.dir().join("web.yaml");
    fs::write(&ours, text).unwrap();
    ours.display().to_string()
}

/// Runs a command in the checkout, with its kubectl and helm, and gives what it printed.
fn run(stage: &Stage, command: &str) -> String {
    let kubectl = stage.control_plane.kubectl_command();
    let folder = std::path::Path::new(kubectl.get_program()).parent();
    let tools = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(helm::program().unwrap(), tools.path().join("helm")).unwrap();
    let path = std::env::var("PATH").unwrap();
    let path = format!(
        "{}:{}:{path}",
        tools.path().display(),
        folder.unwrap().display()
    );
    let mut shell = Command::new("bash");
    shell
        .args(["-euc", command])
        .current_dir(binaries::workspace());
    shell
        .env("PATH", path)
        .env("KUBECONFIG", stage.control_plane.kubeconfig());
    for name in ["CACHE", "CONFIG", "DATA"] {
        shell.env(format!("HELM_{name}_HOME"), tools.path().join(name));
    }
    let output = shell.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

// The kubelet is played on another thread than the shell's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_commands_lead_from_nothing_to_the_first_running_container() -> Result {
    let commands = commands("With Helm");
    assert_eq!(commands.len(), 5, "{commands:#?}");
    let stage = Stage::take().await?;
    // Simulated nodes have their folders elsewhere than Windows, which the values' schema rightly refuses.
    let install = commands[0].replace(r"{C:\\hcs\\layers}", "{/}");
    assert_ne!(install, commands[0]);
    let said = run(&stage, &(install + " --skip-schema-validation"));
    let scenario = Scenario::on(stage.control_plane.clone(), "first").await?;
    let node = scenario.node().await?;
    eventually(PATIENCE, "the node has its page", || async {
        let table = run(&stage, &commands[1]);
        Ok(table.contains(node.name()).then_some(()).ok_or(table))
    })
    .await?;
    for command in next_steps(&said) {
        run(&stage, &command);
    }
    let sample = made_ours(&stage, &node);
    let apply = commands[2].replace("manifests/samples/1-web.yaml", &sample);
    assert_ne!(apply, commands[2]);
    run(&stage, &apply);
    run(&stage, &(commands[3].clone() + " --timeout=60s"));
    let table = run(&stage, &commands[4]);
    assert!(
        table.contains("Running") && table.contains(node.name()),
        "{table}"
    );
    let beside = Scenario::beside(stage.control_plane.clone(), &node, "default").await?;
    beside
        .existing("web")
        .await?
        .becomes(Phase::Running)
        .await?;
    beside.leaves_nothing_on(&node).await?;
    let uninstall =
        "helm uninstall hcs-operator --namespace hcs-operator-system --wait --cascade foreground";
    run(&stage, uninstall);
    run(
        &stage,
        "kubectl delete crd hcscontainers.hcs-operator.dev hcsnodes.hcs-operator.dev",
    );
    stage.leave();
    Ok(())
}
