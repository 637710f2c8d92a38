//! Who may ask, and for what: the gateway, and one workspace at a time.

use conventions::headers;
use http::StatusCode;
use reqwest::Method;
use serde_json::json;
use tasks_api::{TaskId, routes};

use crate::service::{Answer, System, path};

#[tokio::test]
async fn every_route_of_the_contract_is_served() {
    let system = System::start().await;
    for route in routes::ALL {
        let task = system.create("Routed").await;
        let target = route
            .template
            .replace("{task_id}", task["id"].as_str().unwrap());
        let body = match (route.method, route.template) {
            (_, routes::TRANSITIONS) => json!({"to": "in_progress"}),
            (_, routes::COMMENTS) => json!({"text": "Seen"}),
            _ => json!({"title": "Other"}),
        };
        let method: Method = route.method.parse().unwrap();
        let mut request = system
            .request(method.clone(), &target)
            .header("if-match", "*");
        if method != Method::GET && method != Method::DELETE {
            request = request.json(&body);
        }
        let answer = Answer::to(request).await;
        assert_eq!(
            answer.status.as_u16(),
            route.success,
            "{route:?}: {answer:?}"
        );
    }
    let unknown = Answer::to(system.get("/v1/projects")).await;
    assert_eq!(
        (unknown.status, unknown.problem().as_str()),
        (StatusCode::NOT_FOUND, "not-found")
    );
    let put = Answer::to(system.request(Method::PUT, "/v1/tasks")).await;
    assert_eq!(put.problem(), "method-not-allowed");
}

#[tokio::test]
async fn without_the_internal_token_nothing_is_answered() {
    let system = System::start_with(&[("TRIPOD_INTERNAL_TOKEN", "s3cret")]).await;
    let request = || system.get("/v1/tasks");
    for request in [
        request(),
        request().bearer_auth("wrong"),
        request().bearer_auth("s3cretly"),
    ] {
        let answer = Answer::to(request).await;
        assert_eq!(
            (answer.status, answer.problem().as_str()),
            (StatusCode::UNAUTHORIZED, "unauthenticated")
        );
    }
    assert_eq!(
        Answer::to(request().bearer_auth("s3cret")).await.status,
        StatusCode::OK
    );
    assert!(
        system
            .service
            .logged("process started")
            .iter()
            .all(|line| !line.to_string().contains("s3cret"))
    );
}

#[tokio::test]
async fn a_request_must_name_its_workspace_and_actor() {
    let system = System::start().await;
    let request = || {
        system
            .service
            .client
            .get(format!("{}/v1/tasks", system.api))
    };
    for request in [
        request(),
        request().header(headers::WORKSPACE, "home"),
        request().header(headers::ACTOR, "somebody"),
        request()
            .header(headers::WORKSPACE, "No Name")
            .header(headers::ACTOR, "somebody"),
    ] {
        let answer = Answer::to(request).await;
        assert_eq!(
            (answer.status, answer.problem().as_str()),
            (StatusCode::BAD_REQUEST, "malformed-request")
        );
    }
}

#[tokio::test]
async fn nothing_of_another_workspace_exists() {
    let system = System::start().await;
    let task = system.create("Private").await;
    let absent = format!("/v1/tasks/{}", TaskId::new());
    for (method, resource, body) in [
        (Method::GET, "", None),
        (Method::PATCH, "", Some(json!({"title": "Mine"}))),
        (Method::DELETE, "", None),
        (Method::POST, "/transitions", Some(json!({"to": "done"}))),
        (Method::POST, "/comments", Some(json!({"text": "Mine"}))),
        (Method::GET, "/comments", None),
        (Method::GET, "/activity", None),
    ] {
        let send = async |target: String| {
            let request = system
                .request_of("foreign", method.clone(), &target)
                .header("if-match", "*");
            let request = match &body {
                Some(body) => request.json(body),
                None => request,
            };
            let answer = Answer::to(request).await;
            assert_eq!(
                answer.status,
                StatusCode::NOT_FOUND,
                "{method} {target}: {answer:?}"
            );
            answer.problem()
        };
        let foreign = send(path(&task, resource)).await;
        assert_eq!(foreign, send(format!("{absent}{resource}")).await);
    }
    let list = Answer::to(system.request_of("foreign", Method::GET, "/v1/tasks")).await;
    assert_eq!(list.json()["items"], json!([]));
    assert_eq!(Answer::to(system.get(&path(&task, ""))).await.json(), task);
}
