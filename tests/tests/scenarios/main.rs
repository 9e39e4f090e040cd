//! The end-to-end scenarios: one binary, because linking is slow, and one module a behaviour.

mod control_plane;
