//! What the simulator does, seen from outside: its own process, files and exit codes.
//!
//! Containers run shell scripts here; under Windows the recorded transcripts and the end-to-end
//! scenarios take this place.
#![cfg(unix)]

mod create;
mod ends;
mod faults;
mod node;
mod support;
mod transcript;
