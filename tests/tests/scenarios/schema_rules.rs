//! Every rule of the `HcsContainer` schema against the real API server, both ways: what keeps it
//! is accepted, what breaks it is refused with the message that a user sees.
//!
//! Nothing runs here: no node exists. Most questions are dry runs, which leave nothing behind.
#![cfg(test)]

mod ask;
mod bounds;
mod bundles;
mod defaults;
mod paths;
mod reading;
mod together;
