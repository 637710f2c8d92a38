//! What the task system needs of DynamoDB and SQS, checked through the AWS SDKs on the embedded
//! endpoint and, when `TRIPOD_AWS_ENDPOINT` names one, on an independent implementation as well:
//! `TRIPOD_AWS_ENDPOINT=http://127.0.0.1:5000 cargo test -p aws-local --test contract`.
//!
//! Where the two are known to differ from AWS stands in one table, [`differences`]. Checks of the
//! embedded endpoint alone: [`wire`] (hostile requests), [`life`] (kill, restart, stop, load).
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod batches;
mod differences;
mod endpoints;
mod items;
mod life;
mod messages;
mod queries;
mod queues;
mod transactions;
mod wire;
