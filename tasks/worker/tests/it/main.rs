//! The worker as a process, on embedded DynamoDB and SQS: what becomes of a job, a message, a dead letter.
#![allow(clippy::unwrap_used)]

mod dead_letters;
mod drain;
mod effects;
mod failures;
mod heartbeat;
// Processes are tested alike: the task-service's tests own how.
#[allow(dead_code, reason = "those tests use all of it")]
#[path = "../../../task-service/tests/it/process.rs"]
mod process;
mod queues;
mod system;
