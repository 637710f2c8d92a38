//! The gateway over real sockets: keys in an embedded DynamoDB, a task-service whose answers the tests choose.
#![allow(clippy::unwrap_used, unreachable_pub)]

mod bad_input;
mod forwarding;
mod keys;
mod public;
mod signals;
mod stub;
mod system;
