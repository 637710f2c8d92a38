//! `/faults` on the admin listener.

use std::time::Duration;

use axum::{
    Json, Router,
    extract::{FromRequest, Path, Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, put},
};
use serde::{Deserialize, Serialize};
use tasks_api::{FieldError, Kind, Problem, json};
use tokio::time::Instant;

use super::{Effect, FAULTS_MAX, Fault, Faults, LATENCY_MAX, LIFE_MAX, Target, http};
use crate::server::Body;

/// Longest name of a fault and longest error word.
const NAME_CHARS_MAX: usize = 100;

/// Body of `PUT /faults/{name}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    target: String,
    #[serde(default)]
    error: Option<Word>,
    #[serde(default)]
    latency_ms: u64,
    #[serde(default = "always")]
    ratio: f64,
    for_seconds: f64,
}

/// `500` and `"500"` are the same error.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Word {
    Number(u16),
    Text(String),
}

/// A fault as it is listed.
#[derive(Debug, Serialize)]
struct Listed {
    name: String,
    target: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    latency_ms: u64,
    ratio: f64,
    ends_in_seconds: f64,
    calls: u64,
    hits: u64,
}

pub(crate) fn routes<S: Clone + Send + Sync + 'static>(faults: Faults) -> Router<S> {
    Router::new()
        .route("/faults", get(list))
        .route("/faults/{name}", put(order).delete(remove))
        .with_state(faults)
}

async fn list(State(faults): State<Faults>) -> Json<Vec<Listed>> {
    Json(faults.list().into_iter().map(listed).collect())
}

async fn order(
    State(faults): State<Faults>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    if !faults.0.allowed {
        return Err(
            Problem::new(Kind::Forbidden).detail("this process was started without --allow-faults")
        );
    }
    let Body(body) = Body::from_request(request, &()).await?;
    let fault = fault(name, json::parse(&body)?)?;
    tracing::warn!(fault = fault.name, target = %fault.target, ratio = fault.ratio, "fault switched on");
    if faults.put(fault.clone()) {
        Ok(Json(listed(fault)).into_response())
    } else {
        Err(Problem::new(Kind::Conflict).detail(format!("there are {FAULTS_MAX} faults already")))
    }
}

async fn remove(
    State(faults): State<Faults>,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    if !faults.remove(&name) {
        return Err(Problem::new(Kind::NotFound));
    }
    tracing::warn!(fault = name, "fault switched off");
    Ok(StatusCode::NO_CONTENT)
}

/// The fault that is asked for, if it makes sense.
fn fault(name: String, order: Order) -> Result<Fault, Problem> {
    let mut errors = Vec::new();
    check_word("name", &name, &mut errors);
    let target = order
        .target
        .parse::<Target>()
        .map_err(|error| errors.push(FieldError::new("target", error.to_string())));
    let error = order.error.map(|word| match word {
        Word::Number(number) => number.to_string(),
        Word::Text(text) => text,
    });
    match (&target, &error) {
        (_, None) => {}
        (Ok(Target::Http { .. }), Some(status)) if http::kind(status).is_none() => {
            let known = http::KINDS.map(|kind| kind.status().as_str().to_owned());
            let reason = format!("must be one of {}", known.join(", "));
            errors.push(FieldError::new("error", reason));
        }
        (_, Some(word)) => check_word("error", word, &mut errors),
    }
    if error.is_none() && order.latency_ms == 0 {
        errors.push(FieldError::new("error", "error or latency_ms is needed"));
    }
    let latency = Duration::from_millis(order.latency_ms);
    if latency > LATENCY_MAX {
        errors.push(FieldError::new(
            "latency_ms",
            format!("must be at most {}", LATENCY_MAX.as_millis()),
        ));
    }
    if !(order.ratio > 0.0 && order.ratio <= 1.0) {
        errors.push(FieldError::new("ratio", "must be above 0 and at most 1"));
    }
    if !(order.for_seconds > 0.0 && order.for_seconds <= LIFE_MAX.as_secs_f64()) {
        errors.push(FieldError::new(
            "for_seconds",
            format!("must be above 0 and at most {}", LIFE_MAX.as_secs()),
        ));
    }
    Problem::unless_empty(errors)?;
    Ok(Fault {
        name,
        target: target.map_err(|()| Problem::new(Kind::Internal))?,
        effect: Effect { latency, error },
        ratio: order.ratio,
        ends_at: Instant::now() + Duration::from_secs_f64(order.for_seconds),
        calls: 0,
        hits: 0,
    })
}

/// A word ends up in log lines and as an error's type.
fn check_word(field: &str, word: &str, errors: &mut Vec<FieldError>) {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if !(1..=NAME_CHARS_MAX).contains(&word.len()) || !word.bytes().all(is_plain) {
        let reason = format!("must be 1 to {NAME_CHARS_MAX} of A-Z a-z 0-9 - _ .");
        errors.push(FieldError::new(field, reason));
    }
}

fn listed(fault: Fault) -> Listed {
    Listed {
        name: fault.name,
        target: fault.target.to_string(),
        error: fault.effect.error,
        latency_ms: u64::try_from(fault.effect.latency.as_millis()).unwrap_or(u64::MAX),
        ratio: fault.ratio,
        ends_in_seconds: fault
            .ends_at
            .saturating_duration_since(Instant::now())
            .as_secs_f64(),
        calls: fault.calls,
        hits: fault.hits,
    }
}

fn always() -> f64 {
    1.0
}
