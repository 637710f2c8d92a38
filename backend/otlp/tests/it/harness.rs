//! A receiver of its own for each test, with a sink that remembers, a page of metrics, and clients for both transports.

use std::{
    io::Write,
    net::SocketAddr,
    sync::{Arc, Mutex, Once},
    time::Duration,
};

use bytes::{Buf, BufMut, Bytes};
use flate2::{Compression, write::GzEncoder};
use opentelemetry_proto::tonic::{
    collector::{logs::v1::ExportLogsServiceRequest, trace::v1::ExportTraceServiceRequest},
    common::v1::{AnyValue, KeyValue, any_value::Value},
    logs::v1::{LogRecord, ResourceLogs, ScopeLogs},
    trace::v1::{ResourceSpans, ScopeSpans, Span},
};
use otlp::{Accepted, Addresses, LogSink, Options, Receiver, Refusal, TraceSink, wire};
use prost::Message;
use telemetry::metrics::{MetricsHandle, RecorderBuilder};
use tokio::runtime::Runtime;
use tonic::{
    Status,
    codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::tokio_stream::Stream,
    transport::Endpoint,
};

pub(crate) const TRACE_EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
pub(crate) const LOGS_EXPORT: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
pub(crate) const PROTOBUF: &str = "application/x-protobuf";
pub(crate) const JSON: &str = "application/json";

/// Longest wait for an answer that must come.
const DEADLINE: Duration = Duration::from_secs(30);

/// Remembers the requests that it got, and answers as it was told.
pub(crate) struct Sink {
    pub requests: Mutex<Vec<Bytes>>,
    pub answer: Mutex<Result<Accepted, Refusal>>,
}

struct Ignore;

pub(crate) struct Harness {
    pub runtime: Runtime,
    pub receiver: Option<Receiver>,
    pub addresses: Addresses,
    pub traces: Arc<Sink>,
    pub logs: Arc<Sink>,
    metrics: MetricsHandle,
}

/// What a server said over HTTP.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: u16,
    pub content_type: String,
    pub retry_after: Option<String>,
    pub body: Bytes,
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct RpcStatus {
    #[prost(int32, tag = "1")]
    pub code: i32,
    #[prost(string, tag = "2")]
    pub message: String,
    #[prost(message, repeated, tag = "3")]
    pub details: Vec<Detail>,
}

/// An `Any` that holds a `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Detail {
    #[prost(string, tag = "1")]
    pub type_url: String,
    #[prost(message, optional, tag = "2")]
    pub retry_info: Option<RetryInfo>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    pub delay: Option<Delay>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Delay {
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

impl Sink {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            requests: Mutex::default(),
            answer: Mutex::new(Ok(Accepted::default())),
        })
    }

    fn take(&self, request: Bytes) -> Result<Accepted, Refusal> {
        let answer = self.answer.lock().unwrap().clone();
        if answer.is_ok() {
            self.requests.lock().unwrap().push(request);
        }
        answer
    }

    pub(crate) fn answers(&self, answer: Result<Accepted, Refusal>) {
        *self.answer.lock().unwrap() = answer;
    }

    /// The requests so far, forgotten with that.
    pub(crate) fn requests(&self) -> Vec<Bytes> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }
}

impl<'a> wire::Visit<'a> for Ignore {
    fn resource(&mut self, _: wire::Resource<'a>) {}
    fn scope(&mut self, _: wire::Scope<'a>) {}
    fn span(&mut self, _: wire::Span<'a>) {}
}

impl TraceSink for Sink {
    fn accept(&self, request: Bytes) -> Result<Accepted, Refusal> {
        wire::walk(&request, &mut Ignore).map_err(|error| Refusal::Malformed(error.to_string()))?;
        self.take(request)
    }
}

impl LogSink for Sink {
    fn accept(&self, request: Bytes) -> Result<Accepted, Refusal> {
        self.take(request)
    }
}

impl Harness {
    pub(crate) fn start() -> Self {
        Self::with(|_| ())
    }

    /// With changed options. Ports are free ones in any case.
    pub(crate) fn with(change: impl FnOnce(&mut Options)) -> Self {
        let mut options = Options {
            grpc: ([127, 0, 0, 1], 0).into(),
            http: ([127, 0, 0, 1], 0).into(),
            ..Options::default()
        };
        change(&mut options);
        let (traces, logs) = (Sink::new(), Sink::new());
        let runtime = Runtime::new().unwrap();
        let recorder = RecorderBuilder::new("test").build().unwrap();
        let receiver = metrics::with_local_recorder(&recorder, || {
            let logs: Arc<dyn LogSink> = Arc::clone(&logs) as _;
            runtime.block_on(Receiver::bind(
                options,
                Arc::clone(&traces) as _,
                Some(logs),
            ))
        });
        let receiver = receiver.unwrap();
        Self {
            addresses: receiver.addresses(),
            receiver: Some(receiver),
            runtime,
            traces,
            logs,
            metrics: recorder.handle(),
        }
    }

    pub(crate) fn post(&self, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
        self.runtime
            .block_on(post(self.addresses.http, "POST", path, headers, body))
    }

    pub(crate) fn call(&self, path: &'static str, message: Vec<u8>) -> Result<Bytes, Status> {
        self.runtime
            .block_on(call(self.addresses.grpc, path, message, None))
    }

    /// A counter of this receiver.
    pub(crate) fn count(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let page = self.metrics.render(None).body;
        let is_meant = |line: &&str| {
            line.starts_with(&format!("{name}{{"))
                && labels
                    .iter()
                    .all(|(label, value)| line.contains(&format!("{label}=\"{value}\"")))
        };
        let lines: Vec<_> = page.lines().filter(is_meant).collect();
        let [line] = lines[..] else {
            panic!("one sample of {name}{labels:?} is expected in {page}")
        };
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    /// It still takes what is right, over both transports.
    pub(crate) fn assert_healthy(&self) {
        self.traces.requests();
        let request = request(&[span(1)]).encode_to_vec();
        assert_eq!(
            self.post("/v1/traces", &[("content-type", PROTOBUF)], request.clone())
                .status,
            200
        );
        assert_eq!(
            self.call(TRACE_EXPORT, request.clone()).unwrap(),
            Bytes::new()
        );
        assert_eq!(self.traces.requests(), [request.clone(), request]);
    }
}

/// One request over HTTP, on a connection of its own.
pub(crate) async fn post(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> Answer {
    static CRYPTOGRAPHY: Once = Once::new();
    // The client wants one, although nothing is encrypted here.
    CRYPTOGRAPHY.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(DEADLINE)
        .build()
        .unwrap();
    let url = format!("http://{address}{path}");
    let mut request = client.request(method.parse().unwrap(), url).body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await.unwrap();
    let header = |name| Some(response.headers().get(name)?.to_str().unwrap().to_owned());
    Answer {
        status: response.status().as_u16(),
        content_type: header("content-type").unwrap_or_default(),
        retry_after: header("retry-after"),
        body: response.bytes().await.unwrap(),
    }
}

/// One unary call with an encoded message, on a connection of its own.
pub(crate) async fn call(
    address: SocketAddr,
    path: &'static str,
    message: Vec<u8>,
    compression: Option<CompressionEncoding>,
) -> Result<Bytes, Status> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .unwrap()
        .timeout(DEADLINE);
    let mut client = tonic::client::Grpc::new(endpoint.connect().await.unwrap());
    if let Some(encoding) = compression {
        // The Collector compresses its answer as the request was.
        client = client.send_compressed(encoding).accept_compressed(encoding);
    }
    client.ready().await.unwrap();
    let request = tonic::Request::new(Bytes::from(message));
    let path = http::uri::PathAndQuery::from_static(path);
    client
        .unary(request, path, Raw)
        .await
        .map(tonic::Response::into_inner)
}

/// A call whose message comes from a stream.
pub(crate) async fn pending_call(
    address: SocketAddr,
    path: &'static str,
    messages: impl Stream<Item = Bytes> + Send + 'static,
) -> Result<Bytes, Status> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let mut client = tonic::client::Grpc::new(endpoint.connect().await.unwrap());
    client.ready().await.unwrap();
    let path = http::uri::PathAndQuery::from_static(path);
    let response = client
        .client_streaming(tonic::Request::new(messages), path, Raw)
        .await;
    response.map(tonic::Response::into_inner)
}

/// Messages as bytes.
#[derive(Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, message: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(message.copy_to_bytes(message.remaining())))
    }
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn attribute(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(Value::StringValue(value.to_owned())),
        }),
        ..KeyValue::default()
    }
}

pub(crate) fn span(number: u8) -> Span {
    Span {
        trace_id: vec![number; 16],
        span_id: vec![number; 8],
        name: format!("span {number}"),
        start_time_unix_nano: 1_780_000_000_000_000_000,
        end_time_unix_nano: 1_780_000_000_001_000_000,
        ..Span::default()
    }
}

pub(crate) fn request(spans: &[Span]) -> ExportTraceServiceRequest {
    let scope_spans = ScopeSpans {
        spans: spans.to_vec(),
        ..ScopeSpans::default()
    };
    let resource_spans = ResourceSpans {
        scope_spans: vec![scope_spans],
        ..ResourceSpans::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![resource_spans],
    }
}

pub(crate) fn log_request(records: usize) -> ExportLogsServiceRequest {
    let record = LogRecord {
        time_unix_nano: 7,
        ..LogRecord::default()
    };
    let scope_logs = ScopeLogs {
        log_records: vec![record; records],
        ..ScopeLogs::default()
    };
    let resource_logs = ResourceLogs {
        scope_logs: vec![scope_logs],
        ..ResourceLogs::default()
    };
    ExportLogsServiceRequest {
        resource_logs: vec![resource_logs],
    }
}
