//! HTTP headers and message attributes that carry context between processes.

/// W3C Trace Context.
pub const TRACEPARENT: &str = "traceparent";
/// W3C Trace Context.
pub const TRACESTATE: &str = "tracestate";
/// W3C Trace Context level 2 draft: the server's own span, in the response.
pub const TRACERESPONSE: &str = "traceresponse";
/// Our member of `tracestate`; its value is [`TRACESTATE_START_PREFIX`] and the root's start in Unix milliseconds, hex.
pub const TRACESTATE_MEMBER: &str = "tripod";
/// See [`TRACESTATE_MEMBER`].
pub const TRACESTATE_START_PREFIX: &str = "t:";

/// Gateway to task-service: the authenticated workspace.
pub const WORKSPACE: &str = "x-tripod-workspace";
/// Gateway to task-service: who acts, the id of the API key.
pub const ACTOR: &str = "x-tripod-actor";
/// Client to gateway: makes a POST safe to repeat.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// In an answer that was given before and is only repeated: `true`.
pub const IDEMPOTENCY_REPLAYED: &str = "idempotency-replayed";
