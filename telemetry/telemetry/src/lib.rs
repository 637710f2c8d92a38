//! Traces, metrics and logs of one service, joined by one `trace_id` and one `service` name: the crate's surface.
//!
#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

pub mod aws;
mod background;
pub mod config;
mod cuts;
mod durations;
pub mod http;
mod init;
mod log;
pub mod metrics;
pub mod report;
mod resource;
pub mod sampling;
pub mod testing;
mod trace;
pub mod w3c;

pub use background::{background_span, mark_error, spawn, suppress};
pub use config::{Config, ConfigError, ExportGate, LogOutput};
pub use cuts::Cuts;
pub use init::{Guard, InitError, init};
pub use metrics::{MetricsHandle, Page, exemplars};
pub use report::Report;
pub use sampling::Sampling;
