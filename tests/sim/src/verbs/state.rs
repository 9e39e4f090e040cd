//! `state`: one container as indented JSON.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::container::{Container, Status};
use crate::context::Context;
use crate::failure::Failure;
use crate::go_json::to_pretty;
use crate::outcome::Outcome;
use crate::registry::Summary;

/// What `list` and `state` print of a container.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerState<'a> {
    oci_version: &'a str,
    pub id: &'a str,
    pub pid: i64,
    pub status: &'static str,
    pub bundle: &'a str,
    rootfs: &'a str,
    pub created: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a BTreeMap<String, String>,
    pub owner: &'static str,
}

impl<'a> ContainerState<'a> {
    /// Of a record whose container has this status.
    pub fn new(record: &'a Summary, status: Status) -> Self {
        Self {
            oci_version: &record.spec.version,
            id: &record.id,
            pid: record.shim.unwrap_or(-1),
            status: status.as_str(),
            bundle: &record.bundle,
            rootfs: &record.rootfs,
            created: &record.created,
            annotations: &record.spec.annotations,
            // runhcs never fills it in.
            owner: "",
        }
    }
}

/// Prints one container.
pub fn run(context: &Context) -> Result<Outcome, Failure> {
    let container = Container::get(&context.registry, &context.systems, context.id())?;
    let status = container.status();
    let record = Summary::from(container.record);
    let state = ContainerState::new(&record, status);
    let text = to_pretty(&state)
        .map_err(|error| Failure::simulator("printing a container")(error.into()))?;
    Ok(Outcome::printed(text))
}
