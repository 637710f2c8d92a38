//! DynamoDB and SQS clients: instrumented, with faults, within time, for real AWS or any endpoint that speaks its protocols.
//!
//! `AWS_ENDPOINT_URL`, `AWS_REGION`, `AWS_ACCESS_KEY_ID`, … mean what they mean to every AWS tool.

use std::{env, time::Duration};

use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_credential_types::Credentials;
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use telemetry::aws::Interceptor;

use crate::{Process, faults::FaultyClient};

/// One attempt may take this long to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// One attempt. Longer than the delays that scenarios inject and want to see pass.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
/// All attempts together.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(12);
const ATTEMPTS_MAX: u32 = 3;
/// Pause before the first further attempt, doubled after it.
const BACKOFF_INITIAL: Duration = Duration::from_millis(50);
/// Where we are when nobody says.
const REGION_DEFAULT: &str = "us-east-1";
/// Endpoints other than AWS's own: for all services, and for one of them, which counts more.
const ENDPOINT: &str = "AWS_ENDPOINT_URL";
const SERVICE_ENDPOINTS: [&str; 2] = ["AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_SQS"];
const ACCESS_KEY: &str = "AWS_ACCESS_KEY_ID";
/// With any of these somebody has said where credentials come from. A private endpoint of real AWS takes no others.
const CREDENTIAL_SOURCES: &[&str] = &[
    ACCESS_KEY,
    "AWS_PROFILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
];
/// With any of these somebody has said where we are.
const REGION_SOURCES: &[&str] = &[
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_PROFILE",
    "AWS_CONFIG_FILE",
];

/// The clients of one process.
#[derive(Debug, Clone)]
pub struct Clients {
    pub dynamodb: aws_sdk_dynamodb::Client,
    pub sqs: aws_sdk_sqs::Client,
}

/// Whether an endpoint other than AWS's own is set: a development system, where tables and queues may be created.
pub fn has_endpoint() -> bool {
    has_any(&[ENDPOINT]) || has_any(&SERVICE_ENDPOINTS)
}

/// The clients, by the environment's settings. Nothing is sent yet.
pub async fn clients(process: &Process) -> Clients {
    clients_at(process, None).await
}

/// The clients, for this endpoint instead of the environment's.
pub async fn clients_at(process: &Process, endpoint: Option<&str>) -> Clients {
    let shared = shared_config(process, endpoint).await;
    let interceptor = Interceptor::new();
    let dynamodb = aws_sdk_dynamodb::config::Builder::from(&shared)
        .interceptor(interceptor.clone())
        .build();
    // A receive that waits for messages is given its own time limits by `store`.
    let sqs = aws_sdk_sqs::config::Builder::from(&shared)
        .interceptor(interceptor)
        .build();
    Clients {
        dynamodb: aws_sdk_dynamodb::Client::from_conf(dynamodb),
        sqs: aws_sdk_sqs::Client::from_conf(sqs),
    }
}

async fn shared_config(process: &Process, endpoint: Option<&str>) -> SdkConfig {
    let client = FaultyClient {
        inner: http_client(endpoint),
        faults: process.faults.clone(),
    };
    let retry = RetryConfig::standard()
        .with_max_attempts(ATTEMPTS_MAX)
        .with_initial_backoff(BACKOFF_INITIAL);
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(SharedHttpClient::new(client))
        .retry_config(retry)
        .timeout_config(timeouts());
    if let Some(endpoint) = endpoint {
        loader = loader.endpoint_url(endpoint);
    }
    let is_local = endpoint.is_some() || has_endpoint();
    if is_local && !has_any(REGION_SOURCES) {
        // Asking the machine's metadata service would take seconds where there is none.
        loader = loader.region(Region::new(REGION_DEFAULT));
    }
    // An endpoint of one's own usually takes any key; asking for one would only be in the way.
    if is_local && !has_any(CREDENTIAL_SOURCES) {
        loader =
            loader.credentials_provider(Credentials::new("local", "local", None, None, "static"));
    }
    let loaded = loader.load().await;
    match loaded.region() {
        Some(_) => loaded,
        None => loaded
            .into_builder()
            .region(Region::new(REGION_DEFAULT))
            .build(),
    }
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(OPERATION_TIMEOUT)
        .build()
}

/// TLS with ring and the system's roots, unless nothing is reached by it: then the roots need not be read.
fn http_client(endpoint: Option<&str>) -> SharedHttpClient {
    // A profile, a role or a token is exchanged for credentials at AWS.
    let are_credentials_here = !has_any(CREDENTIAL_SOURCES) || has_any(&[ACCESS_KEY]);
    if are_credentials_here
        && SERVICE_ENDPOINTS
            .iter()
            .all(|name| is_plain(endpoint, name))
    {
        return Builder::new().build_http();
    }
    Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https()
}

/// Whether the service is reached by plain HTTP. The one given beats the service's own variable beats that of all.
fn is_plain(given: Option<&str>, service: &str) -> bool {
    let url = given.map(str::to_owned);
    let url = url
        .or_else(|| variable(service))
        .or_else(|| variable(ENDPOINT));
    url.is_some_and(|url| url.starts_with("http://"))
}

fn has_any(names: &[&str]) -> bool {
    names.iter().any(|name| variable(name).is_some())
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
