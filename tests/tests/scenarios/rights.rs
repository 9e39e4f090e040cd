//! What the service accounts may do, and what they may not: a stolen token must be worth as little as it can.
//! `docs/security.md` says it in tables; here each cell of them is asked of the API server.
#![cfg(test)]

mod ask;
mod attacks;
mod host_policy;
mod host_policy_forms;
mod manifests;
mod matrix;
mod strict;
mod targets;
mod world;
