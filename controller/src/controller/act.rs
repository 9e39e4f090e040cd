//! What the leader does at the API server. Each write names the version of the object that it is
//! meant for, so that whoever came in between has the last word: an agent, a person, or a second
//! leader.

use hcs_crds::conditions::READY;
use hcs_crds::{
    AGENT_LEASE_PREFIX, Condition, FINALIZER, HcsContainer, HcsNode, Reason, whole_seconds,
};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, ObjectReference};
use kube::api::{DeleteParams, ObjectMeta, Patch, PatchParams, Preconditions};
use kube::core::ApiResource;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Api, Client, Resource, ResourceExt as _};
use serde_json::{Value, json};

use super::standing::Look;
use super::view::{Container, beat};
use super::word::Word;
use crate::kube_client::{ApiError, within};

/// Field manager of what is written here.
const FIELD_MANAGER: &str = "hcs-operator-controller";

/// Writes on behalf of the leader.
pub struct Hands {
    client: Client,
    recorder: Recorder,
    leases: Api<Lease>,
}

impl Hands {
    /// For the cluster; the Leases are in `namespace`.
    pub fn new(client: Client, namespace: &str) -> Self {
        let reporter = Reporter {
            controller: hcs_crds::GROUP.into(),
            instance: None,
        };
        Self {
            recorder: Recorder::new(client.clone(), reporter),
            leases: Api::namespaced(client.clone(), namespace),
            client,
        }
    }

    /// Looks at a node name at the API server itself.
    pub async fn look(&self, node: &str) -> Result<Look, ApiError> {
        let lease = format!("{AGENT_LEASE_PREFIX}{node}");
        let lease = within("read the node's lease", self.leases.get_opt(&lease)).await?;
        let nodes: Api<Node> = Api::all(self.client.clone());
        let found = within("look up the node", nodes.get_metadata_opt(node)).await?;
        Ok(Look {
            beat: lease.as_ref().map(beat),
            exists: found.is_some(),
        })
    }

    /// Says it of an HcsContainer.
    pub async fn say(&self, object: &Container, word: &Word) -> Result<(), ApiError> {
        let conditions = object.status.iter().flat_map(|status| &status.conditions);
        let api = self.containers(object);
        let patch = status_patch(&HcsContainer::kind(&()), &object.metadata, conditions, word);
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let (name, patch) = (object.name_any(), Patch::Apply(&patch));
        let request = api.patch_status(&name, &params, &patch);
        within("write the status", request).await?;
        self.event(word.reason, &word.message, &reference(object))
            .await
    }

    /// Says it of a node's page.
    pub async fn say_of_page(&self, page: &HcsNode, word: &Word) -> Result<(), ApiError> {
        let conditions = page.status.iter().flat_map(|status| &status.conditions);
        let patch = status_patch(&HcsNode::kind(&()), &page.metadata, conditions, word);
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let api: Api<HcsNode> = Api::all(self.client.clone());
        let (name, patch) = (page.name_any(), Patch::Apply(&patch));
        let request = api.patch_status(&name, &params, &patch);
        within("write the status of the HcsNode", request).await?;
        let about = page.object_ref(&());
        self.event(word.reason, &word.message, &about).await
    }

    /// Lets an object go that waits for an agent that will not come.
    pub async fn release(&self, object: &Container) -> Result<(), ApiError> {
        let mut finalizers = object.finalizers().to_vec();
        finalizers.retain(|finalizer| finalizer != FINALIZER);
        let patch = json!({"metadata": {
            "uid": object.uid(),
            "resourceVersion": object.resource_version(),
            "finalizers": finalizers,
        }});
        let api = self.containers(object);
        let (name, params) = (object.name_any(), PatchParams::default());
        let patch = Patch::Merge(&patch);
        let request = api.patch(&name, &params, &patch);
        within("remove the finalizer", request).await?;
        let node = &object.spec.node_name;
        let event = format!(
            "node {node} is gone from the cluster; let go without its agent, so what ran there is not known"
        );
        tracing::info!(object = name, node, "let go: its node is gone");
        self.event(Reason::NodeGone, &event, &reference(object))
            .await
    }

    /// Removes what is kept of a node that is gone. The Lease goes last: it is what would tell of a
    /// sign of life, and it is removed only as it was when the agent was last heard of.
    pub async fn forget(&self, node: &str, page: Option<&HcsNode>) -> Result<(), ApiError> {
        let lease = format!("{AGENT_LEASE_PREFIX}{node}");
        let found = within("read the node's lease", self.leases.get_opt(&lease)).await?;
        if let Some(page) = page {
            let api: Api<HcsNode> = Api::all(self.client.clone());
            let params = just_this(&page.metadata);
            let request = api.delete(node, &params);
            gone_is_done(within("delete the HcsNode", request).await)?;
            tracing::info!(node, "removed the HcsNode of a node that is gone");
        }
        if let Some(found) = found {
            let params = just_this(&found.metadata);
            let request = self.leases.delete(&lease, &params);
            gone_is_done(within("delete the node's lease", request).await)?;
        }
        Ok(())
    }

    fn containers(&self, object: &Container) -> Api<Container> {
        let kind = ApiResource::erase::<HcsContainer>(&());
        let namespace = object.namespace().unwrap_or_default();
        Api::namespaced_with(self.client.clone(), &namespace, &kind)
    }

    async fn event(
        &self,
        reason: Reason,
        note: &str,
        about: &ObjectReference,
    ) -> Result<(), ApiError> {
        let action = if reason == Reason::NodeGone {
            "Release"
        } else {
            "Assign"
        };
        let event = Event {
            type_: EventType::Warning,
            reason: reason.to_string(),
            note: Some(note.to_owned()),
            action: action.into(),
            secondary: None,
        };
        within("publish an Event", self.recorder.publish(&event, about)).await
    }
}

fn reference(object: &Container) -> ObjectReference {
    object.object_ref(&ApiResource::erase::<HcsContainer>(&()))
}

fn just_this(meta: &ObjectMeta) -> DeleteParams {
    DeleteParams::default().preconditions(Preconditions {
        uid: meta.uid.clone(),
        resource_version: meta.resource_version.clone(),
    })
}

fn gone_is_done<T>(answer: Result<T, ApiError>) -> Result<(), ApiError> {
    match answer {
        Err(error) if error.is_gone() => Ok(()),
        answer => answer.map(|_| ()),
    }
}

fn status_patch<'a>(
    kind: &str,
    meta: &ObjectMeta,
    mut before: impl Iterator<Item = &'a Condition>,
    word: &Word,
) -> Value {
    let same = before.find(|c| c.type_ == READY && c.status == word.status);
    let condition = Condition {
        type_: READY.into(),
        status: word.status.into(),
        reason: word.reason.as_str().into(),
        message: word.message.clone(),
        observed_generation: meta.generation,
        last_transition_time: same.map_or_else(
            || whole_seconds(Timestamp::now()),
            |c| c.last_transition_time.clone(),
        ),
    };
    json!({
        "apiVersion": format!("{}/{}", hcs_crds::GROUP, hcs_crds::VERSION),
        "kind": kind,
        "metadata": {
            "name": meta.name,
            "uid": meta.uid,
            "resourceVersion": meta.resource_version,
        },
        "status": {"conditions": [condition]},
    })
}
