//! Puts the project's own objects into a control plane: the CRDs, the namespace and the rights of agents and of the
//! controller, and gives out tokens for them.

use std::path::Path;
use std::time::Duration;

use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Node, ServiceAccount};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Patch, PatchParams, PostParams};
use kube::core::ObjectMeta;
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde::{Deserialize as _, Serialize};
use serde_json::Value;

use super::ControlPlane;
use crate::eventually::eventually;
use crate::kubeconfig::Access;
use crate::{Error, Result, binaries};

/// The namespace and the service accounts of the project's manifests.
pub const NAMESPACE: &str = "hcs-operator-system";
/// The agents' service account.
pub const AGENT: &str = "hcs-operator-agent";
/// The controller's service account.
pub const CONTROLLER: &str = "hcs-operator-controller";

/// The policy for what specs may ask of nodes, and the ConfigMap with its parameters.
pub const HOST_POLICY: &str = "hcs-operator-host-policy";
/// Tokens of the harness last longer than any run.
const TOKEN_SECONDS: i64 = 24 * 60 * 60;

impl ControlPlane {
    /// Applies the project's manifests, but for what runs in pods: there is no kubelet to run it. Returns when the API
    /// server serves the CRDs. Does no harm where they are applied already.
    pub async fn install(&self) -> Result {
        let manifests = self.dir().join("manifests.yaml");
        self.write_manifests(&manifests)?;
        let mut kubectl = self.kubectl_command();
        kubectl
            // What the server has before the CRDs are installed is not worth remembering.
            .env("KUBECACHEDIR", self.dir().join("cache-of-install"))
            .args(["apply", "--server-side", "--force-conflicts", "-f"])
            .arg(&manifests)
            .stdout(std::process::Stdio::null());
        binaries::run(kubectl, "kubectl apply of the project's manifests")?;
        let crds: Api<CustomResourceDefinition> = Api::all(self.client().await?);
        for crd in hcs_crds::crds().map_err(Error::Schema)? {
            let name = crd.name_any();
            let what = format!("the CRD {name} is established");
            eventually(Duration::from_mins(1), &what, || async {
                let crd = crds.get(&name).await.map_err(Error::api("read the CRD"))?;
                Ok(is_established(&crd).then_some(()).ok_or(crd.status))
            })
            .await?;
        }
        Ok(())
    }

    /// Writes the manifests to one file. What specs may ask of their nodes is left to the agents: simulated nodes have
    /// their folders anywhere.
    fn write_manifests(&self, file: &Path) -> Result {
        let mut kubectl = self.kubectl_command();
        kubectl
            .arg("kustomize")
            .arg(binaries::workspace().join("manifests/cluster"));
        let what = "kubectl kustomize of the project's manifests";
        let output = kubectl.output().map_err(|source| Error::Start {
            what: what.to_owned(),
            source,
        })?;
        if !output.status.success() {
            eprintln!("{}", String::from_utf8_lossy(&output.stderr));
            return Err(Error::Command {
                what: what.to_owned(),
                status: output.status,
            });
        }
        let yaml = |source| Error::Yaml {
            path: file.to_owned(),
            source,
        };
        let mut text = String::new();
        for document in serde_yaml_ng::Deserializer::from_slice(&output.stdout) {
            let mut object = Value::deserialize(document).map_err(yaml)?;
            if object["kind"] == "ConfigMap" && object["metadata"]["name"] == HOST_POLICY {
                allow_everything(&mut object["data"]);
            }
            text.push_str("---\n");
            text.push_str(&serde_yaml_ng::to_string(&object).map_err(yaml)?);
        }
        std::fs::write(file, text).map_err(|source| Error::file("write", file, source))
    }

    /// Creates the Node object of a simulated node.
    pub async fn create_node(&self, name: &str) -> Result {
        let nodes: Api<Node> = Api::all(self.client().await?);
        let labels = [
            ("kubernetes.io/os", "windows"),
            ("kubernetes.io/hostname", name),
        ];
        let metadata = ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some(labels.map(|(key, value)| (key.into(), value.into())).into()),
            ..ObjectMeta::default()
        };
        apply(
            &nodes,
            &Node {
                metadata,
                ..Node::default()
            },
        )
        .await
    }

    /// Access as an agent: its service account with a token that is bound to its Node object, as a
    /// pod's is, so that admission policies see the node's name.
    pub async fn agent_access(&self, node: &str) -> Result<Access> {
        let node_object: Api<Node> = Api::all(self.client().await?);
        let node = node_object
            .get(node)
            .await
            .map_err(Error::api(format!("read node {node}")))?;
        let bound = BoundObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Node".to_owned()),
            name: node.metadata.name.clone(),
            uid: node.metadata.uid.clone(),
        };
        self.access_as(AGENT, Some(bound)).await
    }

    /// Access as the controller.
    pub async fn controller_access(&self) -> Result<Access> {
        self.access_as(CONTROLLER, None).await
    }

    /// Access as a service account of the project's, with a token that is bound to this object.
    pub async fn access_as(
        &self,
        name: &str,
        bound: Option<BoundObjectReference>,
    ) -> Result<Access> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client().await?, NAMESPACE);
        let request = TokenRequest {
            spec: Some(TokenRequestSpec {
                bound_object_ref: bound,
                expiration_seconds: Some(TOKEN_SECONDS),
                ..TokenRequestSpec::default()
            }),
            ..TokenRequest::default()
        };
        let token = accounts
            .create_token_request(name, &PostParams::default(), &request)
            .await
            .map_err(Error::api(format!("create a token for {name}")))?;
        let token = token
            .status
            .and_then(|status| status.token)
            .unwrap_or_default();
        Ok(Access {
            token,
            ..self.access.clone()
        })
    }
}

/// Parameters of the host policy that allow every path, on Linux and under wine, and all of the host's.
fn allow_everything(parameters: &mut Value) {
    let drives = ('A'..='Z').map(|letter| format!(";{letter}:\\"));
    let anywhere = drives.fold("/".to_owned(), |roots, drive| roots + &drive);
    for key in ["bundleRoots", "layerRoots", "cacheRoots", "mountRoots"] {
        parameters[key] = anywhere.clone().into();
    }
    parameters["hostAccess"] = "Devices;Credentials;Network".into();
}

/// Creates or updates by server-side apply, which many may do at the same time.
async fn apply<K>(api: &Api<K>, object: &K) -> Result
where
    K: Resource + Clone + std::fmt::Debug + Serialize + DeserializeOwned,
{
    let name = object.meta().name.clone().unwrap_or_default();
    let params = PatchParams::apply("hcs-tests").force();
    api.patch(&name, &params, &Patch::Apply(object))
        .await
        .map_err(Error::api(format!("apply {name}")))?;
    Ok(())
}

fn is_established(crd: &CustomResourceDefinition) -> bool {
    let conditions = crd
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_deref());
    conditions
        .unwrap_or_default()
        .iter()
        .any(|condition| condition.type_ == "Established" && condition.status == "True")
}
