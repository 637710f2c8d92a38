//! Alerts: posting them, and asking for them, one by one or in their groups.

use ::alertmanager::alert::PostableAlert;
use axum::{
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};

use super::{
    Shared, answer,
    body::{self, Kind, Required},
    failure::Failure,
    params::Params,
};

const ALERTS: Required = Required {
    name: "alerts",
    kind: Kind::List,
    check: |value| {
        let alerts = value.as_array().into_iter().flatten().enumerate();
        for (index, alert) in alerts {
            if alert.is_object() && !body::has(alert, "labels") {
                return Err(Failure::required(&format!("{index}.labels")));
            }
        }
        Ok(())
    },
};

pub(super) async fn list(State(api): Shared, params: Params) -> Result<Response, Failure> {
    let filter = params.filter()?;
    let alerts = api
        .manager
        .ask(|machine, now_ms| machine.alerts(&filter, now_ms));
    Ok(answer::ok(&alerts))
}

pub(super) async fn groups(State(api): Shared, params: Params) -> Result<Response, Failure> {
    let filter = params.filter()?;
    let groups = api
        .manager
        .ask(|machine, now_ms| machine.alert_groups(&filter, now_ms));
    Ok(answer::ok(&groups))
}

/// Takes the alerts that can be; those that cannot are said together.
pub(super) async fn post(
    State(api): Shared,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, Failure> {
    let alerts: Vec<PostableAlert> = body::read(&headers, &body, &ALERTS)?;
    let invalid = api.manager.receive(alerts);
    if invalid.is_empty() {
        return Ok(StatusCode::OK);
    }
    let reasons: Vec<String> = invalid.iter().map(ToString::to_string).collect();
    Err(Failure::bad_request(reasons.join("; ")))
}
