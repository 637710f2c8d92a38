//! The Alertmanager as a whole: its timing under a clock of the test's own, its configuration, its webhooks, and all of that
//! beside the real one.
#![allow(clippy::unwrap_used)]

mod configuration;
mod properties;
mod real;
mod routing;
mod running;
mod sink;
mod timing;
mod world;
