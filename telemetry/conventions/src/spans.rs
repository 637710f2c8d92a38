//! Span names and attributes, by instrumentation. Semantic conventions 1.42; what is `tripod.*` is ours.

// --- names
/// The short root span every process emits at start; events outside any span belong to its trace.
pub const SERVICE_START: &str = "service.start";

// --- general
pub const ERROR_TYPE: &str = "error.type";
pub const SERVER_ADDRESS: &str = "server.address";
pub const SERVER_PORT: &str = "server.port";
pub const CLIENT_ADDRESS: &str = "client.address";
pub const NETWORK_PROTOCOL_VERSION: &str = "network.protocol.version";
pub const USER_AGENT_ORIGINAL: &str = "user_agent.original";

// --- HTTP
pub const HTTP_REQUEST_METHOD: &str = "http.request.method";
pub const HTTP_REQUEST_METHOD_ORIGINAL: &str = "http.request.method_original";
/// Value of [`HTTP_REQUEST_METHOD`] for a method outside RFC 9110 and PATCH.
pub const HTTP_METHOD_OTHER: &str = "_OTHER";
pub const HTTP_REQUEST_RESEND_COUNT: &str = "http.request.resend_count";
pub const HTTP_RESPONSE_STATUS_CODE: &str = "http.response.status_code";
pub const HTTP_ROUTE: &str = "http.route";
pub const URL_FULL: &str = "url.full";
pub const URL_PATH: &str = "url.path";
pub const URL_QUERY: &str = "url.query";
pub const URL_SCHEME: &str = "url.scheme";
/// Metric label for a request that matched no route. Spans leave `http.route` out instead.
pub const ROUTE_UNMATCHED: &str = "unmatched";

// --- values of error.type that are no status code and no AWS error code
/// The caller went away before the response was ready.
pub const ERROR_CANCELLED: &str = "cancelled";
pub const ERROR_PANIC: &str = "panic";
pub const ERROR_TIMEOUT: &str = "timeout";
/// No connection, or it broke before a response.
pub const ERROR_CONNECT: &str = "connect";
/// A dependency is away, slow or throttling.
pub const ERROR_UNAVAILABLE: &str = "unavailable";
/// Others are changing the same items.
pub const ERROR_CONFLICT: &str = "conflict";
/// A dependency refuses for good.
pub const ERROR_REFUSED: &str = "refused";
/// Stored data does not have the form it was written in.
pub const ERROR_DAMAGED: &str = "damaged";
/// A message that names no job.
pub const ERROR_MALFORMED: &str = "malformed";
/// A message larger than any that names a job.
pub const ERROR_OVERSIZED: &str = "oversized";
/// Everything that has no better name (semantic conventions' own fallback).
pub const ERROR_OTHER: &str = "_OTHER";

// --- AWS, RPC
pub const AWS_REQUEST_ID: &str = "aws.request_id";
pub const AWS_DYNAMODB_TABLE_NAMES: &str = "aws.dynamodb.table_names";
pub const AWS_SQS_QUEUE_URL: &str = "aws.sqs.queue.url";
pub const CLOUD_REGION: &str = "cloud.region";
pub const RPC_SYSTEM: &str = "rpc.system";
pub const RPC_SERVICE: &str = "rpc.service";
pub const RPC_METHOD: &str = "rpc.method";
/// Value of [`RPC_SYSTEM`].
pub const RPC_SYSTEM_AWS: &str = "aws-api";

// --- database
pub const DB_SYSTEM_NAME: &str = "db.system.name";
/// Value of [`DB_SYSTEM_NAME`].
pub const DB_SYSTEM_DYNAMODB: &str = "aws.dynamodb";
pub const DB_OPERATION_NAME: &str = "db.operation.name";
pub const DB_OPERATION_BATCH_SIZE: &str = "db.operation.batch.size";
pub const DB_COLLECTION_NAME: &str = "db.collection.name";
pub const DB_RESPONSE_STATUS_CODE: &str = "db.response.status_code";

// --- messaging
pub const MESSAGING_SYSTEM: &str = "messaging.system";
/// Value of [`MESSAGING_SYSTEM`].
pub const MESSAGING_SYSTEM_SQS: &str = "aws_sqs";
pub const MESSAGING_OPERATION_NAME: &str = "messaging.operation.name";
pub const MESSAGING_OPERATION_TYPE: &str = "messaging.operation.type";
pub const MESSAGING_DESTINATION_NAME: &str = "messaging.destination.name";
pub const MESSAGING_MESSAGE_ID: &str = "messaging.message.id";
pub const MESSAGING_BATCH_MESSAGE_COUNT: &str = "messaging.batch.message_count";
/// Values of [`MESSAGING_OPERATION_NAME`] and [`MESSAGING_OPERATION_TYPE`].
pub const OPERATION_SEND: &str = "send";
/// See [`OPERATION_SEND`].
pub const OPERATION_RECEIVE: &str = "receive";
/// See [`OPERATION_SEND`].
pub const OPERATION_PROCESS: &str = "process";
/// See [`OPERATION_SEND`].
pub const OPERATION_SETTLE: &str = "settle";

// --- ours
/// The span ended after its trace was decided, or close to it: it is judged by itself (tail sampling, late pipeline).
pub const TRIPOD_LATE: &str = "tripod.late";
/// How often the job was received, this time included; from 2 on an earlier attempt has failed, so the trace is kept.
pub const TRIPOD_JOB_ATTEMPT: &str = "tripod.job.attempt";
pub const TRIPOD_JOB_ID: &str = "tripod.job.id";
pub const TRIPOD_JOB_KIND: &str = "tripod.job.kind";
/// The task that a request or a job is about.
pub const TRIPOD_TASK_ID: &str = "tripod.task.id";
/// The tenant that a request or a job belongs to.
pub const TRIPOD_WORKSPACE: &str = "tripod.workspace";
