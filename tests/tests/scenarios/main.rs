//! The end-to-end scenarios: one binary, because linking is slow, and one module a behaviour. How to add one is in
//! `tests/README.md`.
#![cfg(unix)]
// Clippy allows these in test functions, and all of this is tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bad_input;
mod control_plane;
mod lifecycle;
mod reaches_running;
mod rights;
mod schema_rules;
mod simulated;
mod walks_the_states;
