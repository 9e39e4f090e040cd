//! What no node can say of itself: that nobody looks after its objects.
//!
//! An object that no agent has taken up in time gets a condition and an Event that say why: its
//! node does not exist, or has no agent. The agent's own conditions replace these as soon as it
//! comes.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use hcs_crds::conditions::READY;
use hcs_crds::{Condition, HcsContainer, Reason, whole_seconds};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Node;
use kube::api::{Patch, PatchParams};
use kube::runtime::controller::{Action, Controller};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::runtime::watcher;
use kube::{Api, Client, Resource as _, ResourceExt as _};
use serde_json::json;

use crate::kube_client::{ApiError, within};

/// Field manager of what this part writes.
const FIELD_MANAGER: &str = "hcs-operator-controller";
/// How often an object that nobody looks after is looked at again: its node may have come.
const LOOK_AGAIN: Duration = Duration::from_mins(1);
const RETRY: Duration = Duration::from_secs(5);
const WATCH_SECONDS: u32 = 60;
const PARALLEL: u16 = 8;

/// What a reconcile needs.
struct Context {
    client: Client,
    recorder: Recorder,
    patience: Duration,
}

/// Works until dropped.
pub async fn run(client: Client, patience: Duration) {
    let reporter = Reporter {
        controller: hcs_crds::GROUP.into(),
        instance: None,
    };
    let recorder = Recorder::new(client.clone(), reporter);
    let context = Arc::new(Context {
        client: client.clone(),
        recorder,
        patience,
    });
    let objects: Api<HcsContainer> = Api::all(client);
    Controller::new(objects, watcher::Config::default().timeout(WATCH_SECONDS))
        .with_config(kube::runtime::controller::Config::default().concurrency(PARALLEL))
        .run(reconcile, |_, _, _| Action::requeue(RETRY), context)
        .for_each(|result| {
            if let Err(error) = result {
                tracing::warn!(%error, "tried again");
            }
            std::future::ready(())
        })
        .await;
}

async fn reconcile(object: Arc<HcsContainer>, context: Arc<Context>) -> Result<Action, ApiError> {
    let taken_up = object
        .status
        .as_ref()
        .is_some_and(|status| status.observed_generation >= 0);
    if taken_up || object.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let created = object
        .creation_timestamp()
        .map_or_else(Timestamp::now, |time| time.0);
    let age = Duration::try_from(Timestamp::now().duration_since(created)).unwrap_or_default();
    if let Some(left) = context
        .patience
        .checked_sub(age)
        .filter(|left| !left.is_zero())
    {
        return Ok(Action::requeue(left));
    }
    let node = &object.spec.node_name;
    let nodes: Api<Node> = Api::all(context.client.clone());
    let exists = within("look up the node", nodes.get_metadata_opt(node))
        .await?
        .is_some();
    let (reason, message) = if exists {
        let text = format!("no agent has taken it up; see that one runs on node {node}");
        (Reason::NodeLost, text)
    } else {
        let text = format!(
            "the cluster has no node {node}; spec.nodeName is immutable: delete the object and make it again"
        );
        (Reason::NodeUnknown, text)
    };
    say(&object, &context, reason, message).await?;
    Ok(Action::requeue(LOOK_AGAIN))
}

/// Writes the condition and the Event, unless they say so already.
async fn say(
    object: &HcsContainer,
    context: &Context,
    reason: Reason,
    message: String,
) -> Result<(), ApiError> {
    let conditions = object.status.iter().flat_map(|status| &status.conditions);
    let before = conditions
        .clone()
        .find(|c| c.type_ == READY && c.status == "False");
    if before.is_some_and(|c| c.reason == reason.as_str() && c.message == message) {
        return Ok(());
    }
    let since = before.map_or_else(
        || whole_seconds(Timestamp::now()),
        |c| c.last_transition_time.clone(),
    );
    let condition = Condition {
        type_: READY.into(),
        status: "False".into(),
        reason: reason.as_str().into(),
        message: message.clone(),
        observed_generation: object.metadata.generation,
        last_transition_time: since,
    };
    let patch = json!({
        "apiVersion": HcsContainer::api_version(&()),
        "kind": HcsContainer::kind(&()),
        "metadata": {
            "name": object.name_any(),
            "uid": object.uid(),
            // An agent that comes in between has the last word.
            "resourceVersion": object.resource_version(),
        },
        "status": {"conditions": [condition]},
    });
    let api: Api<HcsContainer> = Api::namespaced(
        context.client.clone(),
        &object.namespace().unwrap_or_default(),
    );
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let name = object.name_any();
    within(
        "write the status",
        api.patch_status(&name, &params, &Patch::Apply(&patch)),
    )
    .await?;
    let event = Event {
        type_: EventType::Warning,
        reason: reason.to_string(),
        note: Some(message),
        action: "Assign".into(),
        secondary: None,
    };
    let reference = object.object_ref(&());
    within(
        "publish an Event",
        context.recorder.publish(&event, &reference),
    )
    .await
}
