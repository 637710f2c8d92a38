//! The task-service as a process, on embedded DynamoDB and SQS: what it answers, what it stores, what it sends.
#![allow(clippy::unwrap_used)]

mod caller;
mod changes;
mod dispatch;
mod idempotency;
mod lists;
mod outages;
mod process;
mod relay;
mod service;
mod start;
