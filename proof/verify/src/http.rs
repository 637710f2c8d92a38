//! Asking a system over HTTP, bounded in time and bytes. Every answer is kept as it came: it is evidence.

use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::form_urlencoded;

/// Longer than any query may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// A longer answer is an error.
const ANSWER_BYTES_MAX: usize = 64 << 20;
const IDLE_PER_HOST_MAX: usize = 32;

/// A client of all surfaces.
#[derive(Clone, Debug)]
pub struct Http(Client);

/// What was answered, with what was asked.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Method and URL, decoded so that it can be read.
    pub question: String,
    /// The URL as it was asked.
    pub url: String,
    pub status: StatusCode,
    pub body: Vec<u8>,
}

/// There is no answer, or one of another kind than expected.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error("there is no HTTP client")]
    Client(#[source] reqwest::Error),
    #[error("{question}: no answer")]
    NoAnswer {
        question: String,
        source: reqwest::Error,
    },
    #[error("{question}: answer is longer than {ANSWER_BYTES_MAX} bytes")]
    TooLong { question: String },
    #[error("{question}: status {status}: {text}")]
    Status {
        question: String,
        status: StatusCode,
        text: String,
    },
    #[error("{question}: the answer has nothing at {pointer}")]
    Lacks { question: String, pointer: String },
    #[error("{question}: unexpected answer")]
    Shape {
        question: String,
        source: serde_json::Error,
    },
}

impl Http {
    /// A rustls provider must be installed.
    ///
    /// # Errors
    /// There is no TLS to speak.
    pub fn new() -> Result<Self, HttpError> {
        Client::builder()
            .no_proxy()
            .user_agent(concat!("tripod-verify/", env!("CARGO_PKG_VERSION")))
            .timeout(TIMEOUT)
            .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
            .build()
            .map(Self)
            .map_err(HttpError::Client)
    }

    /// # Errors
    /// No answer, or none that is a success.
    pub async fn get(&self, url: &str) -> Result<Answer, HttpError> {
        self.ask(Method::GET, url, |request| request).await?.good()
    }

    /// A GET with parameters.
    ///
    /// # Errors
    /// No answer, or none that is a success.
    pub async fn query(&self, url: &str, parameters: &[(&str, &str)]) -> Result<Answer, HttpError> {
        let shown = parameters
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect::<Vec<_>>();
        let pairs = parameters.iter();
        let encoded = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(pairs)
            .finish();
        let asked = format!("{url}?{encoded}");
        let mut answer = self.ask(Method::GET, &asked, |request| request).await?;
        answer.question = format!("GET {url}?{}", shown.join("&"));
        answer.good()
    }

    /// # Errors
    /// No answer, or none that is a success.
    pub async fn put(&self, url: &str, body: &Value) -> Result<Answer, HttpError> {
        self.ask(Method::PUT, url, |request| request.json(body))
            .await?
            .good()
    }

    /// # Errors
    /// No answer, or none that is a success.
    pub async fn delete(&self, url: &str) -> Result<Answer, HttpError> {
        self.ask(Method::DELETE, url, |request| request)
            .await?
            .good()
    }

    /// Whatever the status is.
    ///
    /// # Errors
    /// No answer.
    pub async fn ask(
        &self,
        method: Method,
        url: &str,
        build: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<Answer, HttpError> {
        let question = format!("{method} {url}");
        let no_answer = |source| HttpError::NoAnswer {
            question: question.clone(),
            source,
        };
        let request = build(self.0.request(method, url));
        let mut response = request.send().await.map_err(no_answer)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(no_answer)? {
            body.extend_from_slice(&part);
            if body.len() > ANSWER_BYTES_MAX {
                return Err(HttpError::TooLong { question });
            }
        }
        Ok(Answer {
            question,
            url: url.to_owned(),
            status,
            body,
        })
    }
}

impl Answer {
    /// # Errors
    /// The status is none of success.
    pub fn good(self) -> Result<Self, HttpError> {
        if self.status.is_success() {
            return Ok(self);
        }
        Err(HttpError::Status {
            text: self.text(),
            question: self.question,
            status: self.status,
        })
    }

    /// # Errors
    /// It is no JSON of this shape.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, HttpError> {
        serde_json::from_slice(&self.body).map_err(|source| HttpError::Shape {
            question: self.question.clone(),
            source,
        })
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

#[cfg(test)]
impl Answer {
    /// One that says nothing.
    pub(crate) fn empty() -> Self {
        Self {
            question: String::new(),
            url: String::new(),
            status: StatusCode::OK,
            body: Vec::new(),
        }
    }
}
