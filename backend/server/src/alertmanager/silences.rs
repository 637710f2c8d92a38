//! Silences: setting them, ending them, and asking for them.

use ::alertmanager::silence::{PostableSilence, SilenceError};
use axum::{
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::Value;
use tokio::task;
use uuid::Uuid;

use super::{
    Shared, answer,
    body::{self, Kind, Required},
    failure::Failure,
    params::Params,
};

const SILENCE: Required = Required {
    name: "silence",
    kind: Kind::Object,
    check: |value| {
        for name in ["comment", "createdBy", "endsAt", "matchers", "startsAt"] {
            if !body::has(value, name) {
                return Err(Failure::required(name));
            }
            if name == "matchers" {
                check_matchers(&value[name])?;
            }
        }
        Ok(())
    },
};

/// What can be wrong with the times of a silence.
const TIMES: [&str; 2] = [
    "start time must be before end time",
    "end time can't be in the past",
];

#[derive(Serialize)]
struct Id {
    #[serde(rename = "silenceID")]
    silence_id: Uuid,
}

pub(super) async fn list(State(api): Shared, params: Params) -> Result<Response, Failure> {
    let matchers = params.matchers()?;
    let silences = api
        .manager
        .ask(|machine, now_ms| machine.silences(&matchers, now_ms));
    Ok(answer::ok(&silences))
}

pub(super) async fn one(State(api): Shared, Path(id): Path<String>) -> Result<Response, Failure> {
    let id = parse(&id)?;
    let silence = api
        .manager
        .ask(|machine, now_ms| machine.silence(id, now_ms));
    match silence {
        Some(silence) => Ok(answer::ok(&silence)),
        None => Err(Failure::not_found()),
    }
}

pub(super) async fn set(
    State(api): Shared,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Failure> {
    let silence: PostableSilence = body::read(&headers, &body, &SILENCE)?;
    // It waits for the disk.
    let set = task::spawn_blocking(move || api.manager.set_silence(silence));
    match set.await.expect("setting a silence does not panic") {
        Ok(silence_id) => Ok(answer::ok(&Id { silence_id })),
        Err(SilenceError::NotFound) => {
            Err(Failure::text(StatusCode::NOT_FOUND, "silence not found"))
        }
        // Times are looked at before anything else, in other words.
        Err(SilenceError::Invalid(reason)) if TIMES.contains(&reason.as_str()) => Err(
            Failure::bad_request(format!("Failed to create silence: {reason}")),
        ),
        Err(error @ SilenceError::NotStored) => Err(Failure::text(
            StatusCode::INTERNAL_SERVER_ERROR,
            error.to_string(),
        )),
        Err(error) => Err(Failure::bad_request(error.to_string())),
    }
}

pub(super) async fn expire(
    State(api): Shared,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let id = parse(&id)?;
    let expired = task::spawn_blocking(move || api.manager.expire_silence(id));
    match expired.await.expect("ending a silence does not panic") {
        Ok(()) => Ok(StatusCode::OK.into_response()),
        Err(SilenceError::NotFound) => Err(Failure::not_found()),
        Err(error) => Err(Failure::text(
            StatusCode::INTERNAL_SERVER_ERROR,
            error.to_string(),
        )),
    }
}

fn parse(id: &str) -> Result<Uuid, Failure> {
    Uuid::parse_str(id).map_err(|_| Failure::no_uuid(id))
}

fn check_matchers(matchers: &Value) -> Result<(), Failure> {
    let matchers = matchers.as_array().map_or(&[][..], Vec::as_slice);
    if matchers.is_empty() {
        return Err(Failure::too_short("matchers"));
    }
    for (index, matcher) in matchers.iter().enumerate() {
        for name in ["isRegex", "name", "value"] {
            if !body::has(matcher, name) {
                return Err(Failure::required(&format!("matchers.{index}.{name}")));
            }
        }
    }
    Ok(())
}
