//! The HTTP surfaces of the embedded backend.
//!
//! [`Surface`] is how each of them listens: bounded, counted, stopped gracefully. [`tempo`] is what the trace store answers
//! on it, as Grafana Tempo would; [`prometheus`] what the embedded Prometheus does, as the real one would. Stores and query
//! engines are crates of their own; nothing is evaluated here.

pub mod alertmanager;
mod chain;
mod go;
pub mod loki;
pub mod prometheus;
mod surface;
pub mod tempo;
pub mod virtual_clock;
mod work;

pub use surface::{Error, MetricsPage, Options, Refusal, RenderMetrics, Surface};
