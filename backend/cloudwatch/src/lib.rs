//! The CloudWatch Logs API: groups, streams, events and filter patterns, over a store of events.
//!
//! [`Service`] knows the operations, [`router`] speaks awsJson 1.1 for it, [`tls`] serves routes with a certificate of its own.
//! What is served and what is not is in `docs/cloudwatch-api.md`.

mod catalogue;
mod events;
mod names;
mod operations;
mod pattern;
mod refusal;
mod router;
mod service;
pub mod tls;

pub use catalogue::{CatalogueRecovery, EVENT_OVERHEAD_BYTES, GROUPS_MAX, STREAMS_MAX};
pub use events::{AppendError, Events, NewEvent, store_options};
pub use pattern::{FilterPattern, INDEXED_FIELDS, PATTERN_BYTES_MAX, PatternError, indexed_fields};
pub use router::router;
pub use service::{Clock, OpenError, Options, Service, TARGET_PREFIX};
