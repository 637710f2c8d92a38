//! A task-service that answers what it is told and remembers what it was asked.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};

/// A running stub. It ends with its runtime.
#[derive(Clone)]
pub struct Stub {
    pub address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Received {
    pub method: Method,
    pub target: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// What to answer.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: Bytes,
    /// Never answers at all.
    pub hangs: bool,
}

struct Shared {
    reply: Reply,
    received: Vec<Received>,
}

impl Reply {
    pub fn json(status: u16, body: Value) -> Self {
        Self::new(status, "application/json", body.to_string())
    }

    pub fn problem(status: u16, body: Value) -> Self {
        Self::new(status, "application/problem+json", body.to_string())
    }

    pub fn new(status: u16, media_type: &'static str, body: impl Into<Bytes>) -> Self {
        let reply = Self {
            status: StatusCode::from_u16(status).unwrap(),
            headers: Vec::new(),
            body: body.into(),
            hangs: false,
        };
        reply.header("content-type", media_type)
    }

    pub fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        ));
        self
    }

    pub fn hanging() -> Self {
        Self {
            hangs: true,
            ..Self::json(200, json!({}))
        }
    }
}

impl Stub {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Mutex::new(Shared {
            reply: Reply::json(200, json!({"title": "from the task-service"})),
            received: Vec::new(),
        }));
        let app = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, shared }
    }

    pub fn reply(&self, reply: Reply) {
        self.shared.lock().unwrap().reply = reply;
    }

    /// Everything it was asked since it was asked for this last.
    pub fn take(&self) -> Vec<Received> {
        std::mem::take(&mut self.shared.lock().unwrap().received)
    }

    /// The one request it was asked.
    pub fn take_one(&self) -> Received {
        let received = self.take();
        assert_eq!(received.len(), 1, "{received:?}");
        received.into_iter().next().unwrap()
    }
}

async fn answer(State(shared): State<Arc<Mutex<Shared>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let reply = {
        let mut shared = shared.lock().unwrap();
        shared.received.push(Received {
            method: parts.method,
            target: parts.uri.to_string(),
            headers: parts.headers,
            body,
        });
        shared.reply.clone()
    };
    if reply.hangs {
        return std::future::pending().await;
    }
    let mut response = Response::new(Body::from(reply.body));
    *response.status_mut() = reply.status;
    for (name, value) in reply.headers {
        response.headers_mut().append(name, value);
    }
    response
}
