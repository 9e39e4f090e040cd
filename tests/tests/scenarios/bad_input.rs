//! What users write that cannot come true: each is said by a condition and an Event, costs next to nothing while it
//! stays, leaves nothing behind, and comes true once it is put right.
#![cfg(test)]

mod bundles;
mod configs;
mod deleted_early;
mod host_policy;
mod odd_paths;
mod roots;
mod shared_bundle;
