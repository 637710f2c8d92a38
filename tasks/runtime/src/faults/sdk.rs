//! Faults on DynamoDB and SQS: felt below the SDK, as if the service or the network did it, so that retries, spans,
//! metrics and log lines see what they would see.

use aws_smithy_runtime_api::client::{
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
        SharedHttpConnector,
    },
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};
use aws_smithy_types::body::SdkBody;

use super::{Effect, Faults};

const TARGET_HEADER: &str = "x-amz-target";
/// The error word that means that there is no connection.
const UNAVAILABLE: &str = "unavailable";
/// Error codes that AWS answers with 5xx; every other one comes with 400.
const SERVER_ERRORS: &[(&str, u16)] = &[
    ("InternalServerError", 500),
    ("InternalError", 500),
    ("InternalFailure", 500),
    ("ServiceUnavailable", 503),
];

/// An HTTP client whose connections feel the faults.
#[derive(Debug)]
pub(crate) struct FaultyClient {
    pub(crate) inner: SharedHttpClient,
    pub(crate) faults: Faults,
}

#[derive(Debug)]
struct FaultyConnector {
    inner: SharedHttpConnector,
    faults: Faults,
}

impl HttpClient for FaultyClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(FaultyConnector {
            inner,
            faults: self.faults.clone(),
        })
    }
}

impl HttpConnector for FaultyConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get(TARGET_HEADER).unwrap_or_default();
        let Some(effect) = self.faults.hit(|fault| fault.is_sdk(target)) else {
            return self.inner.call(request);
        };
        let inner = self.inner.clone();
        HttpConnectorFuture::new(async move {
            effect.wait().await;
            match &effect {
                Effect {
                    error: Some(error), ..
                } if error == UNAVAILABLE => Err(refused()),
                Effect {
                    error: Some(code), ..
                } => Ok(answer(code)),
                Effect { error: None, .. } => inner.call(request).await,
            }
        })
    }
}

fn refused() -> ConnectorError {
    ConnectorError::io(std::io::Error::from(std::io::ErrorKind::ConnectionRefused).into())
}

fn answer(code: &str) -> HttpResponse {
    let known = SERVER_ERRORS.iter().find(|(known, _)| *known == code);
    let status = known.map_or(400, |(_, status)| *status);
    let body = serde_json::json!({"__type": code, "message": "an injected fault"}).to_string();
    let mut response = HttpResponse::new(
        status.try_into().expect("400, 500 and 503 are statuses"),
        SdkBody::from(body),
    );
    response
        .headers_mut()
        .insert("x-amzn-requestid", "injected-fault");
    response
        .headers_mut()
        .insert("content-type", "application/x-amz-json-1.0");
    response
}
