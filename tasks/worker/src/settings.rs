//! What an operator can set, beside the settings every process has.

use std::num::NonZeroU16;

use conventions::defaults;
use runtime::Time;

/// Jobs at the same time: they mostly wait for DynamoDB.
const CONCURRENCY: NonZeroU16 = NonZeroU16::new(8).expect("8 is not 0");

runtime::settings! {
    /// Settings of the worker.
    pub struct Settings {
        /// The DynamoDB table.
        table: String = defaults::TASKS_TABLE.to_owned();
        /// The SQS queue of jobs; its dead-letter queue is named after it.
        queue: String = defaults::JOB_QUEUE.to_owned();
        /// Jobs at the same time, 1 to 65535.
        concurrency: NonZeroU16 = CONCURRENCY;
        /// How often a running job's message is hidden anew, each time for three times as long. A third of the queue's
        /// visibility timeout, or less; at least 100ms.
        heartbeat: Time = Time::from_secs(10);
        /// Longest wait after a job's first failure; it triples with each further one. The real wait is random, up to it.
        backoff_min: Time = Time::from_secs(2);
        /// Longest wait after any failure.
        backoff_max: Time = Time::from_secs(60);
    }
}
