//! The HTTP surfaces of the embedded backend.
//!
//! [`Surface`] is how each of them listens: bounded, counted, stopped gracefully. [`tempo`] is what the trace store answers
//! on it, as Grafana Tempo would. Stores and query engines are crates of their own; nothing is evaluated here.

mod go;
mod surface;
pub mod tempo;

pub use surface::{Error, MetricsPage, Options, Refusal, RenderMetrics, Surface};
