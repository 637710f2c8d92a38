//! OTLP on the wire: walking and writing protobuf without building objects, JSON, and the gRPC and HTTP receivers.
//!
//! What becomes of the spans and log records is the matter of a [`TraceSink`] and a [`LogSink`].

mod id;
pub mod json;
mod receiver;
mod sink;
pub mod wire;

pub use id::{NotAnId, SpanId, TraceId};
pub use receiver::{Addresses, Error, Options, Receiver};
pub use sink::{Accepted, LogSink, Refusal, TraceSink};
