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
/// The longest a receive waits for messages, which its timeouts must not cut off.
const LONG_POLL_MAX: Duration = Duration::from_secs(20);
/// Endpoints other than AWS's own, for all services or for one.
const ENDPOINT: &str = "AWS_ENDPOINT_URL";
const ENDPOINTS: &[&str] = &[
    ENDPOINT,
    "AWS_ENDPOINT_URL_DYNAMODB",
    "AWS_ENDPOINT_URL_SQS",
];

/// The clients of one process.
#[derive(Debug, Clone)]
pub struct Clients {
    pub dynamodb: aws_sdk_dynamodb::Client,
    pub sqs: aws_sdk_sqs::Client,
}

/// Whether an endpoint other than AWS's own is set: a development system, where tables and queues may be created.
pub fn has_endpoint() -> bool {
    ENDPOINTS.iter().any(|name| variable(name).is_some())
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
    let long_poll = timeouts(
        ATTEMPT_TIMEOUT + LONG_POLL_MAX,
        OPERATION_TIMEOUT + LONG_POLL_MAX,
    );
    let sqs = aws_sdk_sqs::config::Builder::from(&shared)
        .timeout_config(long_poll)
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
        .timeout_config(timeouts(ATTEMPT_TIMEOUT, OPERATION_TIMEOUT));
    if let Some(endpoint) = endpoint {
        loader = loader.endpoint_url(endpoint);
    }
    if ["AWS_REGION", "AWS_DEFAULT_REGION"]
        .iter()
        .all(|name| variable(name).is_none())
    {
        loader = loader.region(Region::new(REGION_DEFAULT));
    }
    // An endpoint of one's own usually takes any key; asking for one would only be in the way.
    if (endpoint.is_some() || has_endpoint()) && variable("AWS_ACCESS_KEY_ID").is_none() {
        loader =
            loader.credentials_provider(Credentials::new("local", "local", None, None, "static"));
    }
    loader.load().await
}

fn timeouts(attempt: Duration, operation: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(attempt)
        .operation_timeout(operation)
        .build()
}

/// TLS with ring and the system's roots, unless the endpoint is plain HTTP: then the roots need not be read.
fn http_client(endpoint: Option<&str>) -> SharedHttpClient {
    let endpoint = endpoint.map(str::to_owned).or_else(|| variable(ENDPOINT));
    if endpoint.is_some_and(|url| url.starts_with("http://")) {
        return Builder::new().build_http();
    }
    Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https()
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
