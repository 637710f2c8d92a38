//! The dead letters on the admin listener: `GET /dead-letters`, `POST /dead-letters/redrive`. Like everything there, they
//! make no spans; what is redriven goes on in its own trace.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Query, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use conventions::fields;
use serde::{Deserialize, Serialize};
use store::Error;
use tasks_api::{JobId, Kind, PageQuery, Problem, json};

use super::DeadLetters;

/// Body of a redrive: one of the three.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Redrive {
    #[serde(default)]
    job_id: Option<JobId>,
    #[serde(default)]
    message_id: Option<String>,
    #[serde(default)]
    all: bool,
}

pub(crate) fn router(letters: Arc<DeadLetters>) -> Router {
    Router::new()
        .route("/dead-letters", get(list))
        .route("/dead-letters/redrive", post(redrive))
        .with_state(letters)
}

async fn list(
    State(letters): State<Arc<DeadLetters>>,
    query: Result<Query<PageQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Problem> {
    let Query(page) = query.map_err(|error| invalid(error.body_text()))?;
    page.validate()?;
    answer(telemetry::suppress(letters.list(&page)).await)
}

async fn redrive(
    State(letters): State<Arc<DeadLetters>>,
    body: bytes::Bytes,
) -> Result<Response, Problem> {
    let redrive: Redrive = json::parse(&body)?;
    let all = redrive.all;
    let redriven = telemetry::suppress(async {
        match redrive {
            Redrive {
                job_id: Some(id),
                message_id: None,
                all: false,
            } => letters.redrive_job(id).await.map_err(problem),
            Redrive {
                job_id: None,
                message_id: Some(id),
                all: false,
            } => letters.redrive_message(&id).await.map_err(problem),
            Redrive {
                job_id: None,
                message_id: None,
                all: true,
            } => letters.redrive_all().await.map_err(problem),
            _ => Err(invalid(
                r#"exactly one of "job_id", "message_id" and "all": true is needed"#,
            )),
        }
    });
    let redriven = redriven.await?;
    if !all && redriven.jobs + redriven.messages == 0 {
        return Err(Problem::new(Kind::NotFound));
    }
    tracing::info!(
        "dead letters redriven: {} jobs, {} messages",
        redriven.jobs,
        redriven.messages
    );
    answer(Ok(redriven))
}

fn answer(outcome: Result<impl Serialize, Error>) -> Result<Response, Problem> {
    outcome
        .map(|value| Json(value).into_response())
        .map_err(problem)
}

fn problem(error: Error) -> Problem {
    let kind = match &error {
        Error::InvalidCursor => return Problem::new(Kind::InvalidCursor),
        Error::Unavailable { .. } => Kind::Unavailable,
        _ => Kind::Internal,
    };
    let error = format!("{:#}", anyhow::Error::from(error));
    tracing::error!(
        { fields::PROBLEM } = kind.name(),
        { fields::ERROR } = error,
        "request failed"
    );
    Problem::new(kind)
}

fn invalid(detail: impl Into<String>) -> Problem {
    Problem::new(Kind::ValidationFailed).detail(detail)
}
