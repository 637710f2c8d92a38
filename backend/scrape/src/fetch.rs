//! Asking a target for its page over HTTP. Bounded in time and bytes; what the page says is read elsewhere.

use std::{
    error::Error,
    io::{self, Read},
    time::Duration,
};

use flate2::read::MultiGzDecoder;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderName};
use reqwest::{Client, Response, StatusCode, redirect::Policy};
use tokio::time::timeout;

use crate::{config::Protocol, target::Target};

/// The longest page where the configuration sets no limit, uncompressed. A million series have about half of it.
const BODY_BYTES_MAX: u64 = 256 << 20;
/// Connections to a target that wait for the next scrape.
const IDLE_PER_TARGET_MAX: usize = 1;
const REDIRECTS_MAX: usize = 10;
const TIMEOUT_HEADER: HeaderName = HeaderName::from_static("x-prometheus-scrape-timeout-seconds");
/// The weight of the best format in `Accept` is one more, in tenths.
const FORMATS: usize = 5;

#[derive(Clone, Debug)]
pub(crate) struct Fetcher(Client);

/// A page as it came.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) content_type: String,
    body: Vec<u8>,
    is_gzip: bool,
    bytes_max: u64,
}

/// Why there is no page. Texts are those of Prometheus where it has one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("Get {url:?}: {reason}")]
    Transport { url: String, reason: String },
    #[error("Get {url:?}: context deadline exceeded")]
    Timeout { url: String },
    #[error("server returned HTTP status {0}")]
    Status(StatusCode),
    #[error("body size limit exceeded")]
    TooLong,
    #[error("body is not gzip: {0}")]
    Gzip(io::Error),
}

/// The HTTP client cannot be made: no cryptography was installed, or no root certificate was found.
#[derive(Debug, thiserror::Error)]
#[error("cannot make an HTTP client for scraping")]
pub struct ClientError(#[source] reqwest::Error);

impl Fetcher {
    pub(crate) fn new() -> Result<Self, ClientError> {
        Client::builder()
            .user_agent(concat!("tripod/", env!("CARGO_PKG_VERSION")))
            .pool_max_idle_per_host(IDLE_PER_TARGET_MAX)
            .no_proxy()
            .redirect(Policy::limited(REDIRECTS_MAX))
            .build()
            .map(Self)
            .map_err(ClientError)
    }

    pub(crate) async fn fetch(&self, target: &Target) -> Result<Fetched, FetchError> {
        let deadline = Duration::from_millis(target.timeout_ms.unsigned_abs());
        match timeout(deadline, self.fetch_page(target, deadline)).await {
            Ok(fetched) => fetched,
            Err(_) => Err(FetchError::Timeout {
                url: target.url.to_string(),
            }),
        }
    }

    async fn fetch_page(&self, target: &Target, deadline: Duration) -> Result<Fetched, FetchError> {
        let failed = |error| FetchError::transport(target, &error);
        let request = self
            .0
            .get(target.url.clone())
            .header(ACCEPT, accept(&target.job.protocols))
            .header(ACCEPT_ENCODING, "gzip")
            .header(TIMEOUT_HEADER, deadline.as_secs_f64().to_string());
        let response = request.send().await.map_err(failed)?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status(response.status()));
        }
        let bytes_max = match target.job.limits.body_bytes {
            0 => BODY_BYTES_MAX,
            limit => limit,
        };
        let header = |name| {
            response
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        let is_gzip = header(CONTENT_ENCODING) == Some("gzip");
        let content_type = header(CONTENT_TYPE).unwrap_or_default().to_owned();
        let body = body(response, bytes_max, target).await?;
        Ok(Fetched {
            content_type,
            body,
            is_gzip,
            bytes_max,
        })
    }
}

impl Fetched {
    /// The page itself. Takes its time for a long one.
    pub(crate) fn into_body(self) -> Result<Vec<u8>, FetchError> {
        if !self.is_gzip {
            return Ok(self.body);
        }
        let mut page = Vec::new();
        MultiGzDecoder::new(self.body.as_slice())
            .take(self.bytes_max)
            .read_to_end(&mut page)
            .map_err(FetchError::Gzip)?;
        if page.len() as u64 >= self.bytes_max {
            Err(FetchError::TooLong)
        } else {
            Ok(page)
        }
    }
}

impl FetchError {
    /// What lies at the bottom of it, as a client that knows only its URL would say it.
    fn transport(target: &Target, error: &reqwest::Error) -> Self {
        let mut cause: &dyn Error = error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        Self::Transport {
            url: target.url.to_string(),
            reason: cause.to_string(),
        }
    }
}

/// Reaching the limit counts as exceeding it, as in Prometheus.
async fn body(
    mut response: Response,
    bytes_max: u64,
    target: &Target,
) -> Result<Vec<u8>, FetchError> {
    let mut body = Vec::new();
    let failed = |error| FetchError::transport(target, &error);
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if (body.len() + chunk.len()) as u64 >= bytes_max {
            return Err(FetchError::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The formats with falling weights, and then anything.
fn accept(protocols: &[Protocol]) -> String {
    let weights = (1..=FORMATS + 1).rev();
    let formats = protocols.iter().map(|protocol| match protocol {
        Protocol::OpenMetrics1_0_0 => {
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8"
        }
        Protocol::OpenMetrics0_0_1 => "application/openmetrics-text;version=0.0.1",
        Protocol::Text1_0_0 => "text/plain;version=1.0.0;escaping=allow-utf-8",
        Protocol::Text0_0_4 => "text/plain;version=0.0.4",
    });
    let weighted = formats
        .chain(["*/*"])
        .zip(weights)
        .map(|(format, weight)| format!("{format};q=0.{weight}"));
    weighted.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openmetrics_is_asked_for_first() {
        let all = [
            Protocol::OpenMetrics1_0_0,
            Protocol::OpenMetrics0_0_1,
            Protocol::Text1_0_0,
            Protocol::Text0_0_4,
        ];
        assert_eq!(
            accept(&all),
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
             application/openmetrics-text;version=0.0.1;q=0.5,\
             text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
        );
        assert_eq!(
            accept(&[Protocol::Text0_0_4]),
            "text/plain;version=0.0.4;q=0.6,*/*;q=0.5"
        );
    }
}
