//! Which of the controllers acts: the one that holds the Lease `hcs-operator-controller`.
//!
//! The rules are client-go's. A candidate takes a Lease over only when it has seen it unchanged for
//! as long as it lasts, by its own clock: no two machines need the same time of day. The holder
//! counts from the moment at which it sent its last renewal that succeeded, and stops its work at
//! two thirds of that, so that it has stopped before anybody takes over. What it had sent before
//! may still arrive; each of its writes therefore names the version that it is meant for.
//!
//! The crates for this (kubert, kube-leader-election) are made for older versions of kube, and
//! compare the time in the Lease with the machine's.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client, ResourceExt as _};
use tokio::time::Instant;

use crate::kube_client::{ApiError, within};

/// The Lease's name.
pub const LEASE: &str = "hcs-operator-controller";

/// How the election goes.
#[derive(Clone, Debug)]
pub struct Election {
    /// The operator's namespace.
    pub namespace: String,
    /// Who this process is, for people; it gets a suffix that no other process has.
    pub name: String,
    /// How long a renewal counts.
    pub duration: Duration,
}

impl Election {
    fn gives_up_after(&self) -> Duration {
        self.duration * 2 / 3
    }

    fn every(&self) -> Duration {
        self.duration / 8
    }
}

/// What a candidate has seen of the Lease: its version, and since when.
#[derive(Debug, Default)]
struct Candidate(Option<(Option<String>, Instant)>);

impl Candidate {
    /// Whether the Lease may be taken: nobody holds it, or nobody has renewed it in its time.
    fn may_take(&mut self, lease: &Lease, own_duration: Duration, now: Instant) -> bool {
        let spec = lease.spec.as_ref();
        let holder = spec.and_then(|spec| spec.holder_identity.as_deref());
        if holder.unwrap_or_default().is_empty() {
            return true;
        }
        let version = lease.resource_version();
        match &self.0 {
            Some((seen, since)) if *seen == version => {
                let seconds = spec.and_then(|spec| spec.lease_duration_seconds);
                let seconds = seconds.and_then(|seconds| u64::try_from(seconds).ok());
                let lasts = Duration::from_secs(seconds.unwrap_or_default()).max(own_duration);
                now.duration_since(*since) >= lasts
            }
            _ => {
                self.0 = Some((version, now));
                false
            }
        }
    }
}

/// A term of office.
#[derive(Clone, Debug)]
struct Term {
    lease: Lease,
    /// When the renewal was sent that counts.
    sent: Instant,
}

/// Takes part in the election.
pub struct Elector {
    api: Api<Lease>,
    election: Election,
    identity: String,
    term: Mutex<Option<Term>>,
}

impl Elector {
    /// One that has not been elected yet.
    pub fn new(client: Client, election: Election) -> Self {
        // Of the standard library, what is random and needs no crate.
        let suffix = RandomState::new().build_hasher().finish();
        Self {
            api: Api::namespaced(client, &election.namespace),
            identity: format!("{}_{suffix:016x}", election.name),
            election,
            term: Mutex::default(),
        }
    }

    /// Waits to be elected.
    pub async fn elected(&self) {
        let mut candidate = Candidate::default();
        loop {
            match self.try_to_take(&mut candidate).await {
                Ok(Some(term)) => {
                    tracing::info!(identity = self.identity, "leads from now on");
                    self.set(Some(term));
                    return;
                }
                Ok(None) => {}
                Err(error) if error.is_conflict() => {}
                Err(error) => tracing::warn!(%error, "no election"),
            }
            tokio::time::sleep(self.election.every()).await;
        }
    }

    async fn try_to_take(&self, candidate: &mut Candidate) -> Result<Option<Term>, ApiError> {
        let found = within("read the controller's lease", self.api.get_opt(LEASE)).await?;
        let sent = Instant::now();
        let params = PostParams::default();
        let Some(found) = found else {
            let lease = self.renewed(None);
            let created = self.api.create(&params, &lease);
            let lease = within("make the controller's lease", created).await?;
            return Ok(Some(Term { lease, sent }));
        };
        if !candidate.may_take(&found, self.election.duration, sent) {
            return Ok(None);
        }
        let lease = self.renewed(Some(&found));
        let replaced = self.api.replace(LEASE, &params, &lease);
        let lease = within("take the controller's lease", replaced).await?;
        Ok(Some(Term { lease, sent }))
    }

    /// Renews the Lease until that fails for too long or another has it.
    pub async fn deposed(&self) {
        while let Some(term) = self.term() {
            let end = term.sent + self.election.gives_up_after();
            let renewed = tokio::time::timeout_at(end, self.renew(term.lease)).await;
            self.set(renewed.ok().flatten());
        }
        tracing::warn!(identity = self.identity, "leads no longer");
    }

    /// Tries until it succeeds; none if another has the Lease.
    async fn renew(&self, mut lease: Lease) -> Option<Term> {
        loop {
            tokio::time::sleep(self.election.every()).await;
            let sent = Instant::now();
            let next = self.renewed(Some(&lease));
            let params = PostParams::default();
            let replaced = self.api.replace(LEASE, &params, &next);
            match within("renew the controller's lease", replaced).await {
                Ok(lease) => return Some(Term { lease, sent }),
                Err(error) if error.is_gone() => return None,
                Err(error) if error.is_conflict() => {
                    // The answer to an earlier renewal may have been lost.
                    let found = within("read the controller's lease", self.api.get(LEASE)).await;
                    if let Ok(found) = found {
                        if !self.holds(&found) {
                            return None;
                        }
                        lease = found;
                    }
                }
                Err(error) => tracing::warn!(%error, "tried again"),
            }
        }
    }

    /// Gives the Lease up, so that another need not wait; harmless for one that does not lead.
    pub async fn resign(&self) {
        let Some(Term { mut lease, .. }) = self.term() else {
            return;
        };
        self.set(None);
        if let Some(spec) = &mut lease.spec {
            spec.holder_identity = None;
        }
        let params = PostParams::default();
        let replaced = self.api.replace(LEASE, &params, &lease);
        if let Err(error) = within("give the controller's lease up", replaced).await {
            tracing::warn!(%error, "the next controller waits until the lease has run out");
        }
    }

    fn holds(&self, lease: &Lease) -> bool {
        let spec = lease.spec.as_ref();
        spec.and_then(|spec| spec.holder_identity.as_ref()) == Some(&self.identity)
    }

    fn term(&self) -> Option<Term> {
        let term = self.term.lock().unwrap_or_else(PoisonError::into_inner);
        term.clone()
    }

    fn set(&self, term: Option<Term>) {
        *self.term.lock().unwrap_or_else(PoisonError::into_inner) = term;
    }

    /// The Lease as it should be next.
    fn renewed(&self, before: Option<&Lease>) -> Lease {
        let now = MicroTime(Timestamp::now());
        let held = before.filter(|lease| self.holds(lease));
        let spec = before.and_then(|lease| lease.spec.clone());
        let spec = spec.unwrap_or_default();
        let transitions = spec.lease_transitions.unwrap_or_default();
        let seconds = self.election.duration.as_secs();
        Lease {
            metadata: before.map_or_else(named, |lease| lease.metadata.clone()),
            spec: Some(LeaseSpec {
                holder_identity: Some(self.identity.clone()),
                lease_duration_seconds: Some(i32::try_from(seconds).unwrap_or(i32::MAX)),
                acquire_time: spec
                    .acquire_time
                    .filter(|_| held.is_some())
                    .or(Some(now.clone())),
                renew_time: Some(now),
                lease_transitions: Some(transitions + i32::from(held.is_none())),
                ..spec
            }),
        }
    }
}

fn named() -> ObjectMeta {
    let label = (
        "app.kubernetes.io/name".to_owned(),
        "hcs-operator".to_owned(),
    );
    ObjectMeta {
        name: Some(LEASE.to_owned()),
        labels: Some([label].into()),
        ..ObjectMeta::default()
    }
}

#[cfg(test)]
mod tests;
