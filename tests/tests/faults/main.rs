//! Every fault at every point, on real parts: a real API server, the agent as it ships, the simulated runhcs.
//! `docs/testing.md` says what is enumerated, and how one point is played again.
#![cfg(unix)]
// Clippy allows these in test functions, and all of this is tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod crash;
mod lifecycles;
mod lives;
mod points;
mod sequences;
mod snapshot;
mod views;
