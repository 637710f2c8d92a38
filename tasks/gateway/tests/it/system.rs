//! A gateway, the table with its keys, and a client.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use aws_local::{AwsLocal, Options};
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use gateway::Settings;
use http::{HeaderMap, Method, StatusCode};
use jiff::Timestamp;
use runtime::Faults;
use runtime::server::{self, Until};
use serde_json::Value;
use store::{ApiKey, KeyText, Store};
use tasks_api::TaskId;
use telemetry::testing::capture_async;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::stub::Stub;

/// Longer than anything here takes, also on a loaded machine.
pub const DEADLINE: Duration = Duration::from_secs(30);

pub struct System {
    pub address: SocketAddr,
    pub stub: Stub,
    aws: Option<AwsLocal>,
    /// Of workspace `home`.
    pub key: KeyText,
    client: reqwest::Client,
}

/// What the gateway answered.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl System {
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// With other settings than those of the tests.
    pub async fn start_with(change: impl FnOnce(&mut Settings)) -> Self {
        // `telemetry::init` does this in a process. It is there already in every test but the first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let aws = AwsLocal::bind(
            SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            Options::default(),
        )
        .await
        .unwrap();
        let store = store(aws.addr());
        store.create_table().await.unwrap();
        let key = KeyText::generate().unwrap();
        store
            .put_api_key(&ApiKey::new(
                &key,
                "home".parse().unwrap(),
                Timestamp::now(),
            ))
            .await
            .unwrap();

        let stub = Stub::start().await;
        let mut settings = Settings {
            task_service_url: format!("http://{}", stub.address).parse().unwrap(),
            ..Settings::default()
        };
        change(&mut settings);
        let routes = gateway::routes(&settings, store, Faults::new(false)).unwrap();
        let listener = server::bind(
            SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            "the API",
            "--listen",
        )
        .unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(server::serve(listener, routes, Until::Forever));
        Self {
            address,
            stub,
            aws: Some(aws),
            key,
            client: reqwest::Client::builder()
                .no_proxy()
                .timeout(DEADLINE)
                .build()
                .unwrap(),
        }
    }

    /// Where DynamoDB is.
    pub fn table_address(&self) -> SocketAddr {
        self.aws.as_ref().expect("it was not stopped").addr()
    }

    /// Ends DynamoDB: connections to it are refused from now on.
    pub async fn stop_table(&mut self) {
        self.aws.take().expect("it was not stopped").stop().await;
    }

    /// Begins a request with the key of workspace `home`.
    pub fn request(&self, method: Method, target: &str) -> reqwest::RequestBuilder {
        self.anonymous(method, target)
            .bearer_auth(self.key.reveal())
    }

    /// Begins a request without a key.
    pub fn anonymous(&self, method: Method, target: &str) -> reqwest::RequestBuilder {
        self.client
            .request(method, format!("http://{}{target}", self.address))
    }

    pub fn get(&self, target: &str) -> reqwest::RequestBuilder {
        self.request(Method::GET, target)
    }

    pub fn post(&self, target: &str, body: impl Into<reqwest::Body>) -> reqwest::RequestBuilder {
        let request = self.request(Method::POST, target);
        request
            .header("content-type", "application/json")
            .body(body)
    }

    /// Sends bytes as they are and returns all that comes back until the gateway closes.
    pub async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = tokio::net::TcpStream::connect(self.address).await.unwrap();
        // The gateway may answer and close before everything is sent.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        let _ = tokio::time::timeout(DEADLINE, read)
            .await
            .expect("the gateway closes");
        String::from_utf8(answer).unwrap()
    }
}

impl Answer {
    pub async fn to(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        Self {
            status: response.status(),
            headers: response.headers().clone(),
            text: response.text().await.unwrap(),
        }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The last part of a problem's type, after checking what every problem must have.
    #[track_caller]
    pub fn problem(&self) -> String {
        let body = self.json();
        assert_eq!(
            self.headers["content-type"], "application/problem+json",
            "{self:?}"
        );
        assert_eq!(body["status"], self.status.as_u16(), "{self:?}");
        let trace_id = body["trace_id"].as_str().unwrap_or_default();
        let traceresponse = self.headers["traceresponse"].to_str().unwrap();
        assert_eq!(traceresponse.split('-').nth(1), Some(trace_id), "{self:?}");
        body["type"]
            .as_str()
            .unwrap()
            .strip_prefix("urn:tripod:problem:")
            .unwrap()
            .to_owned()
    }
}

/// Runs a test under telemetry, as a process would: problems name their trace.
pub fn run<F: Future>(test: F) -> F::Output {
    capture_async(test).result
}

pub fn store(dynamodb: SocketAddr) -> Store {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(format!("http://{dynamodb}"))
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::builder().operation_timeout(DEADLINE).build())
        .interceptor(telemetry::aws::Interceptor::new())
        .build();
    Store::new(
        aws_sdk_dynamodb::Client::from_conf(config),
        Settings::default().table,
    )
}

/// A port where nobody listens, and nobody will while this lives.
pub struct ClosedPort(tokio::net::TcpSocket);

impl ClosedPort {
    pub fn reserve() -> Self {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket
            .bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
            .unwrap();
        Self(socket)
    }

    pub fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }
}

/// The path of some task.
pub fn some_task() -> String {
    format!("/v1/tasks/{}", TaskId::new())
}
