//! Every fault at every point, on fakes under paused time: what the world looks like afterwards must be what it looks
//! like without the fault. `docs/testing.md` says what is enumerated; the same on real processes is in `tests/`.

mod compare;
mod crash;
mod scripts;
mod sequences;
mod snapshot;
mod views;
mod world;
