//! HTTP, both ways: a tower layer for servers and a thin client over `reqwest`. Each request becomes one span and one
//! histogram sample by OpenTelemetry's semantic conventions, and carries the trace on.
//!
//! Bodies are not looked at: a duration lasts until the head of the response is there. No access log: what is worth a
//! log line is for the service to say.

pub use self::client::{CallOptions, Client, expecting, resend};
pub use self::server::{ErrorType, Route, Server, ServerLayer, ServerOptions};

mod client;
mod message;
mod redact;
mod server;
