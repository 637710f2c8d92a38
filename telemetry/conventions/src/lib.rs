//! Every name that appears in a signal, and the defaults and limits both ends of a wire must agree on.
//!
//! Constants only: no types, no functions, no dependencies, so any crate may use it. Names follow the
//! OpenTelemetry semantic conventions 1.42 and the Prometheus naming rules; `tripod.*` is ours. What the
//! services really emit is compared with these names by the golden test in `tripod/tests`.

pub mod defaults;
pub mod fields;
pub mod headers;
pub mod metrics;
pub mod resource;
pub mod spans;
