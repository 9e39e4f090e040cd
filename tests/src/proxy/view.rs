//! What a proxy shows of the objects: all as it is, or as Sieve (OSDI'22) perturbs views: late, with gaps, from the past.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Bytes, Frame};
use kube::client::Body;
use serde_json::{Value, json};

use super::{Answer, refusal};
use crate::process::lock;

/// How far a perturbed view is behind: longer than an agent with a relist each second needs to come to rest.
const BEHIND: Duration = Duration::from_millis(1500);

/// What becomes of the changes that a watch tells of, counted from 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Perturbation {
    /// Nothing.
    #[default]
    None,
    /// From this one on the watch stands still for a while; then all come, in their order.
    Frozen(usize),
    /// From this one on the watch stands still for a while; then it has expired, and what was in between is never seen.
    Broken(usize),
    /// The watch tells of what this write did, and only a while later the agent gets its answer.
    Overtaken(usize),
    /// With this one told, the agent has to be restarted. The next one's list is from so many changes ago, and what came
    /// since follows a while later.
    Older(usize, usize),
}

#[derive(Debug, Default)]
struct Inner {
    perturbation: Perturbation,
    /// It has come to be.
    done: bool,
    changes: Vec<Value>,
    /// The version of the first list.
    first: Option<Value>,
    /// The next list is what was there after so many changes.
    past: Option<usize>,
    /// The next watch has so much to wait for.
    behind: Duration,
    /// The next watch has expired.
    expired: bool,
}

/// What is shown of the objects.
#[derive(Debug, Default)]
pub struct View(Arc<Mutex<Inner>>);

impl View {
    /// Perturbs what is to come.
    pub fn perturb(&self, perturbation: Perturbation) {
        lock(&self.0).perturbation = perturbation;
    }

    /// How many changes the agents were told of.
    pub fn changes(&self) -> usize {
        lock(&self.0).changes.len()
    }

    /// Whether the perturbation has come to be; for one from the past, whether the agent is to be restarted.
    pub fn is_perturbed(&self) -> bool {
        lock(&self.0).done
    }

    /// How long the agent waits for the answer to a write that the API server has done, of which there were so many before.
    pub(super) fn holds_back(&self, number: usize) -> Duration {
        let mut inner = lock(&self.0);
        if inner.perturbation != Perturbation::Overtaken(number) || inner.done {
            return Duration::ZERO;
        }
        inner.done = true;
        BEHIND
    }

    /// An answer that is not the API server's.
    pub(super) fn instead(&self, watches: bool) -> Option<Answer> {
        let mut inner = lock(&self.0);
        if watches {
            let expired = std::mem::take(&mut inner.expired);
            return expired.then(|| refusal(http::StatusCode::GONE));
        }
        let seen = inner.past.take()?;
        inner.behind = BEHIND;
        Some(inner.list(seen))
    }

    /// A list goes through.
    pub(super) async fn listed(&self, head: http::response::Parts, body: Body) -> Answer {
        let body = body.collect().await;
        let body = body.map(http_body_util::Collected::to_bytes);
        let body = body.unwrap_or_default();
        let list: Value = serde_json::from_slice(&body).unwrap_or_default();
        let version = list["metadata"]["resourceVersion"].clone();
        lock(&self.0).first.get_or_insert(version);
        let body = Full::from(body).map_err(|never| match never {});
        Answer::from_parts(head, body.boxed_unsync())
    }

    /// A watch goes through, change by change.
    pub(super) fn watched(&self, body: Body) -> UnsyncBoxBody<Bytes, std::io::Error> {
        let behind = std::mem::take(&mut lock(&self.0).behind);
        let start = (body, Vec::new(), Arc::clone(&self.0), behind);
        let lines =
            futures::stream::unfold(start, |(mut body, mut buffer, inner, behind)| async move {
                tokio::time::sleep(behind).await;
                let line = next_line(&mut body, &mut buffer).await?;
                let passage = lock(&inner).see(&line);
                match passage {
                    Passage::Now => {}
                    Passage::Late => tokio::time::sleep(BEHIND).await,
                    Passage::Never => {
                        tokio::time::sleep(BEHIND).await;
                        lock(&inner).expired = true;
                        return None;
                    }
                }
                Some((Ok(Frame::data(line)), (body, buffer, inner, Duration::ZERO)))
            });
        StreamBody::new(lines.boxed()).boxed_unsync()
    }
}

enum Passage {
    Now,
    Late,
    Never,
}

impl Inner {
    /// A line of a watch.
    fn see(&mut self, line: &[u8]) -> Passage {
        let event: Value = serde_json::from_slice(line).unwrap_or_default();
        let kind = event["type"].as_str().unwrap_or_default();
        if !["ADDED", "MODIFIED", "DELETED"].contains(&kind) {
            return Passage::Now;
        }
        let number = self.changes.len();
        let strikes = !self.done;
        let passage = match self.perturbation {
            Perturbation::Frozen(at) if at == number && strikes => Passage::Late,
            Perturbation::Broken(at) if at == number && strikes => Passage::Never,
            Perturbation::Older(at, ago) if at == number && strikes => {
                self.past = Some((number + 1).saturating_sub(ago));
                self.done = true;
                Passage::Now
            }
            _ => {
                self.changes.push(event);
                return Passage::Now;
            }
        };
        self.done = true;
        self.changes.push(event);
        passage
    }

    /// The list as it was after so many changes.
    fn list(&self, seen: usize) -> Answer {
        let mut objects = BTreeMap::new();
        let mut version = self.first.clone().unwrap_or_default();
        for event in self.changes.iter().take(seen) {
            let object = &event["object"];
            let uid = object["metadata"]["uid"].as_str();
            version = object["metadata"]["resourceVersion"].clone();
            if event["type"] == "DELETED" {
                objects.remove(&uid);
            } else {
                objects.insert(uid, object);
            }
        }
        let list = json!({
            "apiVersion": "hcs-operator.dev/v1alpha1", "kind": "HcsContainerList",
            "metadata": {"resourceVersion": version},
            "items": objects.into_values().collect::<Vec<_>>(),
        });
        let body = Full::from(list.to_string()).map_err(|never| match never {});
        let mut answer = Answer::new(body.boxed_unsync());
        let json = http::HeaderValue::from_static("application/json");
        answer
            .headers_mut()
            .insert(http::header::CONTENT_TYPE, json);
        answer
    }
}

/// The next line of a stream, with its end; none at the end of it.
async fn next_line(body: &mut Body, buffer: &mut Vec<u8>) -> Option<Bytes> {
    loop {
        if let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
            let rest = buffer.split_off(end + 1);
            return Some(std::mem::replace(buffer, rest).into());
        }
        let frame = body.frame().await?.ok()?;
        if let Ok(data) = frame.into_data() {
            buffer.extend_from_slice(&data);
        }
    }
}
