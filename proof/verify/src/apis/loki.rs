//! Loki: log lines of a trace.

use serde::Deserialize;
use serde_json::Value;

use crate::{
    http::{Answer, Http, HttpError},
    sampling::TraceId,
};

/// More lines than one trace has.
const LIMIT: &str = "1000";

/// The API at one base URL.
#[derive(Clone, Debug)]
pub struct Loki {
    http: Http,
    url: String,
}

#[derive(Deserialize)]
struct Response {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    result: Vec<Stream>,
}

#[derive(Deserialize)]
struct Stream {
    /// The last parts of a value may be missing.
    values: Vec<Vec<Value>>,
}

impl Loki {
    pub fn new(http: &Http, url: &str) -> Self {
        Self {
            http: http.clone(),
            url: url.to_owned(),
        }
    }

    /// The log lines of a trace that `selector` selects, parsed, between two times, Unix milliseconds; oldest first.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn lines(
        &self,
        selector: &str,
        trace_id: TraceId,
        (start_ms, end_ms): (i64, i64),
    ) -> Result<(Vec<Value>, Answer), HttpError> {
        let query = format!("{selector} | trace_id=\"{trace_id}\"");
        let parameters = [
            ("query", query.as_str()),
            ("start", &format!("{start_ms}000000")),
            ("end", &format!("{end_ms}000000")),
            ("limit", LIMIT),
            ("direction", "forward"),
        ];
        let answer = self
            .http
            .query(
                &format!("{}/loki/api/v1/query_range", self.url),
                &parameters,
            )
            .await?;
        let response: Response = answer.json()?;
        let values = response.data.result.into_iter();
        let lines = values
            .flat_map(|stream| stream.values)
            .filter_map(|value| serde_json::from_str(value.get(1)?.as_str()?).ok())
            .collect();
        Ok((lines, answer))
    }
}
