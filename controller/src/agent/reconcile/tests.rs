//! Reconciles as scenarios: an object, what happens, and exactly what the API server was told and
//! runhcs was called with.

mod api_failures;
mod claims;
mod clock;
mod create_unclear;
mod deletion;
mod disk;
mod ending;
mod extras;
mod interrupted;
mod looking;
mod running;
mod runtime_failures;
mod stopping;
mod storm;
