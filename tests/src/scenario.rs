//! A scenario: a namespace and nodes of its own on the shared control plane, so that scenarios run side by side.

use std::fmt::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hcs_crds::HcsContainer;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::core::ObjectMeta;
use kube::{Api, Client, ResourceExt};

use crate::audit::Audit;
use crate::container::Container;
use crate::eventually::eventually;
use crate::live::Live;
use crate::node::{Node, NodeOptions};
use crate::process::{lock, tail};
use crate::{ControlPlane, Error, Result};

/// How long a scenario waits for one condition: far more than it takes on a busy machine, so that only what never
/// happens fails.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// A namespace and the nodes of one scenario.
#[derive(Clone)]
pub struct Scenario {
    pub(crate) namespace: String,
    pub(crate) client: Client,
    control_plane: Arc<ControlPlane>,
    /// The nodes' folders, for the evidence of a failure.
    nodes: Arc<Mutex<Vec<PathBuf>>>,
}

impl Scenario {
    /// Starts a scenario on the shared control plane. `name` is a DNS label; the namespace gets it, and a suffix that
    /// makes it unique.
    pub async fn named(name: &str) -> Result<Self> {
        Self::on(ControlPlane::shared().await?, name).await
    }

    /// Starts a scenario on a control plane of its own.
    pub async fn on(control_plane: Arc<ControlPlane>, name: &str) -> Result<Self> {
        let namespace = unique(name);
        let client = control_plane.client().await?;
        let scenario = Self {
            namespace,
            client,
            control_plane,
            nodes: Arc::default(),
        };
        scenario.make_namespace().await?;
        Ok(scenario)
    }

    /// Creates its namespace: at its begin, and again in a cluster that has lost its store.
    pub async fn make_namespace(&self) -> Result {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let metadata = ObjectMeta {
            name: Some(self.namespace.clone()),
            ..ObjectMeta::default()
        };
        let object = Namespace {
            metadata,
            ..Namespace::default()
        };
        let created = namespaces.create(&PostParams::default(), &object).await;
        let what = format!("create namespace {}", self.namespace);
        created.map_err(Error::api(what))?;
        Ok(())
    }

    /// A scenario in a namespace that is there, with a node that runs already.
    pub async fn beside(
        control_plane: Arc<ControlPlane>,
        node: &Node,
        namespace: &str,
    ) -> Result<Self> {
        let client = control_plane.client().await?;
        let nodes = Arc::new(Mutex::new(vec![node.dir().to_owned()]));
        Ok(Self {
            namespace: namespace.to_owned(),
            client,
            control_plane,
            nodes,
        })
    }

    /// Starts a node.
    pub async fn node(&self) -> Result<Node> {
        self.node_with(NodeOptions::default()).await
    }

    /// Starts a node with options.
    pub async fn node_with(&self, options: NodeOptions) -> Result<Node> {
        let name = unique(&self.namespace);
        lock(&self.nodes).push(self.control_plane.dir().join("nodes").join(&name));
        Node::start(&self.control_plane, &name, options).await
    }

    /// Creates a container's object. It is not on its node yet: say [`Live::becomes`].
    pub async fn create(&self, container: Container) -> Result<Live> {
        let object = container.build(&self.namespace)?;
        self.create_object(&object)
            .await
            .map_err(Error::api(format!(
                "create the HcsContainer {}",
                object.name_any()
            )))
    }

    /// Creates an object as it is; the API server's refusal is the error.
    pub async fn create_object(&self, object: &HcsContainer) -> Result<Live, kube::Error> {
        let created = self
            .containers()
            .create(&PostParams::default(), object)
            .await?;
        Ok(Live::new(self.clone(), &created))
    }

    /// An object that somebody has created already.
    pub async fn existing(&self, name: &str) -> Result<Live> {
        let object = self.containers().get(name).await;
        let object = object.map_err(Error::api(format!("read {name}")))?;
        Ok(Live::new(self.clone(), &object))
    }

    /// The API of this namespace's containers, as system:masters.
    pub fn containers(&self) -> Api<HcsContainer> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// A client as system:masters.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The control plane it runs on.
    pub fn control_plane(&self) -> &ControlPlane {
        &self.control_plane
    }

    /// The writes that the API server is asked for from now on.
    pub fn audit_from_now(&self) -> Audit {
        self.control_plane.audit().from_now()
    }

    /// Deletes all containers of the scenario, and waits until the objects are gone and `node` has no container, no
    /// process of its runhcs and no file of the agent's more: what every scenario should be able to say at its end.
    pub async fn leaves_nothing_on(&self, node: &Node) -> Result {
        let api = self.containers();
        api.delete_collection(&DeleteParams::default(), &ListParams::default())
            .await
            .map_err(Error::api("delete all containers"))?;
        let what = format!("nothing is left on {}", node.name());
        eventually(PATIENCE, &what, || async {
            let objects = api.list(&ListParams::default()).await;
            let objects = objects.map_err(Error::api("list the containers"))?;
            // What costs most is asked last: under wine, a process for the containers.
            let mut left: Vec<String> = objects.iter().map(ResourceExt::name_any).collect();
            if left.is_empty() {
                left = node.leftovers()?;
            }
            if left.is_empty() {
                left = node.containers()?;
            }
            Ok(left.is_empty().then_some(()).ok_or(left))
        })
        .await
        .map_err(|error| error.with_evidence(&self.evidence()))
    }

    /// What the nodes say: the end of each agent's log, and the last calls of its runhcs.
    pub fn evidence(&self) -> String {
        let mut evidence = String::new();
        for dir in lock(&self.nodes).iter() {
            // Writing to a String cannot fail.
            let _ = write!(
                evidence,
                "--- the agent of {}\n{}\n--- its last calls of runhcs\n{}\n",
                dir.display(),
                tail(&dir.join("agent.log"), 30),
                tail(&dir.join("runhcs.state/calls.jsonl"), 12),
            );
        }
        evidence
    }
}

/// A name that no other scenario of any process on the same control plane has.
fn unique(name: &str) -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    format!(
        "{name}-{}-{}",
        std::process::id(),
        NUMBER.fetch_add(1, Ordering::Relaxed)
    )
}
