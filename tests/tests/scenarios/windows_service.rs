//! The agent as a Windows service, set up by pods that come and go. A pod's processes are in a job that ends them with
//! it, as Windows has it. Only nodes that run Windows have services.
#![cfg(test)]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hcs_crds::{HcsContainer, Phase};
use hcs_tests::process::{Owned, Spawn};
use hcs_tests::{Container, Error, Live, Node, PATIENCE, Result, Scenario, eventually};

/// How long a pod lets a new service try, in seconds: far more than it takes on a busy machine.
const READY_WITHIN: u32 = 120;
/// The same for one that never becomes ready.
const SOON: u32 = 10;

/// A Windows node whose agent is not a process of the test's, but a service.
struct ServiceNode {
    node: Node,
    scenario: Scenario,
    server: http::Uri,
}

/// A pod that runs node-setup.
struct Pod {
    process: Owned,
    job: u32,
    setup: u32,
}

impl ServiceNode {
    /// None where nodes do not run Windows.
    async fn start(name: &str) -> Result<Option<Self>> {
        let scenario = Scenario::named(name).await?;
        let node = scenario.node().await?;
        if node.machine().drive_c().is_none() {
            eprintln!("SKIPPED: a node without Windows has no services");
            return Ok(None);
        }
        node.agent().stop();
        let access = scenario.control_plane().agent_access(node.name()).await?;
        let server = access.server.parse().unwrap();
        let this = Self {
            node,
            scenario,
            server,
        };
        let folder = this.account();
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("token"), access.token).unwrap();
        fs::write(folder.join("ca.crt"), access.authority).unwrap();
        Ok(Some(this))
    }

    /// The pod's service account, as containerd 1.6 mounts it.
    fn account(&self) -> PathBuf {
        let sandbox = self.node.dir().join("sandbox");
        sandbox.join("var/run/secrets/kubernetes.io/serviceaccount")
    }

    /// The service's own folder.
    fn home(&self) -> PathBuf {
        let drive = self.node.machine().drive_c().unwrap();
        drive.join("ProgramData/hcs-operator/service")
    }

    /// The settings that the pod's ConfigMap has, with an address for the probes.
    fn settings(&self, http_address: &str) -> String {
        let path = |folder: &str| self.node.path(self.node.dir().join(folder));
        let settings = serde_json::json!({
            "runhcs": self.node.path(self.node.machine().runhcs()),
            "dataDir": path("data"),
            "bundleRoots": [path("bundles")],
            "layerRoots": [path("layers")],
            "relistInterval": "1s",
            "httpAddress": http_address,
        });
        let file = self.node.dir().join("settings.yaml");
        fs::write(&file, settings.to_string()).unwrap();
        self.node.path(file)
    }

    /// Starts a pod that runs this program with these settings.
    async fn pod(&self, name: &str, program: &Path, settings: &str) -> Result<Pod> {
        self.pod_that_waits(READY_WITHIN, name, program, settings)
            .await
    }

    async fn pod_that_waits(
        &self,
        ready_within: u32,
        name: &str,
        program: &Path,
        settings: &str,
    ) -> Result<Pod> {
        let line = format!(
            "\"{}\" node-setup --node-name {} --config \"{settings}\" --ready-within {ready_within}s",
            self.node.path(program),
            self.node.name()
        );
        let sandbox = self.node.path(self.node.dir().join("sandbox"));
        let spawn: Spawn = self.node.machine().in_job(name, &line, self.node.dir());
        let process = spawn
            .env("CONTAINER_SANDBOX_MOUNT_POINT", sandbox)
            .env("KUBERNETES_SERVICE_HOST", self.server.host().unwrap())
            .env(
                "KUBERNETES_SERVICE_PORT",
                self.server.port_u16().unwrap().to_string(),
            )
            .start()?;
        let what = format!("the job of {name} has a process");
        let (job, setup) = eventually(PATIENCE, &what, || async {
            let log = process.log_tail(100);
            Ok(pids(&log).ok_or(log))
        })
        .await?;
        Ok(Pod {
            process,
            job,
            setup,
        })
    }

    /// Waits until a pod has said this, which may be after a new service, and a former one, have had their time.
    async fn says(&self, pod: &Pod, words: &str) -> Result {
        eventually(PATIENCE * 3, &format!("the pod says {words:?}"), || async {
            let log = pod.process.log_tail(60);
            Ok(if log.contains(words) {
                Ok(())
            } else {
                Err(log)
            })
        })
        .await
    }

    /// Ends a pod as its runtime does: its job is closed, and Windows ends what is in it.
    async fn kill(&self, pod: Pod) -> Result {
        self.node.machine().kill_process(pod.job);
        eventually(
            PATIENCE,
            "the pod's process has ended with its job",
            || async {
                Ok(if self.node.has_process(pod.setup) {
                    Err(())
                } else {
                    Ok(())
                })
            },
        )
        .await
    }

    /// What the operator's `service` verbs say, and their exit code.
    fn service(&self, args: &[&str]) -> Result<(Option<i32>, String)> {
        let name = format!("service-{}", args.join("-"));
        let log = self.node.dir().join(format!("{name}.log"));
        let _ = fs::remove_file(&log);
        let spawn = self.node.machine().operator(&name, self.node.dir());
        let process = spawn.arg("service").args(args.to_vec()).start()?;
        let code = process.wait(PATIENCE)?.code();
        Ok((code, process.log_tail(20)))
    }

    async fn has(&self, name: &str) -> Result<Live> {
        let container = Container::named(name).on(&self.node).running_for_ever();
        let live = self.scenario.create(container).await?;
        live.becomes(Phase::Running).await?;
        Ok(live)
    }

    /// Where the agent that runs now listens: another for each of its starts.
    fn address(&self) -> String {
        fs::read_to_string(self.node.dir().join("data/http-address")).unwrap()
    }
}

/// `job of 32 has 36`.
fn pids(log: &str) -> Option<(u32, u32)> {
    let line = log
        .lines()
        .find_map(|line| line.trim().strip_prefix("job of "))?;
    let (job, setup) = line.split_once(" has ")?;
    Some((job.parse().ok()?, setup.parse().ok()?))
}

fn identity(object: &HcsContainer) -> (Option<u32>, Option<u32>) {
    let status = object.status.as_ref().unwrap();
    (status.attempt, status.pid)
}

async fn runs_as(live: &Live, before: &HcsContainer) -> Result<(), Error> {
    let now = live.becomes_ready().await?;
    assert_eq!(identity(&now), identity(before));
    Ok(())
}

#[tokio::test]
async fn a_service_and_its_containers_outlive_the_pod_and_the_next_pod_takes_over() -> Result {
    let Some(node) = ServiceNode::start("service").await? else {
        return Ok(());
    };
    assert_eq!(node.service(&["status"])?.0, Some(4));
    let program = node.node.machine().operator_file().to_owned();
    let settings = node.settings("127.0.0.1:0");
    let first = node.pod("pod-1", &program, &settings).await?;
    node.says(&first, "the service is ready").await?;
    let (code, said) = node.service(&["status", "--ready"])?;
    assert_eq!(code, Some(0), "{said}");
    let web = node.has("web").await?;
    let before = web.object().await?;
    let address = node.address();

    node.kill(first).await?;
    runs_as(&web, &before).await?;
    let more = node.has("more").await?;
    assert_eq!(node.service(&["status", "--ready"])?.0, Some(0));

    let second = node.pod("pod-2", &program, &settings).await?;
    node.says(&second, "the service is ready").await?;
    assert_eq!(node.address(), address, "the same program was started anew");
    let control_plane = node.scenario.control_plane();
    let renewed = control_plane.agent_access(node.node.name()).await?.token;
    fs::write(node.account().join("token"), &renewed).unwrap();
    eventually(PATIENCE, "the service has the new token", || async {
        let there = fs::read_to_string(node.home().join("token")).unwrap();
        Ok(if there == renewed { Ok(()) } else { Err(()) })
    })
    .await?;
    runs_as(&web, &before).await?;

    // As a pod leaves it that ends when it has handed over a new authority, and before the service has it.
    node.kill(second).await?;
    let renewed = node.home().join("renewed");
    fs::write(&renewed, "").unwrap();
    let third = node.pod("pod-3", &program, &settings).await?;
    node.says(&third, "the service is ready").await?;
    assert_ne!(node.address(), address, "the service was not started anew");
    assert!(!renewed.exists());
    runs_as(&web, &before).await?;

    let (code, said) = node.service(&["stop"])?;
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(node.service(&["status"])?.0, Some(3));
    assert!(node.node.has_process(identity(&before).1.unwrap()));
    let (code, said) = node.service(&["start"])?;
    assert_eq!(code, Some(0), "{said}");
    runs_as(&web, &before).await?;
    more.delete().await?;
    more.is_gone().await?;
    node.kill(third).await?;
    web.delete().await?;
    web.is_gone().await?;
    let (code, said) = node.service(&["uninstall"])?;
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(node.service(&["status"])?.0, Some(4));
    assert!(!node.home().join("token").exists());
    Ok(())
}

#[tokio::test]
async fn an_upgrade_restarts_no_container_and_one_that_is_no_good_is_rolled_back() -> Result {
    let Some(node) = ServiceNode::start("upgrade").await? else {
        return Ok(());
    };
    let program = node.node.machine().operator_file().to_owned();
    let settings = node.settings("127.0.0.1:0");
    let first = node.pod("pod-1", &program, &settings).await?;
    node.says(&first, "the service is ready").await?;
    let web = node.has("web").await?;
    let before = web.object().await?;
    let (_, old) = node.service(&["status"])?;
    node.kill(first).await?;

    // What follows the end of an executable is not run; it makes another of it all the same.
    let newer = node.node.dir().join("newer.exe");
    fs::write(
        &newer,
        [fs::read(&program).unwrap(), b"newer".to_vec()].concat(),
    )
    .unwrap();
    let second = node.pod("pod-2", &newer, &settings).await?;
    node.says(&second, "the service is ready").await?;
    let (_, new) = node.service(&["status"])?;
    assert_ne!(old, new);
    runs_as(&web, &before).await?;
    node.kill(second).await?;

    // Nobody can listen there, so this agent never becomes ready.
    let bad = node.settings("192.0.2.1:1");
    let third = node.pod_that_waits(SOON, "pod-3", &newer, &bad).await?;
    node.says(&third, "the former program goes on").await?;
    let ended = eventually(
        Duration::from_mins(2),
        "the former one is ready",
        || async {
            let (code, said) = node.service(&["status"])?;
            Ok(if code == Some(0) && said.contains("the agent is ready") {
                Ok(said)
            } else {
                Err(said)
            })
        },
    )
    .await?;
    assert!(ended.contains("was not kept"), "{ended}");
    assert_eq!(node.service(&["status", "--ready"])?.0, Some(3));
    runs_as(&web, &before).await?;
    node.kill(third).await?;

    let settings = node.settings("127.0.0.1:0");
    let fourth = node.pod("pod-4", &newer, &settings).await?;
    node.says(&fourth, "the service is ready").await?;
    assert_eq!(node.service(&["status", "--ready"])?.0, Some(0));
    runs_as(&web, &before).await?;
    node.kill(fourth).await?;
    web.delete().await?;
    web.is_gone().await?;
    assert_eq!(node.service(&["uninstall"])?.0, Some(0));
    Ok(())
}
