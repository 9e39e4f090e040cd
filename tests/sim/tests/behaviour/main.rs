//! What the simulator does, seen from outside: its own process, files and exit codes.
//!
//! Containers run shell scripts here; under Windows the recorded transcripts and the end-to-end
//! scenarios take this place.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod create;
mod ends;
mod faults;
mod node;
mod support;
mod transcript;
