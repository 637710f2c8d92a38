//! Log lines: one JSON object per event on standard output, each with the ids that join it to the other signals.
//!
//! A line is what `tracing-subscriber`'s JSON format writes with `with_current_span(true)` and
//! `with_span_list(false)`, with `trace_id`, `span_id` and `service` in front. Rotation and shipping are done by whoever
//! reads the output.

mod fields;
mod gate;
mod json;
mod layer;
mod line;
pub(crate) mod panic;
#[cfg(test)]
mod tests;
mod timestamp;
pub(crate) mod writer;

pub(crate) use gate::{EventFilter, Gate};
pub(crate) use layer::JsonLayer;
pub(crate) use line::Format;
