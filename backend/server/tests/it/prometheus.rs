//! The Prometheus API over TCP: golden answers, remote write, garbage, and the real Prometheus and promtool when at hand.

mod comparison;
mod differences;
mod garbage;
mod golden;
mod promtool;
mod questions;
mod waiting;
mod world;
mod write_request;
mod writing;
