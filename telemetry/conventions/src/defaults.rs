//! Defaults and limits on which two sides of a wire rely: service and collector, service and scraper, edge and core.

/// Share of successful traces the collector keeps, in percent.
pub const SAMPLING_PERCENTAGE: f64 = 5.0;

/// Salt of the collector's `probabilistic` policy (`hash_salt`), hashed in front of the trace id.
pub const SAMPLING_SALT: &str = "tripod-v1";

/// How long the collector waits after a trace's first span before it decides. Environment: [`DECISION_WAIT_ENV`].
pub const DECISION_WAIT_SECONDS: f64 = 10.0;

/// Names the decision wait for services and collector alike; a duration such as `10s`.
pub const DECISION_WAIT_ENV: &str = "TRIPOD_DECISION_WAIT";

/// A span is late when it ends later than decision wait minus this, or later than half the wait if that is more.
/// The margin covers batching and transport, so an on-time span always arrives before the decision.
pub const LATE_MARGIN_SECONDS: f64 = 3.0;

/// Longest delay between a span's end and its export: two batches fit into [`LATE_MARGIN_SECONDS`].
pub const SPAN_BATCH_DELAY_SECONDS: f64 = 1.0;

/// `service.namespace` of every process of this system.
pub const NAMESPACE: &str = "tripod";

/// Upper bounds in seconds of HTTP duration histograms (semantic conventions, `http.server.request.duration`).
pub const HTTP_BUCKETS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// Upper bounds in seconds of database and messaging client histograms (semantic conventions, `db.client.operation.duration`).
pub const DB_BUCKETS: &[f64] = &[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];

/// Upper bounds in seconds of the time a job waits or runs: the interesting range goes up to redelivery after minutes.
pub const JOB_BUCKETS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0,
];

/// Series one metric may have in one process; what is over this goes to one overflow series.
pub const SERIES_PER_METRIC_MAX: usize = 2_000;

/// DynamoDB table of the task system, unless another is set: three processes work on it.
pub const TASKS_TABLE: &str = "tripod-tasks";

/// Queue from task-service to worker, unless another is set. Its dead-letter queue is named after it.
pub const JOB_QUEUE: &str = "tasks-jobs";
