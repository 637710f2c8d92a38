//! An OTLP/HTTP receiver on a loopback port that keeps spans in memory and fails on demand.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ::http::header::{CONNECTION, CONTENT_TYPE};
use ::http::{HeaderMap, HeaderValue, StatusCode};
use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::serve::Listener;
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::span::{self, Span};

/// Largest request, as the Collector's own receiver has it.
const REQUEST_BYTES_MAX: usize = 20 << 20;

/// Pause between attempts to take the port again after [`Answer::Refuse`].
const BIND_PAUSE: Duration = Duration::from_millis(10);

const PROTOBUF: &str = "application/x-protobuf";

/// How the sink treats requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// Keep the spans and say so.
    Accept,
    /// The same, after this time.
    AcceptAfter(Duration),
    /// Keep the spans, but claim that this many of each request were rejected.
    Reject(u16),
    /// Answer with this status, keep nothing.
    Status(u16),
    /// Keep nothing and do not answer until told otherwise.
    Hang,
    /// Listen no more: new connections are refused, open ones get 503.
    Refuse,
}

/// A collector for tests. Dropping it stops it.
///
/// ```
/// use telemetry::testing::OtlpSink;
///
/// let sink = OtlpSink::start()?;
/// // Give sink.endpoint() to the program under test as OTEL_EXPORTER_OTLP_ENDPOINT, then:
/// # if false {
/// let spans = sink.wait_for(std::time::Duration::from_secs(10), |spans| {
///     spans.iter().any(|span| span.service() == "gateway" && span.name == "GET /v1/tasks")
/// })?;
/// # }
/// # assert_eq!(sink.spans(), []);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct OtlpSink {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

/// [`OtlpSink::wait_for`] waited in vain.
#[derive(Debug)]
#[non_exhaustive]
pub struct Unmet {
    /// What had arrived by then.
    pub spans: Vec<Span>,
}

#[derive(Debug)]
struct Shared {
    answer: watch::Sender<Answer>,
    received: Mutex<Received>,
    arrived: Condvar,
}

#[derive(Debug, Default)]
struct Received {
    spans: Vec<Span>,
    requests: u64,
}

impl OtlpSink {
    /// A sink on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When the system has no port or thread left.
    pub fn start() -> io::Result<Self> {
        Self::start_on(0)
    }

    /// A sink on this port of 127.0.0.1.
    ///
    /// # Errors
    /// When the port is taken, or the system has no thread left.
    pub fn start_on(port: u16) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, stopped) = watch::channel(false);
        let shared = Arc::new(Shared {
            answer: watch::Sender::new(Answer::Accept),
            received: Mutex::default(),
            arrived: Condvar::new(),
        });
        let served = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("otlp-sink".to_owned())
            .spawn(move || runtime.block_on(serve(served, listener, address, stopped)))?;
        Ok(Self {
            address,
            shared,
            stop,
            thread: Some(thread),
        })
    }

    /// Base URL, for `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How requests are treated from now on, those that hang included.
    pub fn answer(&self, answer: Answer) {
        self.shared.answer.send_replace(answer);
    }

    /// Everything kept so far, in the order of arrival.
    pub fn spans(&self) -> Vec<Span> {
        self.shared.lock().spans.clone()
    }

    /// Everything kept so far, and forgets it.
    pub fn take(&self) -> Vec<Span> {
        std::mem::take(&mut self.shared.lock().spans)
    }

    /// Requests so far, however they were answered.
    pub fn requests(&self) -> u64 {
        self.shared.lock().requests
    }

    /// Waits until `condition` holds for what is kept, and returns that. Blocks the thread: in a test on a runtime,
    /// call it inside `spawn_blocking`.
    ///
    /// # Errors
    /// [`Unmet`], when it does not hold within `timeout`.
    pub fn wait_for(
        &self,
        timeout: Duration,
        condition: impl Fn(&[Span]) -> bool,
    ) -> Result<Vec<Span>, Unmet> {
        self.wait_until(timeout, |received| condition(&received.spans))
    }

    /// Waits until this many requests came, however they were answered.
    ///
    /// # Errors
    /// [`Unmet`], when they do not come within `timeout`.
    pub fn wait_for_requests(&self, timeout: Duration, requests: u64) -> Result<Vec<Span>, Unmet> {
        self.wait_until(timeout, |received| received.requests >= requests)
    }

    fn wait_until(
        &self,
        timeout: Duration,
        condition: impl Fn(&Received) -> bool,
    ) -> Result<Vec<Span>, Unmet> {
        let end = Instant::now() + timeout;
        let mut received = self.shared.lock();
        while !condition(&received) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let spans = received.spans.clone();
                return Err(Unmet { spans });
            }
            let waited = self.shared.arrived.wait_timeout(received, left);
            received = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(received.spans.clone())
    }
}

impl Drop for OtlpSink {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            // A panic there was the test's to see by what did not arrive.
            let _ = thread.join();
        }
    }
}

impl fmt::Display for Unmet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "what was waited for did not arrive, but {} spans:",
            self.spans.len()
        )?;
        for span in &self.spans {
            write!(formatter, " {}/{:?}", span.service(), span.name)?;
        }
        Ok(())
    }
}

impl std::error::Error for Unmet {}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Received> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, spans: Vec<Span>) {
        self.lock().spans.extend(spans);
        self.arrived.notify_all();
    }
}

async fn serve(
    shared: Arc<Shared>,
    listener: std::net::TcpListener,
    address: SocketAddr,
    mut stopped: watch::Receiver<bool>,
) {
    let Ok(listener) = TcpListener::from_std(listener) else {
        return;
    };
    let door = Door {
        listener: Some(listener),
        address,
        answer: shared.answer.subscribe(),
    };
    let app = Router::new()
        .route("/v1/traces", post(receive))
        .layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX))
        .with_state(shared);
    // Stopping drops the server and with it every connection, also those that hang.
    tokio::select! {
        _ = axum::serve(door, app).into_future() => {}
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
}

async fn receive(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    shared.lock().requests += 1;
    shared.arrived.notify_all();
    if headers
        .get(CONTENT_TYPE)
        .is_none_or(|value| value != PROTOBUF)
    {
        return StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response();
    }
    let Ok(request) = ExportTraceServiceRequest::decode(body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let mut answer = shared.answer.subscribe();
    let answer = *match answer.wait_for(|answer| *answer != Answer::Hang).await {
        Ok(answer) => answer,
        Err(_) => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
    };
    let rejected = match answer {
        Answer::Accept | Answer::Hang => 0,
        Answer::AcceptAfter(delay) => {
            tokio::time::sleep(delay).await;
            0
        }
        Answer::Reject(spans) => spans,
        Answer::Status(status) => {
            let status = StatusCode::from_u16(status);
            return status
                .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
                .into_response();
        }
        Answer::Refuse => {
            let close = [(CONNECTION, HeaderValue::from_static("close"))];
            return (StatusCode::SERVICE_UNAVAILABLE, close).into_response();
        }
    };
    shared.keep(span::spans(request));
    accepted(i64::from(rejected))
}

fn accepted(rejected_spans: i64) -> Response {
    let partial_success = (rejected_spans > 0).then(|| ExportTracePartialSuccess {
        rejected_spans,
        error_message: "told to".to_owned(),
    });
    let body = ExportTraceServiceResponse { partial_success }.encode_to_vec();
    ([(CONTENT_TYPE, PROTOBUF)], body).into_response()
}

/// Accepts connections, except while they are to be refused: then there is no listener, as with a collector that is
/// not running.
struct Door {
    listener: Option<TcpListener>,
    address: SocketAddr,
    answer: watch::Receiver<Answer>,
}

impl Listener for Door {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            if *self.answer.borrow_and_update() == Answer::Refuse {
                self.listener = None;
                let _ = self.answer.changed().await;
                continue;
            }
            let Some(listener) = &self.listener else {
                match TcpListener::bind(self.address).await {
                    Ok(listener) => self.listener = Some(listener),
                    Err(_) => tokio::time::sleep(BIND_PAUSE).await,
                }
                continue;
            };
            tokio::select! {
                accepted = listener.accept() => if let Ok(accepted) = accepted { return accepted },
                _ = self.answer.changed() => {}
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}
