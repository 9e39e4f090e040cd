//! The end-to-end scenarios: one binary, because linking is slow, and one module a behaviour. How to add one is in
//! `tests/README.md`.
#![cfg(unix)]
// Clippy allows these in test functions, and all of this is tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod adoption;
mod bad_input;
mod control_plane;
mod exits;
mod finished;
mod full_disks;
mod gitops;
mod lifecycle;
mod linux_only;
mod long_paths;
mod nodes;
mod observes;
mod orphans;
mod own_control_plane;
mod reaches_running;
mod reboot;
mod restarts;
mod rights;
mod round_trip;
mod schema_rules;
mod settings;
mod simulated;
mod stops;
mod updates;
mod walks_the_states;
mod windows_service;
