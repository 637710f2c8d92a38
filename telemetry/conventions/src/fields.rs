//! Keys of a log line: first the three that join it to the other signals, then what `tracing-subscriber`'s JSON
//! format writes, then the fields our own events carry under `fields`.

/// First key of every line: 32 lower-case hex digits.
pub const TRACE_ID: &str = "trace_id";
/// Second key of every line: 16 lower-case hex digits.
pub const SPAN_ID: &str = "span_id";
/// Third key of every line, label of every metric and stream.
pub const SERVICE: &str = "service";
/// Set to [`TRACE_SCOPE_PROCESS`] on lines written outside any span.
pub const TRACE_SCOPE: &str = "trace_scope";
/// The line belongs to the process's own start-up trace.
pub const TRACE_SCOPE_PROCESS: &str = "process";

pub const TIMESTAMP: &str = "timestamp";
pub const LEVEL: &str = "level";
pub const FIELDS: &str = "fields";
pub const TARGET: &str = "target";
pub const SPAN: &str = "span";
pub const MESSAGE: &str = "message";

/// Fields that events put under [`FIELDS`]; the golden file lists which are really seen.
pub const ERROR: &str = "error";
/// `file:line:column` of a panic.
pub const PANIC_LOCATION: &str = "panic.location";
/// Thread that panicked.
pub const THREAD: &str = "thread";
/// How long the operation took, in milliseconds.
pub const DURATION_MS: &str = "duration_ms";
/// How often the operation was sent, retries included.
pub const ATTEMPTS: &str = "attempts";
/// Kind of the problem that a request was answered with.
pub const PROBLEM: &str = "problem";
