//! Metric names and labels, in the four golden signals' order. Durations are seconds. A name here is the exposed name:
//! counters end in `_total`, units are part of the name.

// --- labels
/// On every series: the same word as in logs and streams.
pub const SERVICE: &str = "service";
pub const HTTP_REQUEST_METHOD: &str = "http_request_method";
pub const HTTP_ROUTE: &str = "http_route";
pub const HTTP_RESPONSE_STATUS_CODE: &str = "http_response_status_code";
pub const SERVER_ADDRESS: &str = "server_address";
pub const SERVER_PORT: &str = "server_port";
pub const ERROR_TYPE: &str = "error_type";
pub const DB_SYSTEM_NAME: &str = "db_system_name";
pub const DB_OPERATION_NAME: &str = "db_operation_name";
pub const DB_COLLECTION_NAME: &str = "db_collection_name";
pub const MESSAGING_SYSTEM: &str = "messaging_system";
pub const MESSAGING_OPERATION_NAME: &str = "messaging_operation_name";
pub const MESSAGING_DESTINATION_NAME: &str = "messaging_destination_name";
pub const QUEUE: &str = "queue";
pub const STATE: &str = "state";
pub const JOB: &str = "job";
pub const OUTCOME: &str = "outcome";
pub const PRIORITY: &str = "priority";
pub const FROM: &str = "from";
pub const TO: &str = "to";
/// Set to `true` on the one series that collects what exceeded the cap.
pub const OVERFLOW: &str = "otel_metric_overflow";

// --- traffic, errors, latency
pub const HTTP_SERVER_REQUEST_DURATION: &str = "http_server_request_duration_seconds";
pub const HTTP_SERVER_ACTIVE_REQUESTS: &str = "http_server_active_requests";

// --- dependencies
pub const HTTP_CLIENT_REQUEST_DURATION: &str = "http_client_request_duration_seconds";
pub const DB_CLIENT_OPERATION_DURATION: &str = "db_client_operation_duration_seconds";
pub const MESSAGING_CLIENT_OPERATION_DURATION: &str = "messaging_client_operation_duration_seconds";

// --- saturation: queues
pub const QUEUE_DEPTH: &str = "queue_depth";
pub const QUEUE_OLDEST_MESSAGE_AGE: &str = "queue_oldest_message_age_seconds";
/// Values of [`STATE`] on [`QUEUE_DEPTH`].
pub const QUEUE_STATES: &[&str] = &[STATE_VISIBLE, STATE_IN_FLIGHT, STATE_DELAYED];
pub const STATE_VISIBLE: &str = "visible";
pub const STATE_IN_FLIGHT: &str = "in_flight";
pub const STATE_DELAYED: &str = "delayed";

// --- worker
pub const MESSAGING_PROCESS_DURATION: &str = "messaging_process_duration_seconds";
pub const JOB_QUEUE_LATENCY: &str = "job_queue_latency_seconds";
/// Value of [`JOB`] for a message that names no job.
pub const JOB_UNKNOWN: &str = "unknown";
/// Values of [`OUTCOME`] on worker metrics.
pub const OUTCOME_SUCCESS: &str = "success";
/// The job was done before: a redelivery without effect.
pub const OUTCOME_DUPLICATE: &str = "duplicate";
/// The attempt failed and will be redelivered.
pub const OUTCOME_RETRY: &str = "retry";
/// The last attempt failed; the queue moves the message to the dead-letter queue.
pub const OUTCOME_DEAD: &str = "dead";

// --- business
pub const TASKS_CREATED: &str = "tasks_created_total";
pub const TASK_TRANSITIONS: &str = "task_transitions_total";
pub const OUTBOX_PENDING: &str = "outbox_pending";

// --- telemetry itself
pub const TELEMETRY_SPANS: &str = "telemetry_spans_total";
pub const TELEMETRY_LOG_LINES: &str = "telemetry_log_lines_total";
pub const TELEMETRY_EXEMPLARS: &str = "telemetry_exemplars_total";
pub const TELEMETRY_SERIES_OVERFLOW: &str = "telemetry_series_overflow_total";
/// Histogram samples that were not finite.
pub const TELEMETRY_SAMPLES_DROPPED: &str = "telemetry_samples_dropped_total";
/// Values of [`OUTCOME`] on [`TELEMETRY_SPANS`]: taken by the collector, refused by it for good, never sent.
pub const OUTCOME_EXPORTED: &str = "exported";
/// See [`OUTCOME_EXPORTED`].
pub const OUTCOME_FAILED: &str = "failed";
/// See [`OUTCOME_EXPORTED`].
pub const OUTCOME_DROPPED: &str = "dropped";
/// Value of [`OUTCOME`] on [`TELEMETRY_LOG_LINES`], beside `dropped` and `failed`.
pub const OUTCOME_WRITTEN: &str = "written";
/// Values of [`OUTCOME`] on [`TELEMETRY_EXEMPLARS`]: stored; the trace will not be kept; another thread held the slot.
pub const OUTCOME_STORED: &str = "stored";
/// See [`OUTCOME_STORED`].
pub const OUTCOME_NOT_KEPT: &str = "not_kept";
/// See [`OUTCOME_STORED`].
pub const OUTCOME_CONTENDED: &str = "contended";

// --- process: the standard set of Prometheus client libraries, and the number of threads
pub const PROCESS_CPU_SECONDS: &str = "process_cpu_seconds_total";
pub const PROCESS_OPEN_FDS: &str = "process_open_fds";
pub const PROCESS_MAX_FDS: &str = "process_max_fds";
pub const PROCESS_VIRTUAL_MEMORY_BYTES: &str = "process_virtual_memory_bytes";
pub const PROCESS_VIRTUAL_MEMORY_MAX_BYTES: &str = "process_virtual_memory_max_bytes";
pub const PROCESS_RESIDENT_MEMORY_BYTES: &str = "process_resident_memory_bytes";
pub const PROCESS_START_TIME_SECONDS: &str = "process_start_time_seconds";
pub const PROCESS_THREADS: &str = "process_threads";
pub const BUILD_INFO: &str = "build_info";
pub const VERSION: &str = "version";

// --- collector: the names of the real one (its reader set to write `_total` and units), then our own
pub const OTELCOL_TAIL_SAMPLING_NEW_TRACES: &str =
    "otelcol_processor_tail_sampling_new_trace_id_received_total";
pub const OTELCOL_TAIL_SAMPLING_DECISIONS: &str =
    "otelcol_processor_tail_sampling_global_count_traces_sampled_total";
pub const OTELCOL_TAIL_SAMPLING_POLICY_DECISIONS: &str =
    "otelcol_processor_tail_sampling_count_traces_sampled_total";
pub const OTELCOL_TAIL_SAMPLING_FROM_CACHE: &str =
    "otelcol_processor_tail_sampling_early_releases_from_cache_decision_total";
pub const OTELCOL_TAIL_SAMPLING_TRACES_IN_MEMORY: &str =
    "otelcol_processor_tail_sampling_sampling_traces_on_memory";
/// Always 0 on ours, which decides early instead: [`COLLECTOR_DECIDED_EARLY`].
pub const OTELCOL_TAIL_SAMPLING_DROPPED_TOO_EARLY: &str =
    "otelcol_processor_tail_sampling_sampling_trace_dropped_too_early_total";
pub const OTELCOL_EXPORTER_SENT_SPANS: &str = "otelcol_exporter_sent_spans_total";
pub const OTELCOL_EXPORTER_SEND_FAILED_SPANS: &str = "otelcol_exporter_send_failed_spans_total";
/// In requests.
pub const OTELCOL_EXPORTER_QUEUE_SIZE: &str = "otelcol_exporter_queue_size";
/// Labels of the above.
pub const POLICY: &str = "policy";
/// See [`POLICY`].
pub const SAMPLED: &str = "sampled";
/// See [`POLICY`].
pub const DECISION: &str = "decision";
/// See [`POLICY`].
pub const EXPORTER: &str = "exporter";
/// Value of [`EXPORTER`] for the store of the same process.
pub const EXPORTER_EMBEDDED: &str = "embedded";
/// Values of [`DECISION`].
pub const DECISION_SAMPLED: &str = "sampled";
/// See [`DECISION_SAMPLED`].
pub const DECISION_NOT_SAMPLED: &str = "not_sampled";
/// See [`DECISION_SAMPLED`]: by a `drop` policy.
pub const DECISION_DROPPED: &str = "dropped";
/// Spans by [`OUTCOME`]: `kept`, `sampled_out`, `duplicate`, `lost`, `refused`.
pub const COLLECTOR_SPANS: &str = "tripod_collector_spans_total";
/// Values of [`OUTCOME`] on [`COLLECTOR_SPANS`], beside [`OUTCOME_DUPLICATE`].
pub const OUTCOME_KEPT: &str = "kept";
/// See [`OUTCOME_KEPT`].
pub const OUTCOME_SAMPLED_OUT: &str = "sampled_out";
/// See [`OUTCOME_KEPT`].
pub const OUTCOME_LOST: &str = "lost";
/// See [`OUTCOME_KEPT`].
pub const OUTCOME_REFUSED: &str = "refused";
/// Requests that were no OTLP.
pub const COLLECTOR_MALFORMED_REQUESTS: &str = "tripod_collector_malformed_requests_total";
/// Spans marked as having ended after their trace was decided.
pub const COLLECTOR_LATE_SPANS: &str = "tripod_collector_late_spans_total";
/// Spans kept by themselves although their trace was dropped before.
pub const COLLECTOR_JUDGED_AGAIN: &str = "tripod_collector_spans_judged_again_total";
/// Traces decided before their time, by [`CAUSE`].
pub const COLLECTOR_DECIDED_EARLY: &str = "tripod_collector_traces_decided_early_total";
/// Label of [`COLLECTOR_DECIDED_EARLY`]; its values are [`CAUSES`].
pub const CAUSE: &str = "cause";
/// Bytes buffered; undecided traces; spans of one trace; the stop; bytes of one trace, by the configuration file.
pub const CAUSES: [&str; 5] = ["memory", "traces", "size", "stop", "too_large"];
pub const COLLECTOR_BUFFERED_BYTES: &str = "tripod_collector_buffered_bytes";
pub const COLLECTOR_BUFFERED_SPANS: &str = "tripod_collector_buffered_spans";
/// Bytes of kept spans that wait to be exported.
pub const COLLECTOR_EXPORT_QUEUE_BYTES: &str = "tripod_collector_export_queue_bytes";

// --- OTLP receiver: the names of the real one (its reader set to write `_total`), then our own
pub const OTELCOL_RECEIVER_ACCEPTED_SPANS: &str = "otelcol_receiver_accepted_spans_total";
pub const OTELCOL_RECEIVER_REFUSED_SPANS: &str = "otelcol_receiver_refused_spans_total";
pub const OTELCOL_RECEIVER_ACCEPTED_LOG_RECORDS: &str =
    "otelcol_receiver_accepted_log_records_total";
pub const OTELCOL_RECEIVER_REFUSED_LOG_RECORDS: &str = "otelcol_receiver_refused_log_records_total";
/// Label of the above.
pub const RECEIVER: &str = "receiver";
/// Value of [`RECEIVER`].
pub const RECEIVER_OTLP: &str = "otlp";
/// Label of all metrics of the receiver.
pub const TRANSPORT: &str = "transport";
/// Values of [`TRANSPORT`].
pub const TRANSPORT_GRPC: &str = "grpc";
/// See [`TRANSPORT_GRPC`].
pub const TRANSPORT_HTTP: &str = "http";
/// Requests by [`TRANSPORT`] and [`OUTCOME`]: one of [`RECEIVER_OUTCOMES`].
pub const RECEIVER_REQUESTS: &str = "tripod_receiver_requests_total";
/// Taken; no such message; over the size limit; to be sent again later; another path, method, type or encoding; sent too
/// slowly; broken off by the client.
pub const RECEIVER_OUTCOMES: [&str; 7] = [
    "accepted",
    "malformed",
    "too_large",
    "overloaded",
    "unsupported",
    "timeout",
    "broken_off",
];

// --- trace store
/// Spans by [`OUTCOME`]: `stored`, `refused`.
pub const TRACE_STORE_SPANS: &str = "tripod_trace_store_spans_total";
/// Parts of traces stored: the spans that one request had of one trace.
pub const TRACE_STORE_FRAGMENTS: &str = "tripod_trace_store_fragments_total";
/// Bytes of OTLP taken in.
pub const TRACE_STORE_RECEIVED_BYTES: &str = "tripod_trace_store_received_bytes_total";
/// Attribute keys and values cut to their bound.
pub const TRACE_STORE_ATTRIBUTES_TRUNCATED: &str = "tripod_trace_store_attributes_truncated_total";
/// Requests of which nothing was stored.
pub const TRACE_STORE_INGEST_FAILURES: &str = "tripod_trace_store_ingest_failures_total";
pub const TRACE_STORE_INGEST_DURATION: &str = "tripod_trace_store_ingest_duration_seconds";
/// Queries by [`TRACE_STORE_QUERY`] and [`OUTCOME`]: `success`, `partial`, `failed`.
pub const TRACE_STORE_QUERY_DURATION: &str = "tripod_trace_store_query_duration_seconds";
/// Label of [`TRACE_STORE_QUERY_DURATION`]; its values are [`TRACE_STORE_QUERIES`].
pub const TRACE_STORE_QUERY: &str = "query";
/// Values of [`TRACE_STORE_QUERY`].
pub const TRACE_STORE_QUERIES: [&str; 5] = ["trace", "search", "tags", "tag_values", "metrics"];
/// Value of [`OUTCOME`]: a bound was reached, and the answer says so.
pub const OUTCOME_PARTIAL: &str = "partial";
pub const TRACE_STORE_DISK_BYTES: &str = "tripod_trace_store_disk_bytes";
/// Blocks deleted for their age or for the size of all.
pub const TRACE_STORE_BLOCKS_RETIRED: &str = "tripod_trace_store_blocks_retired_total";

// --- alertmanager: the names of the real one, then our own
/// Alerts that fire, by [`STATE`]: `active`, `suppressed`.
pub const ALERTMANAGER_ALERTS: &str = "alertmanager_alerts";
/// By [`STATUS`]: `firing`, `resolved`; and by [`VERSION`] of the API.
pub const ALERTMANAGER_ALERTS_RECEIVED: &str = "alertmanager_alerts_received_total";
pub const ALERTMANAGER_ALERTS_INVALID: &str = "alertmanager_alerts_invalid_total";
pub const ALERTMANAGER_GROUPS: &str = "alertmanager_dispatcher_aggregation_groups";
/// Alerts that found no group because there are too many.
pub const ALERTMANAGER_GROUPS_LIMITED: &str =
    "alertmanager_dispatcher_aggregation_group_limit_reached_total";
/// By [`STATE`]: `active`, `pending`, `expired`.
pub const ALERTMANAGER_SILENCES: &str = "alertmanager_silences";
/// Messages by [`INTEGRATION`], however often they were tried.
pub const ALERTMANAGER_NOTIFICATIONS: &str = "alertmanager_notifications_total";
/// Messages given up, by [`INTEGRATION`] and [`REASON`].
pub const ALERTMANAGER_NOTIFICATIONS_FAILED: &str = "alertmanager_notifications_failed_total";
/// Attempts.
pub const ALERTMANAGER_NOTIFICATION_REQUESTS: &str = "alertmanager_notification_requests_total";
pub const ALERTMANAGER_NOTIFICATION_REQUESTS_FAILED: &str =
    "alertmanager_notification_requests_failed_total";
/// Of an attempt.
pub const ALERTMANAGER_NOTIFICATION_LATENCY: &str = "alertmanager_notification_latency_seconds";
/// Alerts left out of messages, by [`REASON`]: one of [`ALERTMANAGER_SUPPRESSIONS`].
pub const ALERTMANAGER_NOTIFICATIONS_SUPPRESSED: &str =
    "alertmanager_notifications_suppressed_total";
pub const ALERTMANAGER_SUPPRESSIONS: [&str; 4] = [
    "silence",
    "inhibition",
    "mute_time_interval",
    "active_time_interval",
];
/// Times at which what must survive a restart could not be stored.
pub const ALERTMANAGER_JOURNAL_FAILURES: &str = "tripod_alertmanager_journal_failures_total";
/// Labels of the above.
pub const INTEGRATION: &str = "integration";
/// See [`INTEGRATION`].
pub const REASON: &str = "reason";
/// See [`INTEGRATION`].
pub const STATUS: &str = "status";
/// Value of [`INTEGRATION`].
pub const INTEGRATION_WEBHOOK: &str = "webhook";

// --- rules: the names of Prometheus
pub const PROMETHEUS_RULE_EVALUATIONS: &str = "prometheus_rule_evaluations_total";
pub const PROMETHEUS_RULE_EVALUATION_FAILURES: &str = "prometheus_rule_evaluation_failures_total";
pub const PROMETHEUS_RULE_GROUP_ITERATIONS: &str = "prometheus_rule_group_iterations_total";
pub const PROMETHEUS_RULE_GROUP_ITERATIONS_MISSED: &str =
    "prometheus_rule_group_iterations_missed_total";
pub const PROMETHEUS_RULE_GROUP_LAST_DURATION: &str = "prometheus_rule_group_last_duration_seconds";
pub const PROMETHEUS_RULE_GROUP_LAST_EVALUATION: &str =
    "prometheus_rule_group_last_evaluation_timestamp_seconds";
pub const PROMETHEUS_RULE_GROUP_INTERVAL: &str = "prometheus_rule_group_interval_seconds";
pub const PROMETHEUS_RULE_GROUP_RULES: &str = "prometheus_rule_group_rules";
/// Label of the above: file and name of the group, with a semicolon between them.
pub const RULE_GROUP: &str = "rule_group";

// --- the log shipper, by [`DESTINATION`]
/// Lines by [`OUTCOME`]: `delivered`, `duplicate`, `rejected`, `lost`.
pub const SHIPPER_LINES: &str = "tripod_shipper_lines_total";
pub const SHIPPER_BYTES: &str = "tripod_shipper_bytes_total";
pub const SHIPPER_RETRIES: &str = "tripod_shipper_retries_total";
/// Bytes of log files that a destination has not taken yet.
pub const SHIPPER_LAG_BYTES: &str = "tripod_shipper_lag_bytes";
/// Bytes of log files that went away before a destination had taken them.
pub const SHIPPER_LOST_BYTES: &str = "tripod_shipper_lost_bytes_total";
/// Lines cut at their bound, and lines with bytes that are no UTF-8.
pub const SHIPPER_LINES_MENDED: &str = "tripod_shipper_lines_mended_total";
/// Log files and positions that could not be read or kept, also on a disk that is full. Without labels.
pub const SHIPPER_FILE_FAILURES: &str = "tripod_shipper_file_failures_total";
pub const DESTINATION: &str = "destination";
/// Values of [`OUTCOME`] for lines of the shipper.
pub const OUTCOME_DELIVERED: &str = "delivered";
pub const OUTCOME_REJECTED: &str = "rejected";

// --- the log stores, each with its [`STORE`]
pub const STORE: &str = "store";
/// Lines by [`OUTCOME`]: `stored`, `refused`.
pub const LOG_STORE_LINES: &str = "tripod_log_store_lines_total";
pub const LOG_STORE_RECEIVED_BYTES: &str = "tripod_log_store_received_bytes_total";
pub const LOG_STORE_APPEND_FAILURES: &str = "tripod_log_store_append_failures_total";
pub const LOG_STORE_APPEND_DURATION: &str = "tripod_log_store_append_duration_seconds";
pub const LOG_STORE_STREAMS: &str = "tripod_log_store_streams";
pub const LOG_STORE_DISK_BYTES: &str = "tripod_log_store_disk_bytes";
pub const LOG_STORE_BLOCKS_RETIRED: &str = "tripod_log_store_blocks_retired_total";

// --- the CloudWatch Logs API
/// Requests by [`OPERATION`] and status.
pub const CLOUDWATCH_REQUESTS: &str = "tripod_cloudwatch_requests_total";
pub const OPERATION: &str = "operation";

// --- configuration and notification: the names of Prometheus
pub const PROMETHEUS_CONFIG_RELOAD_SUCCESSFUL: &str = "prometheus_config_last_reload_successful";
pub const PROMETHEUS_CONFIG_RELOAD_TIME: &str =
    "prometheus_config_last_reload_success_timestamp_seconds";
pub const PROMETHEUS_NOTIFICATIONS_SENT: &str = "prometheus_notifications_sent_total";
pub const PROMETHEUS_NOTIFICATIONS_ERRORS: &str = "prometheus_notifications_errors_total";
pub const PROMETHEUS_NOTIFICATIONS_DROPPED: &str = "prometheus_notifications_dropped_total";
pub const PROMETHEUS_NOTIFICATIONS_LATENCY: &str = "prometheus_notifications_latency_seconds";
pub const PROMETHEUS_NOTIFICATIONS_QUEUE_LENGTH: &str = "prometheus_notifications_queue_length";
pub const PROMETHEUS_NOTIFICATIONS_QUEUE_CAPACITY: &str = "prometheus_notifications_queue_capacity";
pub const PROMETHEUS_NOTIFICATIONS_ALERTMANAGERS: &str =
    "prometheus_notifications_alertmanagers_discovered";
/// Label of the above: the URL of an Alertmanager.
pub const ALERTMANAGER: &str = "alertmanager";

// --- scraping: the series of each target, as Prometheus names them
pub const UP: &str = "up";
pub const SCRAPE_DURATION: &str = "scrape_duration_seconds";
pub const SCRAPE_SAMPLES_SCRAPED: &str = "scrape_samples_scraped";
pub const SCRAPE_SAMPLES_KEPT: &str = "scrape_samples_post_metric_relabeling";
pub const SCRAPE_SERIES_ADDED: &str = "scrape_series_added";

// --- scraping: the names of Prometheus for the scraper itself, then our own
pub const PROMETHEUS_SCRAPES_OVER_SAMPLE_LIMIT: &str =
    "prometheus_target_scrapes_exceeded_sample_limit_total";
pub const PROMETHEUS_SCRAPES_OVER_BODY_LIMIT: &str =
    "prometheus_target_scrapes_exceeded_body_size_limit_total";
pub const PROMETHEUS_SCRAPES_OVER_LABEL_LIMITS: &str =
    "prometheus_target_scrape_pool_exceeded_label_limits_total";
pub const PROMETHEUS_JOBS_OVER_TARGET_LIMIT: &str =
    "prometheus_target_scrape_pool_exceeded_target_limit_total";
pub const PROMETHEUS_SAMPLES_OUT_OF_ORDER: &str =
    "prometheus_target_scrapes_sample_out_of_order_total";
pub const PROMETHEUS_SAMPLES_DUPLICATE: &str =
    "prometheus_target_scrapes_sample_duplicate_timestamp_total";
pub const PROMETHEUS_SAMPLES_OUT_OF_BOUNDS: &str =
    "prometheus_target_scrapes_sample_out_of_bounds_total";
pub const PROMETHEUS_EXEMPLARS_OUT_OF_ORDER: &str =
    "prometheus_target_scrapes_exemplar_out_of_order_total";
pub const PROMETHEUS_DISCOVERY_READ_ERRORS: &str = "prometheus_sd_file_read_errors_total";
/// Scrapes by [`OUTCOME`]: `success`, `failed`.
pub const SCRAPES: &str = "tripod_scrapes_total";
/// Scraped samples that storage refused although they were well-formed and in time.
pub const SCRAPE_SAMPLES_REFUSED: &str = "tripod_scrape_samples_refused_total";

// --- tsdb: the names of Prometheus, then our own
/// By [`TSDB_TYPE`], like the next two.
pub const PROMETHEUS_TSDB_SAMPLES_APPENDED: &str = "prometheus_tsdb_head_samples_appended_total";
pub const PROMETHEUS_TSDB_OUT_OF_ORDER: &str = "prometheus_tsdb_out_of_order_samples_total";
pub const PROMETHEUS_TSDB_OUT_OF_BOUND: &str = "prometheus_tsdb_out_of_bound_samples_total";
/// Label of the above: the only kind of sample here is [`TSDB_TYPE_FLOAT`].
pub const TSDB_TYPE: &str = "type";
/// See [`TSDB_TYPE`].
pub const TSDB_TYPE_FLOAT: &str = "float";
pub const PROMETHEUS_TSDB_SERIES_CREATED: &str = "prometheus_tsdb_head_series_created_total";
pub const PROMETHEUS_TSDB_SERIES_REMOVED: &str = "prometheus_tsdb_head_series_removed_total";
pub const PROMETHEUS_TSDB_HEAD_SERIES: &str = "prometheus_tsdb_head_series";
pub const PROMETHEUS_TSDB_HEAD_CHUNKS: &str = "prometheus_tsdb_head_chunks";
/// In milliseconds, like the next.
pub const PROMETHEUS_TSDB_HEAD_MIN_TIME: &str = "prometheus_tsdb_head_min_time";
pub const PROMETHEUS_TSDB_HEAD_MAX_TIME: &str = "prometheus_tsdb_head_max_time";
pub const PROMETHEUS_TSDB_BLOCKS_LOADED: &str = "prometheus_tsdb_blocks_loaded";
pub const PROMETHEUS_TSDB_BLOCKS_BYTES: &str = "prometheus_tsdb_storage_blocks_bytes";
pub const PROMETHEUS_TSDB_WAL_SIZE: &str = "prometheus_tsdb_wal_storage_size_bytes";
pub const PROMETHEUS_TSDB_WAL_CORRUPTIONS: &str = "prometheus_tsdb_wal_corruptions_total";
pub const PROMETHEUS_TSDB_COMPACTIONS: &str = "prometheus_tsdb_compactions_total";
pub const PROMETHEUS_TSDB_COMPACTIONS_FAILED: &str = "prometheus_tsdb_compactions_failed_total";
pub const PROMETHEUS_TSDB_TIME_RETENTIONS: &str = "prometheus_tsdb_time_retentions_total";
pub const PROMETHEUS_TSDB_SIZE_RETENTIONS: &str = "prometheus_tsdb_size_retentions_total";
pub const PROMETHEUS_TSDB_EXEMPLARS_APPENDED: &str =
    "prometheus_tsdb_exemplar_exemplars_appended_total";
pub const PROMETHEUS_TSDB_EXEMPLARS_OUT_OF_ORDER: &str =
    "prometheus_tsdb_exemplar_out_of_order_exemplars_total";
pub const PROMETHEUS_TSDB_EXEMPLARS: &str = "prometheus_tsdb_exemplar_exemplars_in_storage";
pub const PROMETHEUS_TSDB_EXEMPLAR_SERIES: &str =
    "prometheus_tsdb_exemplar_series_with_exemplars_in_storage";
/// By [`REASON`]: one of [`TSDB_REFUSALS`].
pub const TSDB_SAMPLES_REFUSED: &str = "tripod_tsdb_samples_refused_total";
/// Another value at the same time; the head has as many series as it may; a reference to a series that left memory; no
/// labels or too many.
pub const TSDB_REFUSALS: [&str; 4] = [
    "duplicate_timestamp",
    "series_limit",
    "unknown_series",
    "invalid_labels",
];
/// Batches of which nothing was stored.
pub const TSDB_APPEND_FAILURES: &str = "tripod_tsdb_append_failures_total";
/// Set aside because they cannot be read.
pub const TSDB_BLOCKS_DAMAGED: &str = "tripod_tsdb_blocks_damaged_total";
/// Of series, chunks and label pairs in memory.
pub const TSDB_HEAD_BYTES: &str = "tripod_tsdb_head_bytes";
