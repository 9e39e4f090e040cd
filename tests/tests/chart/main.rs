//! The Helm chart and the kustomize manifests, with the real Helm and kubectl on a real API server.
#![cfg(unix)]
// Clippy allows these in test functions, and all of this is tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod accepted;
mod alerts;
mod chart;
mod install;
mod kubelet;
mod life;
mod manifests;
mod objects;
mod snapshots;
mod stage;
mod values;
