//! The end-to-end scenarios: one binary, because linking is slow, and one module a behaviour. How to add one is in
//! `tests/README.md`.
#![cfg(unix)]

mod control_plane;
mod lifecycle;
mod reaches_running;
mod schema_rules;
mod walks_the_states;
