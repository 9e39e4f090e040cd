//! Plays the scheduler and the kubelets for pods: binds each to its node, says that it is ready, and lets go of it when
//! it is deleted. Nothing of a pod runs: what its containers would do is shown elsewhere.

use futures::TryStreamExt as _;
use hcs_tests::{ControlPlane, Error, Result};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

/// The node of pods that may be on any Linux node.
pub const LINUX: &str = "linux-1";

/// The play, until it is dropped.
pub struct Kubelet(JoinHandle<()>);

impl Kubelet {
    /// Begins it, with one Linux node.
    pub async fn of(control_plane: &ControlPlane) -> Result<Self> {
        let client = control_plane.client().await?;
        let node = json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {"name": LINUX, "labels": {"kubernetes.io/os": "linux"}},
        });
        Api::<Node>::all(client.clone())
            .patch(LINUX, &PatchParams::apply("kubelet"), &Patch::Apply(&node))
            .await
            .map_err(Error::api("create the Linux node"))?;
        Ok(Self(tokio::spawn(play(client))))
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn play(client: Client) {
    let pods = watcher(Api::<Pod>::all(client.clone()), watcher::Config::default());
    let pods = pods.default_backoff().applied_objects();
    let played = pods.try_for_each(|pod| {
        let client = client.clone();
        async move {
            match next_step(&client, &pod).await {
                // A pod that has changed or gone meanwhile is seen again, or never.
                Err(kube::Error::Api(status)) if [404, 409].contains(&status.code) => {}
                Err(error) => eprintln!("{}: {error}", pod.name_any()),
                Ok(()) => {}
            }
            Ok(())
        }
    });
    if let Err(error) = played.await {
        eprintln!("the watch of pods ended: {error}");
    }
}

async fn next_step(client: &Client, pod: &Pod) -> kube::Result<()> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), &pod.namespace().unwrap_or_default());
    let name = pod.name_any();
    if pod.metadata.deletion_timestamp.is_some() {
        let now = DeleteParams::default().grace_period(0);
        pods.delete(&name, &now).await?;
    } else if pod
        .spec
        .as_ref()
        .is_some_and(|spec| spec.node_name.is_none())
    {
        let binding = json!({
            "apiVersion": "v1", "kind": "Binding", "metadata": {"name": name},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node_of(pod)},
        });
        pods.create_subresource::<_, Value>("binding", &name, &PostParams::default(), &binding)
            .await?;
    } else if !ready(pod) {
        let started = pod.creation_timestamp();
        let condition =
            |type_: &str| json!({"type": type_, "status": "True", "lastTransitionTime": started});
        let conditions = ["Initialized", "ContainersReady", "Ready", "PodScheduled"].map(condition);
        let status =
            json!({"status": {"phase": "Running", "startTime": started, "conditions": conditions}});
        pods.patch_status(&name, &PatchParams::default(), &Patch::Merge(status))
            .await?;
    }
    Ok(())
}

/// The node that a DaemonSet wants its pod on, else the Linux node.
fn node_of(pod: &Pod) -> String {
    let pod = serde_json::to_value(pod).unwrap_or_default();
    let path = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms/0\
                /matchFields/0/values/0";
    let node = pod.pointer(path).and_then(Value::as_str);
    node.unwrap_or(LINUX).to_owned()
}

fn ready(pod: &Pod) -> bool {
    let conditions = pod
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_ref());
    conditions
        .into_iter()
        .flatten()
        .any(|it| it.type_ == "Ready" && it.status == "True")
}
