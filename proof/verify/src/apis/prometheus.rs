//! Prometheus: expressions, alerts, exemplars.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use serde::Deserialize;

use crate::http::{Answer, Http, HttpError};

pub type Labels = BTreeMap<String, String>;

/// The API at one base URL.
#[derive(Clone, Debug)]
pub struct Prometheus {
    http: Http,
    url: String,
}

/// An alert that is pending or fires.
#[derive(Clone, Debug, Deserialize)]
pub struct Alert {
    pub labels: Labels,
    pub state: String,
}

/// An exemplar and the series that has it.
#[derive(Clone, Debug)]
pub struct Exemplar {
    pub series: Labels,
    pub labels: Labels,
    pub value: f64,
}

#[derive(Deserialize)]
struct Response<T> {
    data: T,
}

#[derive(Deserialize)]
struct Vector {
    result: Vec<Sampled>,
}

#[derive(Deserialize)]
struct Sampled {
    metric: Labels,
    value: (f64, String),
}

#[derive(Deserialize)]
struct Matrix {
    result: Vec<Series>,
}

#[derive(Deserialize)]
struct Series {
    values: Vec<(f64, String)>,
}

#[derive(Deserialize)]
struct Alerts {
    alerts: Vec<Alert>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WithExemplars {
    series_labels: Labels,
    exemplars: Vec<Written>,
}

#[derive(Deserialize)]
struct Written {
    labels: Labels,
    value: String,
}

impl Prometheus {
    pub fn new(http: &Http, url: &str) -> Self {
        Self {
            http: http.clone(),
            url: url.to_owned(),
        }
    }

    /// The vector that an expression gives at an instant.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn instant(
        &self,
        expr: &str,
        at_ms: i64,
    ) -> Result<(Vec<(Labels, f64)>, Answer), HttpError> {
        let parameters = [("query", expr), ("time", &seconds(at_ms))];
        let answer = self
            .http
            .query(&format!("{}/api/v1/query", self.url), &parameters)
            .await?;
        let response: Response<Vector> = answer.json()?;
        let vector = response.data.result.into_iter();
        let values = vector
            .map(|sampled| (sampled.metric, number(&sampled.value.1)))
            .collect();
        Ok((values, answer))
    }

    /// The one value that an expression gives at an instant; `None` without any.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn value(&self, expr: &str, at_ms: i64) -> Result<(Option<f64>, Answer), HttpError> {
        let (values, answer) = self.instant(expr, at_ms).await?;
        Ok((values.first().map(|(_, value)| *value), answer))
    }

    /// The largest time between two samples that follow one another in a series, for all series of a selector, over the time
    /// before an instant. `None` without two samples.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn largest_gap(
        &self,
        selector: &str,
        over: Duration,
        at_ms: i64,
    ) -> Result<Option<Duration>, HttpError> {
        let expr = format!("{selector}[{}ms]", over.as_millis());
        let parameters = [("query", expr.as_str()), ("time", &seconds(at_ms))];
        let url = format!("{}/api/v1/query", self.url);
        let answer = self.http.query(&url, &parameters).await?;
        let response: Response<Matrix> = answer.json()?;
        let gaps = response.data.result.iter().flat_map(|series| {
            let pairs = series.values.windows(2);
            pairs.map(|pair| pair[1].0 - pair[0].0)
        });
        let largest = gaps.max_by(f64::total_cmp);
        Ok(largest.map(|gap| Duration::from_secs_f64(gap.max(0.0))))
    }

    /// All alerts that are pending or fire now.
    ///
    /// # Errors
    /// No answer.
    pub async fn alerts(&self) -> Result<(Vec<Alert>, Answer), HttpError> {
        let answer = self
            .http
            .get(&format!("{}/api/v1/alerts", self.url))
            .await?;
        let response: Response<Alerts> = answer.json()?;
        Ok((response.data.alerts, answer))
    }

    /// The exemplars of a selector between two times, Unix milliseconds.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn exemplars(
        &self,
        selector: &str,
        (start_ms, end_ms): (i64, i64),
    ) -> Result<(Vec<Exemplar>, Answer), HttpError> {
        let parameters = [
            ("query", selector),
            ("start", &seconds(start_ms)),
            ("end", &seconds(end_ms)),
        ];
        let answer = self
            .http
            .query(&format!("{}/api/v1/query_exemplars", self.url), &parameters)
            .await?;
        let response: Response<Vec<WithExemplars>> = answer.json()?;
        let exemplars = response.data.into_iter().flat_map(|series| {
            let labels = series.series_labels;
            series.exemplars.into_iter().map(move |written| Exemplar {
                series: labels.clone(),
                labels: written.labels,
                value: number(&written.value),
            })
        });
        Ok((exemplars.collect(), answer))
    }
}

impl Alert {
    pub fn is_firing(&self) -> bool {
        self.state == "firing"
    }

    /// Whether it has this name and all these labels.
    pub fn is(&self, name: &str, labels: &Labels) -> bool {
        let has = |name: &str, value: &str| self.labels.get(name).is_some_and(|own| own == value);
        has("alertname", name) && labels.iter().all(|(name, value)| has(name, value))
    }
}

/// A time as it stands in URLs and evidence.
pub(crate) fn seconds(t_ms: i64) -> String {
    format!("{}.{:03}", t_ms.div_euclid(1_000), t_ms.rem_euclid(1_000))
}

/// Unix milliseconds as a person reads them.
pub(crate) fn shown(t_ms: i64) -> String {
    Timestamp::from_millisecond(t_ms).map_or_else(|_| t_ms.to_string(), |time| format!("{time:.3}"))
}

/// Prometheus writes numbers as Go does: `NaN`, `+Inf`, `1e-05`.
fn number(text: &str) -> f64 {
    text.parse().unwrap_or(f64::NAN)
}
