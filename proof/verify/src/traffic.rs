//! Requests to the gateway, each under a trace id of its own, so that whatever the system says of them can be compared with
//! what was really sent.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;
use tokio::task::JoinSet;

use crate::{
    clock::system_ms,
    http::{Http, HttpError},
    sampling::TraceId,
    scenario::Traces,
    target::Target,
};

/// Requests under way at a time.
pub(crate) const AT_ONCE_MAX: usize = 16;

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// One task by its id.
    Read,
    /// A page of tasks: a DynamoDB query.
    List,
    /// A new task: a transaction and a job.
    Create,
}

/// A request that was made.
#[derive(Clone, Copy, Debug)]
pub struct Made {
    /// The number of the phase that it belongs to.
    pub phase: usize,
    pub trace_id: TraceId,
    pub operation: Operation,
    /// 0 without an answer.
    pub status: u16,
    pub took: Duration,
    /// When it was made on the clock of the scenario, Unix milliseconds.
    pub at_ms: i64,
}

/// What requests are made of.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    pub phase: usize,
    pub operation: Operation,
    pub traces: Traces,
}

/// Makes requests.
#[derive(Clone, Debug)]
pub struct Traffic {
    http: Http,
    gateway: String,
    api_key: String,
    /// A task that is there to be read.
    task: String,
}

#[derive(Deserialize)]
struct Task {
    id: String,
}

impl Traffic {
    /// Makes a task that requests can read; the trace in which that was done.
    ///
    /// # Errors
    /// The gateway does not take it.
    pub async fn prepare(target: &Target, http: &Http) -> Result<(Self, TraceId), HttpError> {
        let mut traffic = Self {
            http: http.clone(),
            gateway: target.gateway.clone(),
            api_key: target.api_key.clone(),
            task: String::new(),
        };
        let trace_id = TraceId::random();
        let answer = traffic.send(Operation::Create, trace_id).await?.good()?;
        traffic.task = answer.json::<Task>()?.id;
        Ok((traffic, trace_id))
    }

    /// Makes `number` requests, some at a time, as fast as they are answered.
    pub async fn burst(&self, kind: Kind, number: usize, at_ms: i64) -> Vec<Made> {
        let (mut made, mut under_way) = (Vec::with_capacity(number), JoinSet::new());
        for _ in 0..number {
            if under_way.len() >= AT_ONCE_MAX {
                made.extend(under_way.join_next().await.map(finished));
            }
            let traffic = self.clone();
            under_way.spawn(async move { traffic.make(kind, at_ms).await });
        }
        while let Some(ended) = under_way.join_next().await {
            made.push(finished(ended));
        }
        made
    }

    /// Makes `number` requests, evenly spread over `time`, and returns when it is over and all are answered.
    pub async fn paced(&self, kind: Kind, number: usize, time: Duration) -> Vec<Made> {
        let over = tokio::time::Instant::now() + time;
        let (mut made, mut under_way) = (Vec::with_capacity(number), JoinSet::new());
        let pause = time / u32::try_from(number.max(1)).unwrap_or(u32::MAX);
        let mut ticks = tokio::time::interval(pause.max(Duration::from_micros(1)));
        for _ in 0..number {
            ticks.tick().await;
            if under_way.len() >= AT_ONCE_MAX {
                made.extend(under_way.join_next().await.map(finished));
            }
            let (traffic, at_ms) = (self.clone(), system_ms());
            under_way.spawn(async move { traffic.make(kind, at_ms).await });
        }
        made.extend(under_way.join_all().await);
        tokio::time::sleep_until(over).await;
        made
    }

    async fn make(&self, kind: Kind, at_ms: i64) -> Made {
        let Kind {
            phase,
            operation,
            traces,
        } = kind;
        let trace_id = match traces {
            Traces::Random => TraceId::random(),
            Traces::Kept => TraceId::kept(),
        };
        let begun = Instant::now();
        let answer = self.send(operation, trace_id).await;
        Made {
            phase,
            trace_id,
            operation,
            status: answer.map_or(0, |answer| answer.status.as_u16()),
            took: begun.elapsed(),
            at_ms,
        }
    }

    async fn send(
        &self,
        operation: Operation,
        trace_id: TraceId,
    ) -> Result<crate::http::Answer, HttpError> {
        let (method, path) = match operation {
            Operation::Read => (Method::GET, format!("/v1/tasks/{}", self.task)),
            Operation::List => (Method::GET, "/v1/tasks?limit=1".to_owned()),
            Operation::Create => (Method::POST, "/v1/tasks".to_owned()),
        };
        let span_id = rand::random_range(1..=u64::MAX);
        let parent = format!("00-{trace_id}-{span_id:016x}-01");
        self.http
            .ask(method, &format!("{}{path}", self.gateway), |request| {
                let request = request
                    .bearer_auth(&self.api_key)
                    .header("traceparent", parent);
                match operation {
                    Operation::Create => request.json(&json!({"title": "A request of verify"})),
                    Operation::Read | Operation::List => request,
                }
            })
            .await
    }
}

fn finished(ended: Result<Made, tokio::task::JoinError>) -> Made {
    ended.expect("a request neither panics nor is cancelled")
}
