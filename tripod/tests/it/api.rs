//! The task API as a client outside sees it.

use std::time::Duration;

use reqwest::{
    Method, StatusCode,
    blocking::{Client, RequestBuilder, Response},
};
use serde_json::{Value, json};

use crate::system::System;

/// A client with the development key.
pub struct Api {
    pub client: Client,
    pub gateway: String,
    pub key: String,
}

impl Api {
    pub fn new(system: &System) -> Self {
        let run = system.run();
        Self {
            client: client(),
            gateway: run["gateway"].as_str().unwrap().to_owned(),
            key: run["api_key"].as_str().unwrap().to_owned(),
        }
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, format!("{}{path}", self.gateway))
            .bearer_auth(&self.key)
    }

    pub fn get(&self, path: &str) -> Value {
        let response = self.request(Method::GET, path).send().unwrap();
        assert_eq!(response.status(), StatusCode::OK, "GET {path}");
        response.json().unwrap()
    }

    pub fn post(&self, path: &str, body: &Value) -> Response {
        self.request(Method::POST, path).json(body).send().unwrap()
    }

    /// A new task's id, and the trace of the request that made it.
    pub fn create(&self, title: &str) -> (String, String) {
        let response = self.post("/v1/tasks", &json!({"title": title}));
        assert_eq!(response.status(), StatusCode::CREATED);
        let trace_id = trace_id(&response);
        let task: Value = response.json().unwrap();
        (task["id"].as_str().unwrap().to_owned(), trace_id)
    }

    /// The types of a task's history, oldest or newest first as the API gives them; every page of it.
    pub fn activity(&self, task_id: &str) -> Vec<String> {
        let mut types = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self.get(&format!("/v1/tasks/{task_id}/activity?limit=100{cursor}"));
            let entries = page["items"].as_array().unwrap();
            types.extend(
                entries
                    .iter()
                    .map(|entry| entry["event"]["type"].as_str().unwrap().to_owned()),
            );
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return types,
            }
        }
    }
}

pub fn client() -> Client {
    // The tests speak to loopback only, but the client wants to know how it would speak TLS. Once per process.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .no_proxy()
        .user_agent("system-test")
        .timeout(Duration::from_secs(20))
        .build()
        .unwrap()
}

/// The trace id in the `traceresponse` header.
pub fn trace_id(response: &Response) -> String {
    response.headers()["traceresponse"]
        .to_str()
        .unwrap()
        .split('-')
        .nth(1)
        .unwrap()
        .to_owned()
}
