//! The worker as a process, on embedded DynamoDB and SQS: what becomes of a job, a message, a dead letter.
#![allow(clippy::unwrap_used)]

mod dead_letters;
mod drain;
mod effects;
mod failures;
mod heartbeat;
// A link to the file of the task-service's tests: processes are tested alike, and there is one text of how.
#[allow(dead_code, reason = "those tests use all of it")]
mod process;
mod queues;
mod system;
