//! The node's Lease: as long as it is renewed, the agent vouches for what it says of its node.
//!
//! It is renewed only while the watch and `runhcs list` both work. An agent that does not hear of
//! changes, or cannot see its containers, knows nothing to vouch for; the cluster's controller then
//! says so. This is the one write that an agent makes in a steady state.

use std::time::Duration;

use hcs_crds::AGENT_LEASE_PREFIX;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::context::Context;
use super::relist::Health;
use super::runtime::Runtime;

/// A Lease outlives so many renewals that should have been.
const RENEWALS: u32 = 4;
/// A renewal that takes longer is given up: the next one is as good.
const DEADLINE: Duration = Duration::from_secs(5);
/// Wait before one that failed is tried again.
const RETRY: Duration = Duration::from_secs(2);

/// Where the Lease is, and how long it lasts.
#[derive(Clone, Debug)]
pub struct LeaseSettings {
    /// The operator's namespace.
    pub namespace: String,
    /// How long a renewal counts, in whole seconds.
    pub duration: Duration,
}

/// The Lease of one node.
pub struct NodeLease {
    api: Api<Lease>,
    node: String,
    field_manager: String,
    duration: Duration,
}

impl NodeLease {
    /// The Lease `hcs-node-<node>`, which is made when it is renewed first.
    pub fn new(client: Client, node: &str, field_manager: &str, settings: &LeaseSettings) -> Self {
        Self {
            api: Api::namespaced(client, &settings.namespace),
            node: node.to_owned(),
            field_manager: field_manager.to_owned(),
            duration: settings.duration,
        }
    }

    /// Renews it for as long as the agent may vouch for its node, until dropped.
    pub async fn keep<R: Runtime>(&self, ctx: &Context<R>) {
        let mut health = ctx.relist.health();
        let mut contact = ctx.contact.subscribe();
        let mut due = Instant::now();
        loop {
            let listed = *health.borrow_and_update() == Health::Responds;
            contact.borrow_and_update();
            let vouches = listed && ctx.contact.works();
            let begun = Instant::now();
            if vouches && due <= begun {
                let every = self.duration / RENEWALS;
                let renewed = self.renew(ctx).await;
                due = begun + if renewed { every } else { RETRY.min(every) };
            }
            let look = if vouches { due } else { begun + RETRY };
            tokio::select! {
                () = tokio::time::sleep_until(look) => {}
                // The senders live as long as the context. What works again is said at once.
                _ = health.changed() => {}
                _ = contact.changed() => {}
            }
        }
    }

    async fn renew<R: Runtime>(&self, ctx: &Context<R>) -> bool {
        let name = format!("{AGENT_LEASE_PREFIX}{}", self.node);
        let params = PatchParams::apply(&self.field_manager).force();
        let patch = Patch::Apply(self.renewed_at(&MicroTime(ctx.now())));
        let request = self.api.patch(&name, &params, &patch);
        let failure = match tokio::time::timeout(DEADLINE, request).await {
            Ok(Ok(lease)) => {
                ctx.contact.saw(lease.metadata.resource_version);
                None
            }
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("no answer within {} s", DEADLINE.as_secs())),
        };
        ctx.metrics.lease_renewed(failure.is_none());
        if let Some(error) = &failure {
            tracing::warn!(error, "failed to renew the node's lease");
        }
        failure.is_none()
    }

    fn renewed_at(&self, now: &MicroTime) -> Value {
        json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {
                "name": format!("{AGENT_LEASE_PREFIX}{}", self.node),
                "labels": {"app.kubernetes.io/name": "hcs-operator"},
            },
            "spec": {
                "holderIdentity": self.node,
                "leaseDurationSeconds": self.duration.as_secs(),
                "renewTime": now,
            },
        })
    }
}
