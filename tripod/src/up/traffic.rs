//! Light synthetic traffic, so that a system at rest still has signals: one request at a time at a steady rate.
//!
//! It speaks to the gateway as any client outside would, without a trace of its own. Tasks live through the whole
//! transition table and are deleted, so the data does not grow.

use std::{collections::VecDeque, time::Duration};

use conventions::headers::IDEMPOTENCY_KEY;
use reqwest::{Client, Method, Response, header};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// Tasks alive at a time; the oldest goes when one more is made.
const TASKS_MAX: usize = 20;
/// By which synthetic requests can be told from real ones.
const USER_AGENT: &str = concat!("tripod-traffic/", env!("CARGO_PKG_VERSION"));
/// A request that takes longer is given up.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Where requests go and as whom.
pub(crate) struct Target {
    pub(crate) gateway: String,
    pub(crate) api_key: String,
    pub(crate) requests_per_second: f64,
}

/// One task of ours and what it goes through next.
struct Life {
    id: String,
    etag: String,
    step: usize,
}

/// What happens to each task, in this order; it is deleted afterwards.
const STEPS: &[Step] = &[
    Step::Get,
    Step::Transition("in_progress"),
    Step::Comment,
    Step::Patch,
    Step::Transition("blocked"),
    Step::List,
    Step::Transition("in_progress"),
    Step::Transition("done"),
    Step::Activity,
];

#[derive(Debug, Clone, Copy)]
enum Step {
    Get,
    List,
    Activity,
    Comment,
    Patch,
    Transition(&'static str),
}

/// Sends requests until told to stop.
pub(crate) async fn run(target: Target, stop: CancellationToken) {
    let client = Client::builder()
        .timeout(REQUEST_TIMEOUT)
        .no_proxy()
        .user_agent(USER_AGENT)
        .build()
        .expect("no option can fail");
    let mut traffic = Traffic {
        client,
        target,
        lives: VecDeque::new(),
        failing: false,
    };
    let mut clock = tokio::time::interval(Duration::from_secs_f64(
        1.0 / traffic.target.requests_per_second,
    ));
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = clock.tick() => {}
            () = stop.cancelled() => return,
        }
        tokio::select! {
            outcome = traffic.request() => traffic.note(outcome),
            () = stop.cancelled() => return,
        }
    }
}

struct Traffic {
    client: Client,
    target: Target,
    /// The one whose turn it is stands in front.
    lives: VecDeque<Life>,
    failing: bool,
}

impl Traffic {
    /// The next request: the task whose turn it is goes one step, or a new one is made.
    async fn request(&mut self) -> reqwest::Result<()> {
        if self.lives.len() < TASKS_MAX && rand::random_ratio(1, 4) || self.lives.is_empty() {
            return self.create().await;
        }
        let Some(mut life) = self.lives.pop_front() else {
            return Ok(());
        };
        let Some(step) = STEPS.get(life.step) else {
            return self.delete(life).await;
        };
        let response = self.step(&life, *step).await?;
        // A task that somebody else changed or removed is forgotten.
        if response.status().is_success() {
            if let Some(etag) = etag(&response) {
                life.etag = etag;
            }
            life.step += 1;
            self.lives.push_back(life);
        }
        response.error_for_status().map(drop)
    }

    async fn create(&mut self) -> reqwest::Result<()> {
        let key = format!("{:032x}", rand::random::<u128>());
        let priority = ["low", "normal", "high", "urgent"][rand::random_range(0..4)];
        let body =
            json!({"title": "Synthetic task", "priority": priority, "labels": ["synthetic"]});
        let request = self
            .request_to(Method::POST, "")
            .header(IDEMPOTENCY_KEY, key)
            .json(&body);
        let response = request.send().await?.error_for_status()?;
        let etag = etag(&response);
        let task: Value = response.json().await?;
        if let (Some(id), Some(etag)) = (task["id"].as_str(), etag) {
            self.lives.push_back(Life {
                id: id.to_owned(),
                etag,
                step: 0,
            });
        }
        Ok(())
    }

    async fn step(&self, life: &Life, step: Step) -> reqwest::Result<Response> {
        let path = |rest: &str| format!("/{}{rest}", life.id);
        let request = match step {
            Step::Get => self.request_to(Method::GET, &path("")),
            Step::List => self.request_to(Method::GET, "?limit=5&status=blocked"),
            Step::Activity => self.request_to(Method::GET, &path("/activity")),
            Step::Comment => self
                .request_to(Method::POST, &path("/comments"))
                .json(&json!({"text": "Looks good"})),
            Step::Patch => self
                .request_to(Method::PATCH, &path(""))
                .json(&json!({"assignee": "ada"})),
            Step::Transition(to) => self
                .request_to(Method::POST, &path("/transitions"))
                .json(&json!({"to": to})),
        };
        request.header(header::IF_MATCH, &life.etag).send().await
    }

    async fn delete(&self, life: Life) -> reqwest::Result<()> {
        let request = self.request_to(Method::DELETE, &format!("/{}", life.id));
        request
            .header(header::IF_MATCH, life.etag)
            .send()
            .await?
            .error_for_status()
            .map(drop)
    }

    fn request_to(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let url = format!("{}{}{path}", self.target.gateway, tasks_api::routes::TASKS);
        self.client
            .request(method, url)
            .bearer_auth(&self.target.api_key)
    }

    /// Says when requests begin to fail and when they work again, not each time.
    fn note(&mut self, outcome: reqwest::Result<()>) {
        match &outcome {
            Ok(()) if self.failing => tracing::info!("synthetic traffic is answered again"),
            Err(error) if !self.failing => tracing::warn!(%error, "synthetic traffic fails"),
            _ => {}
        }
        self.failing = outcome.is_err();
    }
}

fn etag(response: &Response) -> Option<String> {
    response
        .headers()
        .get(header::ETAG)?
        .to_str()
        .ok()
        .map(str::to_owned)
}
