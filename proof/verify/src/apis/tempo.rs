//! Tempo: a trace by its id.

use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    http::{Answer, Http, HttpError},
    sampling::TraceId,
};

/// The code of `STATUS_CODE_ERROR`, by name and by number: Tempo's JSON has the one, OTLP's may have the other.
const ERROR_NAME: &str = "STATUS_CODE_ERROR";
const ERROR_NUMBER: u64 = 2;

/// Kinds of spans by their numbers.
const KINDS: [&str; 6] = ["", "SPAN_KIND_INTERNAL", SERVER, CLIENT, PRODUCER, CONSUMER];
pub const SERVER: &str = "SPAN_KIND_SERVER";
pub const CLIENT: &str = "SPAN_KIND_CLIENT";
pub const PRODUCER: &str = "SPAN_KIND_PRODUCER";
pub const CONSUMER: &str = "SPAN_KIND_CONSUMER";

/// The API at one base URL.
#[derive(Clone, Debug)]
pub struct Tempo {
    http: Http,
    url: String,
}

/// A span, as far as checks look at it.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    pub service: String,
    pub name: String,
    /// Base64, as JSON has it; only compared.
    pub id: String,
    /// Empty at a root.
    pub parent_id: String,
    /// As in OTLP's JSON: `SPAN_KIND_CONSUMER`.
    pub kind: String,
    pub is_error: bool,
    /// Unix nanoseconds.
    pub start_ns: u64,
    pub duration_ms: f64,
    /// Ids of the spans that it links to.
    pub links: Vec<String>,
    /// By name; what is no text is written as JSON.
    pub attributes: Vec<(String, String)>,
}

#[derive(Deserialize)]
struct Trace {
    #[serde(default)]
    batches: Vec<Batch>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Batch {
    resource: Option<Resource>,
    #[serde(default)]
    scope_spans: Vec<ScopeSpans>,
}

#[derive(Deserialize)]
struct Resource {
    #[serde(default)]
    attributes: Vec<Attribute>,
}

#[derive(Deserialize)]
struct ScopeSpans {
    #[serde(default)]
    spans: Vec<Written>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    span_id: String,
    #[serde(default)]
    parent_span_id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    start_time_unix_nano: Value,
    #[serde(default)]
    end_time_unix_nano: Value,
    #[serde(default)]
    attributes: Vec<Attribute>,
    #[serde(default)]
    status: Value,
    #[serde(default)]
    kind: Value,
    #[serde(default)]
    links: Vec<Linked>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Linked {
    #[serde(default)]
    span_id: String,
}

#[derive(Deserialize)]
struct Attribute {
    key: String,
    #[serde(default)]
    value: Value,
}

impl Tempo {
    pub fn new(http: &Http, url: &str) -> Self {
        Self {
            http: http.clone(),
            url: url.to_owned(),
        }
    }

    /// The spans of a trace; `None` if there is no such trace.
    ///
    /// # Errors
    /// No answer, or one that is neither a trace nor 404.
    pub async fn trace(&self, id: TraceId) -> Result<(Option<Vec<Span>>, Answer), HttpError> {
        let url = format!("{}/api/traces/{id}", self.url);
        let answer = self.http.ask(Method::GET, &url, |request| request).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok((None, answer));
        }
        let answer = answer.good()?;
        let trace: Trace = answer.json()?;
        let spans = trace.batches.into_iter().flat_map(Batch::spans).collect();
        Ok((Some(spans), answer))
    }
}

impl Batch {
    fn spans(self) -> Vec<Span> {
        let attributes = self.resource.map_or_else(Vec::new, |r| r.attributes);
        let service = attributes
            .iter()
            .find(|attribute| attribute.key == conventions::resource::SERVICE_NAME)
            .map_or_else(String::new, Attribute::text);
        let spans = self.scope_spans.into_iter().flat_map(|scope| scope.spans);
        spans.map(|span| span.read(&service)).collect()
    }
}

impl Written {
    fn read(self, service: &str) -> Span {
        let code = &self.status["code"];
        let start_ns = nanoseconds(&self.start_time_unix_nano);
        let length_ns = nanoseconds(&self.end_time_unix_nano).saturating_sub(start_ns);
        Span {
            service: service.to_owned(),
            name: self.name,
            id: self.span_id,
            parent_id: self.parent_span_id,
            kind: kind(&self.kind),
            links: self.links.into_iter().map(|link| link.span_id).collect(),
            is_error: code == ERROR_NAME || code.as_u64() == Some(ERROR_NUMBER),
            start_ns,
            duration_ms: length_ns as f64 / 1e6,
            attributes: self
                .attributes
                .iter()
                .map(|attribute| (attribute.key.clone(), attribute.text()))
                .collect(),
        }
    }
}

impl Attribute {
    /// The value in its wrapper, as text.
    fn text(&self) -> String {
        let value = self
            .value
            .as_object()
            .and_then(|value| value.values().next());
        match value {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => String::new(),
        }
    }
}

impl Span {
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let mut own = self.attributes.iter();
        own.find(|(key, _)| key == name).map(|(_, value)| &**value)
    }
}

/// By its name, also where its number stands.
fn kind(value: &Value) -> String {
    match value {
        Value::String(name) => name.clone(),
        other => {
            let number = other
                .as_u64()
                .and_then(|number| usize::try_from(number).ok());
            let name = number.and_then(|number| KINDS.get(number));
            name.copied().unwrap_or_default().to_owned()
        }
    }
}

/// 64-bit numbers are text in JSON.
fn nanoseconds(value: &Value) -> u64 {
    match value {
        Value::String(text) => text.parse().unwrap_or(0),
        other => other.as_u64().unwrap_or(0),
    }
}

#[cfg(test)]
impl Span {
    /// Of the gateway, a millisecond long, a millisecond after the beginning of time.
    pub(crate) fn sample(kind: &str, id: &str, parent_id: &str) -> Self {
        Self {
            service: "gateway".to_owned(),
            name: id.to_owned(),
            id: id.to_owned(),
            parent_id: parent_id.to_owned(),
            kind: kind.to_owned(),
            is_error: false,
            start_ns: 1_000_000,
            duration_ms: 1.0,
            links: Vec::new(),
            attributes: Vec::new(),
        }
    }
}
