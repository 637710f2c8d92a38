//! A task-service that is ready, and requests as the gateway sends them.

use conventions::headers;
use http::{HeaderMap, StatusCode};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::process::{Aws, Process};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_task-service");
pub(crate) const WORKSPACE: &str = "home";

/// A service and what it works with.
pub(crate) struct System {
    pub(crate) aws: Aws,
    pub(crate) service: Process,
    /// Where its API is.
    pub(crate) api: String,
}

/// What the service answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl System {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub(crate) async fn start_with(environment: &[(&str, &str)]) -> Self {
        let aws = Aws::start().await;
        let service = Process::start(PROGRAM, &aws, environment).await;
        Self::ready(aws, service).await
    }

    /// With a process that was started already.
    pub(crate) async fn ready(aws: Aws, service: Process) -> Self {
        service.ready().await;
        let served = service.log_line("task API is served").await;
        let api = format!("http://{}", served["fields"]["listen"].as_str().unwrap());
        Self { aws, service, api }
    }

    /// A request of workspace [`WORKSPACE`].
    pub(crate) fn request(&self, method: Method, target: &str) -> RequestBuilder {
        self.request_of(WORKSPACE, method, target)
    }

    pub(crate) fn request_of(
        &self,
        workspace: &str,
        method: Method,
        target: &str,
    ) -> RequestBuilder {
        let request = self
            .service
            .client
            .request(method, format!("{}{target}", self.api));
        request
            .header(headers::WORKSPACE, workspace)
            .header(headers::ACTOR, "somebody")
    }

    pub(crate) fn get(&self, target: &str) -> RequestBuilder {
        self.request(Method::GET, target)
    }

    pub(crate) fn post(&self, target: &str, body: &Value) -> RequestBuilder {
        self.request(Method::POST, target).json(body)
    }

    /// A new task.
    pub(crate) async fn create(&self, title: &str) -> Value {
        let answer = Answer::to(self.post("/v1/tasks", &json!({"title": title}))).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        answer.json()
    }

    /// Titles of all tasks, the newest first.
    pub(crate) async fn titles(&self) -> Vec<String> {
        let page = Answer::to(self.get("/v1/tasks?limit=100")).await.json();
        let items = page["items"].as_array().unwrap();
        items
            .iter()
            .map(|task| task["title"].as_str().unwrap().to_owned())
            .collect()
    }
}

impl Answer {
    pub(crate) async fn to(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        Self {
            status: response.status(),
            headers: response.headers().clone(),
            text: response.text().await.unwrap(),
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The trace that the answer names.
    pub(crate) fn trace_id(&self) -> &str {
        self.header("traceresponse")
            .unwrap()
            .split('-')
            .nth(1)
            .unwrap()
    }

    /// The last part of a problem's type, after checking what every problem must have.
    #[track_caller]
    pub(crate) fn problem(&self) -> String {
        let body = self.json();
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{self:?}"
        );
        assert_eq!(body["status"], self.status.as_u16(), "{self:?}");
        assert_eq!(body["trace_id"], self.trace_id(), "{self:?}");
        body["type"]
            .as_str()
            .unwrap()
            .strip_prefix("urn:tripod:problem:")
            .unwrap()
            .to_owned()
    }
}

/// The path of a task's resource.
pub(crate) fn path(task: &Value, resource: &str) -> String {
    format!("/v1/tasks/{}{resource}", task["id"].as_str().unwrap())
}
