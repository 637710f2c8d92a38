//! The embedded Prometheus over TCP, on a clock of the test.
#![allow(clippy::unwrap_used)]

mod loading;
mod running;
mod world;
