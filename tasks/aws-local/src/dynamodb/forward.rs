//! Passes requests on to the engine's HTTP service over kept-alive connections, and refuses what
//! the engine must not be asked for.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderName};
use http::request::Parts;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::Engine;
use crate::answer::{Answer, Refusal};

/// Idle connections kept open to the engine.
const IDLE_MAX: usize = 64;
/// What of a request the engine reads. The rest concerns the client's connection, or its origin.
const ASKED_WITH: [HeaderName; 5] = [
    AUTHORIZATION,
    CONTENT_TYPE,
    DATE,
    HeaderName::from_static("x-amz-date"),
    HeaderName::from_static("x-amz-target"),
];
/// What of a response the client gets. The rest names the engine.
const ANSWERED_WITH: [HeaderName; 3] = [
    CONTENT_TYPE,
    HeaderName::from_static("x-amzn-requestid"),
    HeaderName::from_static("x-amz-crc32"),
];

type Connection = SendRequest<Full<Bytes>>;

/// Why a request got no answer.
#[derive(Debug, thiserror::Error)]
enum Unanswered {
    #[error("connecting to the DynamoDB engine: {0}")]
    Connect(std::io::Error),
    #[error("asking the DynamoDB engine: {0}")]
    Http(#[from] hyper::Error),
}

/// The open connections nobody uses at the moment.
#[derive(Debug)]
pub(super) struct Connections {
    engine: SocketAddr,
    idle: Mutex<Vec<Connection>>,
}

impl Engine {
    /// Answers one operation.
    pub(crate) async fn call(
        &self,
        operation: &str,
        parts: &Parts,
        body: Bytes,
    ) -> Result<Answer, Refusal> {
        if matches!(operation, "CreateTable" | "UpdateTable") && enables_stream(&body) {
            let message =
                "this endpoint has no streams: leave StreamSpecification out, or disable it";
            return Err(Refusal::new(
                "com.amazonaws.dynamodb.v20120810#ValidationException",
                message,
            ));
        }
        match self.connections.send(asked(parts, body)).await {
            Ok(response) => Ok(self.passed_on(response)),
            Err(error) => {
                self.failures.failed("DynamoDB", &error);
                Err(Refusal::internal())
            }
        }
    }

    fn passed_on(&self, response: Response<Bytes>) -> Answer {
        if response.status().is_server_error() {
            self.failures
                .failed("DynamoDB", &String::from_utf8_lossy(response.body()));
        } else if response.status().is_success() {
            self.failures.succeeded("DynamoDB");
        }
        let (head, body) = response.into_parts();
        let mut answer = Response::new(Full::new(body));
        *answer.status_mut() = head.status;
        *answer.headers_mut() = picked(&head.headers, &ANSWERED_WITH);
        answer
    }
}

fn asked(parts: &Parts, body: Bytes) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = parts.method.clone();
    // The host stays out; the query may hold the signature.
    *request.uri_mut() = parts
        .uri
        .path_and_query()
        .cloned()
        .map(Uri::from)
        .unwrap_or_default();
    *request.headers_mut() = picked(&parts.headers, &ASKED_WITH);
    request
}

fn picked(headers: &HeaderMap, names: &[HeaderName]) -> HeaderMap {
    let pick = |name| {
        headers
            .get(name)
            .map(|value| (HeaderName::clone(name), value.clone()))
    };
    names.iter().filter_map(pick).collect()
}

impl Connections {
    pub(super) fn new(engine: SocketAddr) -> Connections {
        Connections {
            engine,
            idle: Mutex::default(),
        }
    }

    /// Lets go of the idle connections, so that the engine need not wait for them.
    pub(super) fn close(&self) {
        self.idle().clear();
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, Unanswered> {
        let mut connection = self.take().await?;
        let (head, body) = connection.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        self.put_back(connection);
        Ok(Response::from_parts(head, body))
    }

    async fn take(&self) -> Result<Connection, Unanswered> {
        while let Some(mut connection) = self.pop() {
            // It is not ready any more if the engine has closed it.
            if connection.ready().await.is_ok() {
                return Ok(connection);
            }
        }
        let stream = TcpStream::connect(self.engine)
            .await
            .map_err(Unanswered::Connect)?;
        stream.set_nodelay(true).map_err(Unanswered::Connect)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // Ends when the sender is dropped; an error in it reaches the request that was on it.
        tokio::spawn(connection);
        Ok(sender)
    }

    fn pop(&self) -> Option<Connection> {
        self.idle().pop()
    }

    fn put_back(&self, connection: Connection) {
        let mut idle = self.idle();
        if idle.len() < IDLE_MAX {
            idle.push(connection);
        }
    }
}

/// Streams would cost each write a scan over all former ones. What is no JSON is the engine's to
/// refuse.
fn enables_stream(body: &[u8]) -> bool {
    let request: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let specification = &request["StreamSpecification"];
    !specification.is_null() && specification["StreamEnabled"] != false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_stream_specification_that_is_not_off_is_refused() {
        for (specification, enables) in [
            (r#"{"StreamEnabled":true}"#, true),
            (r#"{"stream_enabled":true}"#, true),
            ("[1]", true),
            (r#"{"StreamEnabled":false}"#, false),
            ("null", false),
        ] {
            let body = format!(r#"{{"TableName":"t","StreamSpecification":{specification}}}"#);
            assert_eq!(enables_stream(body.as_bytes()), enables, "{specification}");
        }
        assert!(!enables_stream(b"{}"));
        assert!(!enables_stream(b"not json"));
    }
}
