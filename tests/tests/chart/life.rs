//! The life of an installation: containers live through all of it.

use std::path::Path;
use std::process::Command;

use hcs_crds::{HcsContainerStatus, Phase};
use hcs_tests::binaries::Workspace;
use hcs_tests::control_plane::NAMESPACE;
use hcs_tests::node::start_controller;
use hcs_tests::operator::Operator;
use hcs_tests::{Container, Live, Node, Result, Scenario, binaries};
use serde_json::{Value, json};

use crate::chart::folder;
use crate::stage::Stage;

const RELEASE: &str = "hcs-operator";
/// Where simulated nodes have their layers. The values' schema, rightly, knows folders of Windows alone.
const ROOTS: [&str; 3] = [
    "--skip-schema-validation",
    "--set",
    "agent.settings.layerRoots={/}",
];
const DAEMON_SET: [&str; 4] = ["daemonset", "hcs-operator-agent", "--namespace", NAMESPACE];
const CRD: [&str; 2] = ["crd", "hcscontainers.hcs-operator.dev"];

/// `helm VERB hcs-operator CHART …`, waiting until everything is ready.
fn helm(stage: &Stage, verb: &str, chart: &Path, more: &[&str]) -> Result<String> {
    let args = [
        verb,
        RELEASE,
        chart.to_str().unwrap(),
        "--namespace",
        NAMESPACE,
    ];
    let waiting = ["--create-namespace", "--wait", "--timeout", "60s"];
    stage.helm.run([&args[..], &waiting, &ROOTS, more].concat())
}

fn image(stage: &Stage) -> String {
    let daemon_set = stage.get(&DAEMON_SET).unwrap();
    let image = daemon_set.pointer("/spec/template/spec/containers/0/image");
    image.unwrap().as_str().unwrap().to_owned()
}

/// What must not change of a container.
fn identity(status: &HcsContainerStatus) -> Value {
    json!([
        status.container_id,
        status.attempt,
        status.pid,
        status.restart_count
    ])
}

/// A container and what it was like when it came to run.
struct Watched {
    live: Live,
    identity: Value,
}

impl Watched {
    async fn on(scenario: &Scenario, node: &Node) -> Result<Self> {
        let web = Container::named("web").on(node).running_for_ever();
        let live = scenario.create(web).await?;
        let status = live
            .becomes(Phase::Running)
            .await?
            .status
            .unwrap_or_default();
        let identity = identity(&status);
        Ok(Self { live, identity })
    }

    /// It runs as it did, and runhcs was called for nothing but to look since.
    async fn is_untouched(&self, node: &Node) -> Result {
        let status = self.live.becomes_ready().await?.status.unwrap_or_default();
        assert_eq!(identity(&status), self.identity);
        assert!(node.has_process(status.pid.unwrap()));
        let calls = node.calls_about(&self.live)?;
        let mut verbs: Vec<&str> = calls.iter().map(|call| call.verb.as_str()).collect();
        verbs.retain(|verb| *verb != "ps");
        assert_eq!(verbs, ["create", "start"]);
        Ok(())
    }
}

/// A later version of the chart, with another definition of the kind.
fn later_version(dir: &Path) -> std::path::PathBuf {
    let later = dir.join("hcs-operator");
    let mut copy = Command::new("cp");
    copy.arg("-r").arg(folder()).arg(&later);
    binaries::run(copy, "the copy of the chart").unwrap();
    let change = |file: &str, from: &str, to: &str| {
        let file = later.join(file);
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{from} in {}", file.display());
        std::fs::write(&file, text.replace(from, to)).unwrap();
    };
    let version = env!("CARGO_PKG_VERSION");
    change(
        "Chart.yaml",
        &format!("ersion: {version}\n"),
        "ersion: 99.0.0\n",
    );
    let crd = "templates/crds/hcs-operator.dev_hcscontainers.yaml";
    change(crd, "    - hcs\n", "    - hcs\n    - hcslater\n");
    later
}

// Helm blocks its thread; the kubelet needs another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn containers_live_through_upgrade_rollback_and_uninstall() -> Result {
    let stage = Stage::take().await?;
    let notes = helm(&stage, "install", &folder(), &[])?;
    assert!(notes.contains("\nNext:\n"), "{notes}");
    let scenario = Scenario::on(stage.control_plane.clone(), "release").await?;
    let node = scenario.node().await?;
    let web = Watched::on(&scenario, &node).await?;
    let first = image(&stage);

    let dir = tempfile::tempdir().unwrap();
    let later = later_version(dir.path());
    helm(
        &stage,
        "upgrade",
        &later,
        &["--set", "agent.settings.logLevel=debug"],
    )?;
    web.is_untouched(&node).await?;
    assert!(image(&stage).ends_with(":99.0.0"));
    let status = stage.get(&DAEMON_SET).unwrap()["status"].clone();
    // Nodes of tests before this one may still be there.
    assert!(status["numberReady"].as_u64() >= Some(1), "{status}");
    assert_eq!(status["numberReady"], status["desiredNumberScheduled"]);
    let names = stage.get(&CRD).unwrap()["spec"]["names"]["shortNames"].clone();
    assert_eq!(names, json!(["hcs", "hcslater"]));

    let back = [
        "rollback",
        RELEASE,
        "1",
        "--namespace",
        NAMESPACE,
        "--wait",
        "--timeout",
        "60s",
    ];
    stage.helm.run(back)?;
    web.is_untouched(&node).await?;
    assert_eq!(image(&stage), first);

    uninstalled(&stage)?;
    assert!(stage.get(&DAEMON_SET).is_none());
    assert!(stage.get(&CRD).is_some(), "the kind went with the release");
    web.is_untouched(&node).await?;

    installed_again(&stage, &node).await?;
    web.is_untouched(&node).await?;
    scenario.leaves_nothing_on(&node).await?;
    gone_for_good(&stage)?;
    stage.leave();
    Ok(())
}

fn uninstalled(stage: &Stage) -> Result {
    let args = [
        "uninstall",
        RELEASE,
        "--namespace",
        NAMESPACE,
        "--wait",
        "--timeout",
        "60s",
    ];
    let said = stage
        .helm
        .run([&args[..], &["--cascade", "foreground"]].concat())?;
    assert!(said.contains("uninstalled"), "{said}");
    Ok(())
}

/// Installs over what an uninstall has kept. The service account is another, so the agent gets a new token.
async fn installed_again(stage: &Stage, node: &Node) -> Result {
    helm(stage, "install", &folder(), &[])?;
    let access = stage.control_plane.agent_access(node.name()).await?;
    access.write_kubeconfig(&node.dir().join("kubeconfig"))?;
    node.agent().crash_and_restart().await
}

/// Uninstalls so that nothing stays.
fn gone_for_good(stage: &Stage) -> Result {
    helm(stage, "upgrade", &folder(), &["--set", "crds.keep=false"])?;
    uninstalled(stage)?;
    assert!(stage.get(&CRD).is_none(), "the kind stayed");
    let ours = "app.kubernetes.io/name=hcs-operator";
    let left = stage.get(&["all,sa,cm,pdb", "-l", ours, "-n", NAMESPACE]);
    assert_eq!(left, None);
    Ok(())
}

/// What the API server takes from a token that is bound to the pod on this node, as the kubelet would give it.
fn who_the_pod_is(stage: &Stage, node: &Node) -> Value {
    let on_node = format!("spec.nodeName={}", node.name());
    let pods = [
        "pods",
        "--namespace",
        NAMESPACE,
        "--field-selector",
        &on_node,
    ];
    let pods = stage.get(&pods).unwrap();
    let pod = pods["items"][0]["metadata"]["name"].as_str().unwrap();
    let account = [
        "create",
        "token",
        "hcs-operator-agent",
        "--namespace",
        NAMESPACE,
    ];
    let bound = ["--bound-object-kind", "Pod", "--bound-object-name", pod];
    let token = stage.kubectl(&[&account[..], &bound].concat());
    let who = [
        "--token",
        token.trim(),
        "auth",
        "whoami",
        "--output",
        "json",
    ];
    let who: Value = serde_json::from_str(&stage.kubectl(&who)).unwrap();
    who["status"]["userInfo"].clone()
}

/// The controller as its Deployment starts it, but for its address, with its service account's rights; it is ready.
async fn controller_of(stage: &Stage) -> Result<Operator> {
    let deployment = [
        "deployment",
        "hcs-operator-controller",
        "--namespace",
        NAMESPACE,
    ];
    let deployment = stage.get(&deployment).unwrap();
    let args = &deployment["spec"]["template"]["spec"]["containers"][0]["args"];
    let args: Vec<String> = serde_json::from_value(args.clone()).unwrap();
    assert_eq!(args[..2], ["controller", "--http-address=0.0.0.0:9641"]);
    start_controller(&stage.control_plane, &Workspace::get()?, &args[2..]).await
}

// As above.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kustomize_installs_all_that_an_agent_needs_and_takes_it_away_again() -> Result {
    let stage = Stage::take().await?;
    let manifests = binaries::workspace().join("manifests");
    let manifests = manifests.to_str().unwrap();
    stage.kubectl(&["apply", "--server-side", "-k", manifests]);
    let policy = [
        "patch",
        "configmap",
        "hcs-operator-host-policy",
        "--namespace",
        NAMESPACE,
    ];
    let roots = [
        "--type=merge",
        "--patch",
        r#"{"data": {"layerRoots": "/"}}"#,
    ];
    stage.kubectl(&[&policy[..], &roots].concat());
    let scenario = Scenario::on(stage.control_plane.clone(), "kustomize").await?;
    let node = scenario.node().await?;
    for part in [
        "deployment/hcs-operator-controller",
        "daemonset/hcs-operator-agent",
    ] {
        stage.kubectl(&[
            "rollout",
            "status",
            part,
            "--namespace",
            NAMESPACE,
            "--timeout=60s",
        ]);
    }
    let pod = who_the_pod_is(&stage, &node);
    let named = &pod["extra"]["authentication.kubernetes.io/node-name"];
    assert_eq!(*named, json!([node.name()]), "{pod}");
    let controller = controller_of(&stage).await?;
    Watched::on(&scenario, &node)
        .await?
        .is_untouched(&node)
        .await?;
    controller.running()?;
    scenario.leaves_nothing_on(&node).await?;
    stage.kubectl(&["delete", "-k", manifests, "--timeout=60s"]);
    stage.leave();
    Ok(())
}
