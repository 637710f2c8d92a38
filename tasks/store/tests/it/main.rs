//! The store against a real wire protocol: the embedded endpoint, or the one that `TRIPOD_AWS_ENDPOINT` names. On moto
//! pass all but what writes side by side, to which it answers 500, and the creation time of a queue, a fraction there.
//!
//! Endpoints that fail or answer out of turn are in [`failures`], which plays them itself.
#![allow(clippy::unwrap_used)]

mod comments;
mod dead_letters;
mod endpoint;
mod failures;
mod idempotency;
mod jobs;
mod lists;
mod outbox;
mod queue;
mod tasks;
