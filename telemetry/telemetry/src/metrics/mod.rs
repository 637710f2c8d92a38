//! Metrics: a [`Recorder`] for the [`metrics`](https://docs.rs/metrics) crate that knows traces.
//!
//! Call sites stay plain `metrics::counter!`, `gauge!` and `histogram!`. Memory is fixed per series and bounded in
//! all; nothing waits and nothing needs upkeep; a sample recorded while a span is current leaves an exemplar that
//! names its trace, if that trace will be found ([`exemplars`]). Pages are served by [`MetricsHandle`]; who serves
//! them over HTTP is not this module's business.
//!
//! Names: a counter's samples end in `_total`, which is added where it is missing. Characters that Prometheus does not
//! allow become underscores. A metric whose samples would be called like another's is refused.

mod buckets;
mod builder;
mod catalog;
mod cells;
mod descriptions;
pub mod exemplars;
mod exposition;
mod names;
mod negotiation;
mod numbers;
mod page;
mod process;
mod recorder;

pub use buckets::{BoundsError, Matcher};
pub use builder::{BuildError, InstallError, RecorderBuilder};
pub use page::{MetricsHandle, Page};
pub use recorder::Recorder;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod grammar;
#[cfg(test)]
mod parity;
#[cfg(test)]
mod tests;
