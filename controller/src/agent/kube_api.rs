//! What the agent writes to the API server and reads from it beside its watch, each call with a deadline.
//!
//! The client's own retries are off: a reconcile that fails is tried again as a whole, later, so
//! that an old status never overtakes a newer one.

use std::collections::HashSet;

use hcs_crds::{FINALIZER, HcsContainer, HcsContainerStatus, HcsNode, HcsNodeStatus};
use json_patch::jsonptr::PointerBuf;
use json_patch::{PatchOperation, RemoveOperation, TestOperation};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, Preconditions};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Api, Client, Resource as _, ResourceExt as _};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::contact::number;
use super::record::ObjectId;
use crate::kube_client::{ApiError, within};

/// Writes at once: HTTP/1.1 takes a connection for each.
const PARALLEL_WRITES: usize = 8;
/// Objects of one answer to a list.
const PAGE: u32 = 100;
/// Longest note of an Event (events.k8s.io/v1).
const LONGEST_NOTE: usize = 1024;

/// The field manager of a node's agent.
pub fn field_manager(node: &str) -> String {
    format!("hcs-operator-agent-{node}")
}

/// What the API server has of a node's objects.
#[derive(Debug, Default)]
pub struct There {
    /// The objects.
    pub uids: HashSet<String>,
    /// The resourceVersion of the list.
    pub version: u64,
}

/// Writes on behalf of one node's agent.
pub struct KubeApi {
    client: Client,
    recorder: Recorder,
    node: String,
    field_manager: String,
    places: Semaphore,
}

impl KubeApi {
    /// A writer whose field manager and Events carry the node's name.
    pub fn new(client: Client, node: &str) -> Self {
        let reporter = Reporter {
            controller: hcs_crds::GROUP.into(),
            instance: Some(node.to_owned()),
        };
        Self {
            recorder: Recorder::new(client.clone(), reporter),
            client,
            node: node.to_owned(),
            field_manager: field_manager(node),
            places: Semaphore::new(PARALLEL_WRITES),
        }
    }

    fn api(&self, object: &HcsContainer) -> Api<HcsContainer> {
        Api::namespaced(self.client.clone(), &object.namespace().unwrap_or_default())
    }

    async fn within<T>(
        &self,
        what: &'static str,
        request: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, ApiError> {
        let _place = self.places.acquire().await;
        within(what, request).await
    }

    /// The object as it is now: without a resourceVersion the answer is no cache's. None if it is gone, also where
    /// another has its name.
    pub async fn read(&self, id: &ObjectId) -> Result<Option<HcsContainer>, ApiError> {
        let api: Api<HcsContainer> = Api::namespaced(self.client.clone(), &id.namespace);
        match self.within("read the object", api.get(&id.name)).await {
            Ok(object) => Ok(Some(object).filter(|o| o.metadata.uid.as_ref() == Some(&id.uid))),
            Err(error) if error.is_gone() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Adds the finalizer; returns the object as it is then. Applied, so that the rest of the object may be newer than what
    /// was seen, as it is while its spec changes fast: finalizers are a set, of which only this one is the agent's.
    pub async fn add_finalizer(&self, object: &HcsContainer) -> Result<HcsContainer, ApiError> {
        let patch = json!({
            "apiVersion": HcsContainer::api_version(&()),
            "kind": HcsContainer::kind(&()),
            // With the uid, nothing is made where the object is gone, and no other of its name is held.
            "metadata": {
                "name": object.name_any(),
                "uid": object.uid(),
                "finalizers": [FINALIZER],
            },
        });
        let api = self.api(object);
        let params = PatchParams::apply(&self.field_manager);
        let (name, patch) = (object.name_any(), Patch::Apply(&patch));
        let added = api.patch(&name, &params, &patch);
        self.within("add the finalizer", added).await
    }

    /// Removes the finalizer, which lets the object go; does nothing where it is not there. The rest of the object may be
    /// newer than what was seen, as it is after each status that the agent itself has written.
    pub async fn remove_finalizer(&self, object: &HcsContainer) -> Result<(), ApiError> {
        let finalizers = object.finalizers();
        let Some(place) = finalizers.iter().position(|name| name == FINALIZER) else {
            return Ok(());
        };
        let at = |path: &str| PointerBuf::parse(path).unwrap_or_default();
        let test = |path: &str, value: Value| {
            PatchOperation::Test(TestOperation {
                path: at(path),
                value,
            })
        };
        let patch: Patch<()> = Patch::Json(json_patch::Patch(vec![
            test("/metadata/uid", json!(object.uid())),
            test("/metadata/finalizers", json!(finalizers)),
            PatchOperation::Remove(RemoveOperation {
                path: at(&format!("/metadata/finalizers/{place}")),
            }),
        ]));
        let api = self.api(object);
        let (name, params) = (object.name_any(), PatchParams::default());
        let removed = self.within("remove the finalizer", api.patch(&name, &params, &patch));
        match removed.await {
            Err(error) if error.is_gone() => Ok(()),
            answer => answer.map(|_| ()),
        }
    }

    /// The uids of the node's objects by a read that no cache answers.
    pub async fn there(&self) -> Result<There, ApiError> {
        let (api, mut params) = self.of_the_node(PAGE);
        let mut there = There::default();
        loop {
            let list = self.within("list the objects", api.list_metadata(&params));
            let list = list.await?;
            if there.version == 0 {
                there.version = number(list.metadata.resource_version);
            }
            there
                .uids
                .extend(list.items.iter().filter_map(kube::ResourceExt::uid));
            let more = list.metadata.continue_.filter(|token| !token.is_empty());
            let Some(token) = more else {
                return Ok(there);
            };
            params = params.continue_token(&token);
        }
    }

    /// The resourceVersion that the API server's store has now.
    pub async fn version(&self) -> Result<u64, ApiError> {
        let (api, params) = self.of_the_node(1);
        let list = self.within("look at the store's version", api.list_metadata(&params));
        Ok(number(list.await?.metadata.resource_version))
    }

    fn of_the_node(&self, page: u32) -> (Api<HcsContainer>, ListParams) {
        let params = ListParams::default()
            .fields(&format!("spec.nodeName={}", self.node))
            .limit(page);
        (Api::all(self.client.clone()), params)
    }

    /// Writes the status by server-side apply; returns the object's resourceVersion then.
    pub async fn apply_status(
        &self,
        object: &HcsContainer,
        status: &HcsContainerStatus,
    ) -> Result<Option<String>, ApiError> {
        let patch = json!({
            "apiVersion": HcsContainer::api_version(&()),
            "kind": HcsContainer::kind(&()),
            // With the uid, an object of the same name made since is never written to.
            "metadata": {"name": object.name_any(), "uid": object.uid()},
            "status": status,
        });
        let api = self.api(object);
        let (name, params) = (
            object.name_any(),
            PatchParams::apply(&self.field_manager).force(),
        );
        let patch = Patch::Apply(&patch);
        let what = "write the status";
        let written = self
            .within(what, api.patch_status(&name, &params, &patch))
            .await?;
        if written.status.as_ref().is_some_and(|now| same(now, status)) {
            return Ok(written.resource_version());
        }
        // What somebody else has put there stays when a status is applied, so it is taken away.
        let patch = json!({
            "metadata": {"uid": object.uid(), "resourceVersion": written.resource_version()},
            "status": merge_patch(&json!(written.status), &json!(status)),
        });
        let params = PatchParams {
            field_manager: Some(self.field_manager.clone()),
            ..PatchParams::default()
        };
        let patch = Patch::Merge(&patch);
        let written = self.within(what, api.patch_status(&name, &params, &patch));
        Ok(written.await?.resource_version())
    }

    /// Makes the node's HcsNode; does nothing where it is there.
    pub async fn make_node(&self, node: &str) -> Result<(), ApiError> {
        let patch = json!({
            "apiVersion": HcsNode::api_version(&()),
            "kind": HcsNode::kind(&()),
            "metadata": {
                "name": node,
                "labels": {"app.kubernetes.io/name": "hcs-operator"},
            },
        });
        let api: Api<HcsNode> = Api::all(self.client.clone());
        let params = PatchParams::apply(&self.field_manager).force();
        let patch = Patch::Apply(&patch);
        self.within("make the HcsNode", api.patch(node, &params, &patch))
            .await
            .map(|_| ())
    }

    /// Writes the status of the node's HcsNode; returns it as it is then.
    pub async fn apply_node_status(
        &self,
        node: &str,
        status: &HcsNodeStatus,
    ) -> Result<HcsNode, ApiError> {
        let patch = json!({
            "apiVersion": HcsNode::api_version(&()),
            "kind": HcsNode::kind(&()),
            "metadata": {"name": node},
            "status": status,
        });
        let api: Api<HcsNode> = Api::all(self.client.clone());
        let params = PatchParams::apply(&self.field_manager).force();
        let patch = Patch::Apply(&patch);
        let what = "write the status of the HcsNode";
        self.within(what, api.patch_status(node, &params, &patch))
            .await
    }

    /// Deletes the object if it is still the one that was seen.
    pub async fn delete(&self, object: &HcsContainer) -> Result<(), ApiError> {
        let preconditions = Preconditions {
            uid: object.uid(),
            resource_version: object.resource_version(),
        };
        let params = DeleteParams::default().preconditions(preconditions);
        let api = self.api(object);
        let name = object.name_any();
        match self
            .within("delete the object", api.delete(&name, &params))
            .await
        {
            Err(error) if error.is_gone() => Ok(()),
            answer => answer.map(|_| ()),
        }
    }

    /// Publishes an Event about the object.
    pub async fn event(
        &self,
        object: &HcsContainer,
        event: &super::events::Notice,
    ) -> Result<(), ApiError> {
        let mut note = event.message.clone();
        note.truncate(note.floor_char_boundary(LONGEST_NOTE));
        let event = Event {
            type_: if event.warning {
                EventType::Warning
            } else {
                EventType::Normal
            },
            reason: event.reason.to_string(),
            note: Some(note),
            action: event.action.into(),
            secondary: None,
        };
        let reference: ObjectReference = object.object_ref(&());
        self.within(
            "publish an Event",
            self.recorder.publish(&event, &reference),
        )
        .await
    }
}

/// Whether two statuses say the same; the order of conditions says nothing.
fn same(one: &HcsContainerStatus, other: &HcsContainerStatus) -> bool {
    let sorted = |status: &HcsContainerStatus| {
        let mut status = status.clone();
        status.conditions.sort_by(|a, b| a.type_.cmp(&b.type_));
        status
    };
    sorted(one) == sorted(other)
}

/// The JSON merge patch (RFC 7396) that makes one value of another.
fn merge_patch(from: &Value, to: &Value) -> Value {
    let (Value::Object(from), Value::Object(to)) = (from, to) else {
        return to.clone();
    };
    let gone = from.keys().filter(|key| !to.contains_key(*key));
    let gone = gone.map(|key| (key.clone(), Value::Null));
    let changed = to
        .iter()
        .filter(|(key, value)| from.get(*key) != Some(*value));
    let changed = changed.map(|(key, value)| {
        let before = from.get(key).unwrap_or(&Value::Null);
        (key.clone(), merge_patch(before, value))
    });
    gone.chain(changed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merge_patch_removes_what_is_not_wanted_and_leaves_what_is_the_same() {
        let from = json!({"a": 1, "b": {"c": 1, "d": [1, 2]}, "e": "x"});
        let to = json!({"a": 1, "b": {"d": [2]}, "f": {"g": 1}});
        let patch = json!({"b": {"c": null, "d": [2]}, "e": null, "f": {"g": 1}});
        assert_eq!(merge_patch(&from, &to), patch);
    }
}
