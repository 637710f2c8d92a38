//! For tests of services that use this crate: what did they really emit?
//!
//! [`capture`] runs a scope and returns its spans, log lines and metrics, without a network and without touching the
//! process's own telemetry, so tests run side by side. [`OtlpSink`] is a collector for programs under test: it keeps
//! what arrives over OTLP/HTTP and can be told to fail. Neither is meant for production.

mod capture;
mod sink;
mod span;

pub use capture::{Captured, capture, capture_async};
pub use sink::{Answer, OtlpSink, Unmet};
pub use span::{Link, Span, SpanEvent};
