//! Requests to the gateway, each under a trace id of its own, so that whatever the system says of them can be compared with
//! what was really sent.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use reqwest::Method;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::{
    clock::system_ms,
    contract::{Contract, Request},
    http::{Answer, Http, HttpError},
    sampling::TraceId,
    scenario::Traces,
    target::Target,
};

/// Requests under way at a time.
pub(crate) const AT_ONCE_MAX: usize = 16;

/// A request that was made.
#[derive(Clone, Copy, Debug)]
pub struct Made {
    /// The number of the phase that it belongs to.
    pub phase: usize,
    pub trace_id: TraceId,
    /// 0 without an answer.
    pub status: u16,
    pub took: Duration,
    /// When it was made on the clock of the scenario, Unix milliseconds.
    pub at_ms: i64,
}

/// What requests are made of.
#[derive(Clone, Copy, Debug)]
pub struct Kind<'s> {
    pub phase: usize,
    /// One of the contract's.
    pub operation: &'s str,
    pub traces: Traces,
}

/// Makes requests.
#[derive(Clone, Debug)]
pub struct Traffic {
    http: Http,
    gateway: String,
    contract: Arc<Contract>,
    /// What stands for a name in braces.
    variables: BTreeMap<String, String>,
}

/// A request that only waits to be sent.
#[derive(Clone)]
struct Ready {
    http: Http,
    method: Method,
    url: String,
    headers: Vec<(String, String)>,
    json: Option<Value>,
}

impl Traffic {
    /// Makes what the contract's preparations say; the traces in which that was done.
    ///
    /// # Errors
    /// The gateway refuses one, or its answer lacks what is to be taken from it.
    pub async fn prepare(
        target: &Target,
        contract: &Arc<Contract>,
        http: &Http,
    ) -> Result<(Self, Vec<TraceId>), HttpError> {
        let mut traffic = Self {
            http: http.clone(),
            gateway: target.gateway.clone(),
            contract: Arc::clone(contract),
            variables: BTreeMap::from([("api_key".to_owned(), target.api_key.clone())]),
        };
        let mut prepared = Vec::new();
        for preparation in &contract.prepare {
            let trace_id = TraceId::random();
            prepared.push(trace_id);
            let ready = traffic.ready(&preparation.operation);
            let answer = ready.send(trace_id).await?.good()?;
            for (name, pointer) in &preparation.take {
                let body: Value = answer.json()?;
                let taken = match body.pointer(pointer) {
                    Some(Value::String(text)) => text.clone(),
                    Some(other) => other.to_string(),
                    None => {
                        return Err(HttpError::Lacks {
                            question: answer.question,
                            pointer: pointer.clone(),
                        });
                    }
                };
                traffic.variables.insert(name.clone(), taken);
            }
        }
        Ok((traffic, prepared))
    }

    /// Makes `number` requests, some at a time, as fast as they are answered.
    pub async fn burst(&self, kind: Kind<'_>, number: usize, at_ms: i64) -> Vec<Made> {
        let (mut made, mut under_way) = (Vec::with_capacity(number), JoinSet::new());
        let ready = self.ready(kind.operation);
        for _ in 0..number {
            if under_way.len() >= AT_ONCE_MAX {
                made.extend(under_way.join_next().await.map(finished));
            }
            under_way.spawn(ready.clone().make(kind.phase, self.id(kind.traces), at_ms));
        }
        while let Some(ended) = under_way.join_next().await {
            made.push(finished(ended));
        }
        made
    }

    /// Makes `number` requests, evenly spread over the time until `over`, and returns then, or when all are answered.
    pub async fn paced(
        &self,
        kind: Kind<'_>,
        number: usize,
        over: tokio::time::Instant,
    ) -> Vec<Made> {
        let time = over.saturating_duration_since(tokio::time::Instant::now());
        let (mut made, mut under_way) = (Vec::with_capacity(number), JoinSet::new());
        let ready = self.ready(kind.operation);
        let pause = time / u32::try_from(number.max(1)).unwrap_or(u32::MAX);
        let mut ticks = tokio::time::interval(pause.max(Duration::from_micros(1)));
        for _ in 0..number {
            ticks.tick().await;
            if under_way.len() >= AT_ONCE_MAX {
                made.extend(under_way.join_next().await.map(finished));
            }
            let id = self.id(kind.traces);
            under_way.spawn(ready.clone().make(kind.phase, id, system_ms()));
        }
        made.extend(under_way.join_all().await);
        tokio::time::sleep_until(over).await;
        made
    }

    fn id(&self, traces: Traces) -> TraceId {
        match traces {
            Traces::Random => TraceId::random(),
            Traces::Kept => self.contract.sampling.kept(),
        }
    }

    /// The request of an operation with its variables in place.
    fn ready(&self, operation: &str) -> Ready {
        let request: &Request = &self.contract.operations[operation];
        let headers = self.contract.headers.iter().chain(&request.headers);
        Ready {
            http: self.http.clone(),
            method: Method::from_bytes(request.method.as_bytes())
                .expect("contracts with other methods are refused"),
            url: format!("{}{}", self.gateway, self.filled(&request.path)),
            headers: headers
                .map(|(name, value)| (name.clone(), self.filled(value)))
                .collect(),
            json: request.json.as_ref().map(|json| self.filled_in(json)),
        }
    }

    fn filled(&self, text: &str) -> String {
        let variables = self.variables.iter();
        variables.fold(text.to_owned(), |text, (name, value)| {
            text.replace(&format!("{{{name}}}"), value)
        })
    }

    fn filled_in(&self, json: &Value) -> Value {
        match json {
            Value::String(text) => Value::String(self.filled(text)),
            Value::Array(items) => items.iter().map(|item| self.filled_in(item)).collect(),
            Value::Object(fields) => {
                let fields = fields.iter();
                fields
                    .map(|(name, value)| (name.clone(), self.filled_in(value)))
                    .collect()
            }
            other => other.clone(),
        }
    }
}

impl Ready {
    async fn make(self, phase: usize, trace_id: TraceId, at_ms: i64) -> Made {
        let begun = Instant::now();
        let answer = self.send(trace_id).await;
        Made {
            phase,
            trace_id,
            status: answer.map_or(0, |answer| answer.status.as_u16()),
            took: begun.elapsed(),
            at_ms,
        }
    }

    async fn send(&self, trace_id: TraceId) -> Result<Answer, HttpError> {
        let span_id = rand::random_range(1..=u64::MAX);
        let parent = format!("00-{trace_id}-{span_id:016x}-01");
        self.http
            .ask(self.method.clone(), &self.url, |request| {
                let headers = self.headers.iter();
                let request = headers.fold(request, |request, (name, value)| {
                    request.header(name, value)
                });
                let request = request.header("traceparent", parent);
                match &self.json {
                    Some(json) => request.json(json),
                    None => request,
                }
            })
            .await
    }
}

fn finished(ended: Result<Made, tokio::task::JoinError>) -> Made {
    ended.expect("a request neither panics nor is cancelled")
}
