//! LogQL from outside: golden cases (`cases`), bounds (`bounds`), properties (`properties`), and the same answers as the real
//! Loki (`differential`).
#![allow(clippy::unwrap_used)]
#![allow(
    clippy::print_stdout,
    reason = "who runs the tests must know what was compared"
)]

mod bounds;
mod cases;
mod differential;
mod memory;
mod outcome;
mod peer;
mod properties;
mod world;
