//! OTLP over gRPC: the `Export` of the trace and the logs service. Messages pass as they are, undecoded.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, BufMut, Bytes};
use http::{HeaderValue, Request, StatusCode, header::CONTENT_TYPE};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{
    Code, Status,
    codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder},
    server::{Grpc, UnaryService},
};

use super::{
    budget::Share,
    connections::{self, Answer, Protocol},
    counts::{Outcome, Transport},
    failure::Failure,
    intake::{self, Intake, Signal},
};

/// Serves until `stop`.
pub(super) async fn serve(listener: TcpListener, intake: Arc<Intake>, stop: CancellationToken) {
    let headers_timeout = intake.options.headers_timeout;
    let service = move |request| answer(Arc::clone(&intake), request);
    connections::serve(listener, Protocol::Http2, headers_timeout, service, stop).await;
}

async fn answer(intake: Arc<Intake>, request: Request<Incoming>) -> Answer {
    let content_type = request
        .headers()
        .get(CONTENT_TYPE)
        .map_or(&[][..], HeaderValue::as_bytes);
    if !content_type.starts_with(b"application/grpc") {
        intake.counts.request(Transport::Grpc, Outcome::Unsupported);
        let mut response = Answer::default();
        *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return response;
    }
    let response = match route(&intake, request.uri().path()) {
        Ok(signal) => export(&intake, signal, request).await,
        Err(status) => status.into_http(),
    };
    let status = Status::from_header_map(response.headers());
    let code = status.as_ref().map_or(Code::Ok, Status::code);
    intake.counts.request(Transport::Grpc, outcome(code));
    match (code, status) {
        // Tonic's code for a message over the limit is one that senders may try again; the one of gRPC itself is not.
        (Code::OutOfRange, Some(status)) => {
            Status::resource_exhausted(status.message()).into_http()
        }
        _ => response,
    }
}

fn route(intake: &Intake, path: &str) -> Result<Signal, Status> {
    const TRACES: &str = "opentelemetry.proto.collector.trace.v1.TraceService";
    const LOGS: &str = "opentelemetry.proto.collector.logs.v1.LogsService";
    let (service, method) = path
        .trim_start_matches('/')
        .split_once('/')
        .unwrap_or_default();
    let signal = match service {
        TRACES => Signal::Traces,
        LOGS if intake.takes(Signal::Logs) => Signal::Logs,
        _ => return Err(Status::unimplemented(format!("unknown service {service}"))),
    };
    if method == "Export" {
        Ok(signal)
    } else {
        Err(Status::unimplemented(format!(
            "unknown method {method} for service {service}"
        )))
    }
}

async fn export(intake: &Arc<Intake>, signal: Signal, request: Request<Incoming>) -> Answer {
    let share = match intake.budget.share() {
        Ok(share) => share,
        Err(failure) => return failure.grpc_status().into_http(),
    };
    let request = request.map(|body| Metered {
        body,
        share,
        bytes: 0,
    });
    let mut grpc = Grpc::new(RawCodec)
        .accept_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(intake.options.grpc_request_bytes_max);
    let export = Export {
        intake: Arc::clone(intake),
        signal,
    };
    let answer =
        tokio::time::timeout(intake.options.body_timeout, grpc.unary(export, request)).await;
    answer.unwrap_or_else(|_| Failure::Timeout.grpc_status().into_http())
}

fn outcome(code: Code) -> Outcome {
    match code {
        Code::Ok => Outcome::Accepted,
        Code::Unavailable => Outcome::Overloaded,
        Code::OutOfRange | Code::ResourceExhausted => Outcome::TooLarge,
        Code::Unimplemented => Outcome::Unsupported,
        Code::DeadlineExceeded => Outcome::Timeout,
        Code::Cancelled | Code::Unknown => Outcome::BrokenOff,
        _ => Outcome::Malformed,
    }
}

struct Export {
    intake: Arc<Intake>,
    signal: Signal,
}

impl UnaryService<Bytes> for Export {
    type Response = Bytes;
    type Future = std::future::Ready<Result<tonic::Response<Bytes>, Status>>;

    fn call(&mut self, request: tonic::Request<Bytes>) -> Self::Future {
        let result = self
            .intake
            .accept(Transport::Grpc, self.signal, request.into_inner());
        let response =
            result.map(|accepted| tonic::Response::new(intake::response(&accepted).into()));
        std::future::ready(response.map_err(|failure| failure.grpc_status()))
    }
}

/// A body that takes its bytes from the budget as they come; tonic keeps them until the message is whole, and gives them on
/// when the body is dropped.
struct Metered {
    body: Incoming,
    share: Share,
    bytes: usize,
}

impl Body for Metered {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(context)) else {
            return Poll::Ready(None);
        };
        let frame = frame.map_err(|_| Status::cancelled(Failure::BrokenOff.to_string()));
        let frame = frame.and_then(|frame| {
            self.bytes += frame.data_ref().map_or(0, Bytes::len);
            let bytes = self.bytes;
            self.share
                .grow(bytes)
                .map_err(|failure| failure.grpc_status())?;
            Ok(frame)
        });
        Poll::Ready(Some(frame))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Hands messages through.
#[derive(Clone, Copy, Debug, Default)]
struct RawCodec;

impl Codec for RawCodec {
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

impl Encoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(message);
        Ok(())
    }
}

impl Decoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, message: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(message.copy_to_bytes(message.remaining())))
    }
}
