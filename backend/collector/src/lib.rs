//! The embedded OpenTelemetry Collector: policies from its own configuration file, tail sampling, export of what is kept.
//!
//! `sampler` is the state machine of one shard, [`Collector`] runs it over all cores, [`config`] and [`policy`] read what is
//! kept from the file that the real Collector runs. The wire, and listening on it, are `otlp`'s; storing is the
//! destination's, behind [`Export`].

pub mod config;
mod metrics;
mod pipeline;
pub mod policy;
mod sampler;

pub use config::Config;
pub use pipeline::{Clock, Collector, Export, ExportError, Handle, Options, Report, monotonic};
