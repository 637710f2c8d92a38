//! Loki: log lines of a trace, and all lines of a time.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::{
    http::{Answer, Http, HttpError},
    sampling::TraceId,
};

/// Lines that are asked for at a time; Loki gives no more.
const PAGE_LINES: usize = 5_000;
/// More lines than that are not looked at: a scenario makes a hundredth of them.
const LINES_MAX: usize = 1_000_000;
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

/// A line as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    pub t_ns: i64,
    /// Labels of its stream.
    pub labels: BTreeMap<String, String>,
    pub text: String,
}

#[derive(Deserialize)]
struct Stream {
    #[serde(default)]
    stream: BTreeMap<String, String>,
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

    /// Every line that `selector` selects between two times, Unix milliseconds, oldest first, and the last answer.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn all_lines(
        &self,
        selector: &str,
        (start_ms, end_ms): (i64, i64),
    ) -> Result<(Vec<Line>, Answer), HttpError> {
        let (mut lines, mut start_ns) = (Vec::new(), start_ms.saturating_mul(1_000_000));
        loop {
            let parameters = [
                ("query", selector),
                ("start", &start_ns.to_string()),
                ("end", &format!("{end_ms}000000")),
                ("limit", &PAGE_LINES.to_string()),
                ("direction", "forward"),
            ];
            let url = format!("{}/loki/api/v1/query_range", self.url);
            let answer = self.http.query(&url, &parameters).await?;
            let response: Response = answer.json()?;
            let mut page: Vec<Line> = response
                .data
                .result
                .into_iter()
                .flat_map(Stream::lines)
                .collect();
            let is_last = page.len() < PAGE_LINES;
            page.sort_by_key(|line| line.t_ns);
            // Lines of the last nanosecond come again with the next page.
            let last_ns = page.last().map_or(start_ns, |line| line.t_ns);
            if !is_last && last_ns > start_ns {
                page.retain(|line| line.t_ns < last_ns);
            }
            lines.append(&mut page);
            if is_last || last_ns == start_ns || lines.len() >= LINES_MAX {
                return Ok((lines, answer));
            }
            start_ns = last_ns;
        }
    }
}

impl Stream {
    fn lines(self) -> impl Iterator<Item = Line> {
        let labels = self.stream;
        self.values.into_iter().filter_map(move |value| {
            Some(Line {
                t_ns: value.first()?.as_str()?.parse().ok()?,
                labels: labels.clone(),
                text: value.get(1)?.as_str()?.to_owned(),
            })
        })
    }
}
