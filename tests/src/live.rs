//! A container's object on the API server, and words to say what should become of it.

use std::fmt;
use std::pin::pin;
use std::time::Duration;

use futures::TryStreamExt;
use hcs_crds::{DesiredState, HcsContainer, HcsContainerStatus, Phase, Reason, conditions};
use k8s_openapi::api::core::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, WatchEvent, WatchParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use crate::eventually::eventually;
use crate::scenario::{PATIENCE, Scenario};
use crate::{Error, Result};

/// A container's object on the API server.
#[derive(Clone)]
pub struct Live {
    scenario: Scenario,
    name: String,
    uid: String,
}

impl Live {
    pub(crate) fn new(scenario: Scenario, object: &HcsContainer) -> Self {
        Self {
            scenario,
            name: object.name_any(),
            uid: object.uid().unwrap_or_default(),
        }
    }

    /// The object's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The object's UID, which its container ids are made of.
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// The ids of its containers, as a glob for faults.
    pub fn container_ids(&self) -> String {
        format!("hc-{}-*", self.uid)
    }

    /// The object as the API server has it.
    pub async fn object(&self) -> Result<HcsContainer> {
        self.api()
            .get(&self.name)
            .await
            .map_err(Error::api(format!("read {}", self.name)))
    }

    /// Its status.
    pub async fn status(&self) -> Result<HcsContainerStatus> {
        Ok(self.object().await?.status.unwrap_or_default())
    }

    /// Its condition of this type, if it has one.
    pub async fn condition(&self, type_: &str) -> Result<Option<Condition>> {
        Ok(condition_of(&self.object().await?, type_).cloned())
    }

    /// Waits until the agent has seen the newest spec and the container is in this phase. A slow node says Running while
    /// its start is not over, which is when its processes are listed: that is waited for.
    pub async fn becomes(&self, phase: Phase) -> Result<HcsContainer> {
        self.comes_to(&format!("is {phase:?}"), |object| {
            observed(object) && is_in(object, phase)
        })
        .await
    }

    /// Waits until it runs as its second attempt: the first has ended, or was replaced.
    pub async fn runs_again(&self) -> Result<HcsContainer> {
        self.runs_as(2).await
    }

    /// Waits until it runs as this attempt, whatever was seen of its spec.
    pub async fn runs_as(&self, attempt: u32) -> Result<HcsContainer> {
        self.comes_to(&format!("runs as attempt {attempt}"), |object| {
            let status = object.status.as_ref();
            is_in(object, Phase::Running) && status.is_some_and(|s| s.attempt == Some(attempt))
        })
        .await
    }

    /// Waits until the agent has seen the newest spec and `Ready` is true.
    pub async fn becomes_ready(&self) -> Result<HcsContainer> {
        self.comes_to("is Ready", |object| {
            observed(object) && has(object, conditions::READY, "True")
        })
        .await
    }

    /// Waits until the condition has this status and this reason.
    pub async fn says(&self, type_: &str, status: &str, reason: Reason) -> Result<HcsContainer> {
        let what = format!("says {type_}={status} because of {}", reason.as_str());
        self.comes_to(&what, |object| {
            condition_of(object, type_).is_some_and(|condition| {
                condition.status == status && condition.reason == reason.as_str()
            })
        })
        .await
    }

    /// Waits until the object is as asked.
    ///
    /// # Errors
    /// [`Error::Deadline`] with the object's status, its Events, the agents' logs and the last calls of runhcs.
    pub async fn comes_to(
        &self,
        what: &str,
        so: impl Fn(&HcsContainer) -> bool,
    ) -> Result<HcsContainer> {
        self.comes_to_within(PATIENCE, what, so).await
    }

    /// As [`Live::comes_to`], with another deadline. Each state that the API server shows is looked at, however short.
    pub async fn comes_to_within(
        &self,
        deadline: Duration,
        what: &str,
        so: impl Fn(&HcsContainer) -> bool,
    ) -> Result<HcsContainer> {
        let end = Instant::now() + deadline;
        let result = loop {
            let mut last = match self.object().await {
                Ok(object) if !so(&object) => object,
                result => break result,
            };
            match timeout_at(end, self.next_such(&mut last, &so)).await {
                Ok(Some(object)) => break Ok(object),
                // The watch broke off; if the object or its API server is gone, a look at it says so.
                Ok(None) if Instant::now() < end => {}
                _ => {
                    break Err(Error::Deadline {
                        what: format!("{} {what}", self.name),
                        deadline,
                        evidence: format!("last seen: {:#?}", Shown(last)),
                    });
                }
            }
        };
        self.explained(result).await
    }

    /// The next state after `last` that is such; `None` if the watch ends before. `last` is then the last that it showed.
    async fn next_such(
        &self,
        last: &mut HcsContainer,
        so: impl Fn(&HcsContainer) -> bool,
    ) -> Option<HcsContainer> {
        let this = WatchParams::default().fields(&format!("metadata.name={}", self.name));
        let version = last.resource_version()?;
        let mut changes = pin!(self.api().watch(&this, &version).await.ok()?);
        loop {
            match changes.try_next().await {
                Ok(Some(WatchEvent::Added(object) | WatchEvent::Modified(object))) => {
                    if so(&object) {
                        return Some(object);
                    }
                    *last = object;
                }
                Ok(Some(WatchEvent::Bookmark(_))) => {}
                Ok(Some(WatchEvent::Deleted(_) | WatchEvent::Error(_)) | None) | Err(_) => {
                    return None;
                }
            }
        }
    }

    /// Waits until an Event with this reason is there.
    pub async fn has_event(&self, reason: Reason) -> Result<Event> {
        let what = format!("an Event {}", reason.as_str());
        self.has_event_such(&what, reason, |_| true).await
    }

    /// Waits until an Event with this reason is there whose message has these words in it.
    pub async fn has_event_saying(&self, reason: Reason, words: &str) -> Result<Event> {
        let what = format!("an Event {} that says {words:?}", reason.as_str());
        self.has_event_such(&what, reason, |event| {
            event
                .message
                .as_ref()
                .is_some_and(|text| text.contains(words))
        })
        .await
    }

    /// Waits until an Event with this reason was given so often; equal ones are one Event with a count.
    pub async fn has_event_times(&self, reason: Reason, times: i32) -> Result<Event> {
        let what = format!("an Event {} {times} times", reason.as_str());
        self.has_event_such(&what, reason, |event| {
            let count = event.series.as_ref().and_then(|series| series.count);
            count.unwrap_or(1) >= times
        })
        .await
    }

    async fn has_event_such(
        &self,
        what: &str,
        reason: Reason,
        such: impl Fn(&Event) -> bool,
    ) -> Result<Event> {
        let what = format!("{} has {what}", self.name);
        let result = eventually(PATIENCE, &what, || async {
            let events = self.events().await?;
            let with_reason = |event: &&Event| event.reason.as_deref() == Some(reason.as_str());
            let mut found = events.iter().filter(with_reason);
            let found = found.find(|event| such(event)).cloned();
            Ok(found.ok_or_else(|| events.iter().map(line).collect::<Vec<_>>()))
        })
        .await;
        self.explained(result).await
    }

    /// Its Events.
    pub async fn events(&self) -> Result<Vec<Event>> {
        let api: Api<Event> = Api::namespaced(self.scenario.client(), self.scenario.namespace());
        let of_this = ListParams::default().fields(&format!("involvedObject.uid={}", self.uid));
        let list = api
            .list(&of_this)
            .await
            .map_err(Error::api("list the Events"))?;
        Ok(list.items)
    }

    /// Changes the desired state.
    pub async fn set_desired(&self, state: DesiredState) -> Result {
        self.patch_spec(json!({"desiredState": state})).await
    }

    /// Changes a part of the spec by a JSON merge patch.
    pub async fn patch_spec(&self, spec: Value) -> Result {
        self.patch(json!({"spec": spec})).await
    }

    /// Changes a part of the object by a JSON merge patch.
    pub async fn patch(&self, patch: Value) -> Result {
        self.api()
            .patch(&self.name, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .map_err(Error::api(format!("change {}", self.name)))?;
        Ok(())
    }

    /// Asks for the object's deletion.
    pub async fn delete(&self) -> Result {
        self.api()
            .delete(&self.name, &DeleteParams::default())
            .await
            .map_err(Error::api(format!("delete {}", self.name)))?;
        Ok(())
    }

    /// Waits until the object is gone from the API server.
    pub async fn is_gone(&self) -> Result {
        let what = format!("{} is gone", self.name);
        let result = eventually(PATIENCE, &what, || async {
            let object = self.api().get_opt(&self.name).await;
            let object = object.map_err(Error::api(format!("read {}", self.name)))?;
            Ok(
                match object.filter(|object| object.uid().as_deref() == Some(&self.uid)) {
                    None => Ok(()),
                    Some(object) => Err(Shown(object)),
                },
            )
        })
        .await;
        self.explained(result).await
    }

    fn api(&self) -> Api<HcsContainer> {
        self.scenario.containers()
    }

    /// Adds to a failure what may explain it.
    async fn explained<T>(&self, result: Result<T>) -> Result<T> {
        let Err(error) = result else { return result };
        let events = self.events().await.unwrap_or_default();
        let events: String = events.iter().map(|event| line(event) + "\n").collect();
        let evidence = format!("--- Events\n{events}{}", self.scenario.evidence());
        Err(error.with_evidence(&evidence))
    }
}

/// An object that a failure shows, as YAML without what only servers read.
struct Shown(HcsContainer);

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut object = self.0.clone();
        object.metadata.managed_fields = None;
        f.write_str(&serde_yaml_ng::to_string(&object).unwrap_or_default())
    }
}

fn line(event: &Event) -> String {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    format!(
        "{} {}: {}",
        text(&event.type_),
        text(&event.reason),
        text(&event.message)
    )
}

/// Whether the status speaks of the newest spec.
pub fn observed(object: &HcsContainer) -> bool {
    let seen = object
        .status
        .as_ref()
        .map(|status| status.observed_generation);
    seen.is_some() && seen == object.metadata.generation
}

/// Whether the container is in this phase, and not just on its way through it.
fn is_in(object: &HcsContainer, phase: Phase) -> bool {
    let ready = condition_of(object, conditions::READY);
    let starts = ready.is_some_and(|ready| ready.reason == Reason::Starting.as_str());
    let status = object.status.as_ref();
    status.is_some_and(|status| status.phase == phase) && !(phase == Phase::Running && starts)
}

/// Whether the condition of this type has this status.
pub fn has(object: &HcsContainer, type_: &str, status: &str) -> bool {
    condition_of(object, type_).is_some_and(|condition| condition.status == status)
}

/// The object's condition of this type.
pub fn condition_of<'a>(object: &'a HcsContainer, type_: &str) -> Option<&'a Condition> {
    object
        .status
        .as_ref()?
        .conditions
        .iter()
        .find(|condition| condition.type_ == type_)
}
