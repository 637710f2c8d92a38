//! `GET /api/traces/{id}` and `/api/v2/traces/{id}`: a whole trace.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use otlp::TraceId;
use traces::{Partial, TraceData};

use super::{
    Shared,
    answer::{self, Format},
    failure::Failure,
    params::Params,
    proto::Message,
    schema,
};
use crate::go;

/// Hexadecimal digits of a whole id; shorter ones are padded on the left.
const ID_DIGITS: usize = 32;
/// Values of the parameter `mode`, which chooses among stores that Tempo has and this one has not.
const MODES: [&str; 4] = ["all", "blocks", "external", "ingesters"];

/// The first version: the bare trace, or 404 with nothing.
pub(super) async fn first(
    State(tempo): Shared,
    Path(id): Path<String>,
    params: Params,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let id = requested(&id, &params)?;
    let format = Format::accepted(&headers);
    let store = Arc::clone(&tempo.store);
    let job = move || {
        let Some(found) = store.trace(id)? else {
            return Ok(StatusCode::NOT_FOUND.into_response());
        };
        answer::render(format, &schema::TRACE_V1, bare(found)?)
    };
    tempo.work.lookup(job).await
}

/// The second version: the trace, empty when there is none, with what it cost and whether it is whole.
pub(super) async fn second(
    State(tempo): Shared,
    Path(id): Path<String>,
    params: Params,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let id = requested(&id, &params)?;
    let format = Format::accepted(&headers);
    let store = Arc::clone(&tempo.store);
    let job = move || {
        let found = store.trace(id)?;
        answer::render(format, &schema::TRACE_BY_ID, described(found.as_ref()))
    };
    tempo.work.lookup(job).await
}

/// A trace that is too large for the store has no place in the first version: it cannot say that spans are missing.
fn bare(found: TraceData) -> Result<Message, Failure> {
    match found.partial {
        Some(Partial::TraceBytes { max }) => {
            let text = format!("trace exceeds max size (max bytes: {max})");
            Err(Failure::new(StatusCode::UNPROCESSABLE_ENTITY, text))
        }
        _ => Ok(Message::encoded(found.protobuf)),
    }
}

/// `TraceByIDResponse`.
fn described(found: Option<&TraceData>) -> Message {
    let trace = found.map_or(&[][..], |found| &found.protobuf);
    let mut metrics = Message::default();
    metrics.number(1, trace.len() as u64);
    let mut response = Message::default();
    response.set_bytes(1, trace);
    response.message(2, &metrics);
    if let Some(partial) = found.and_then(|found| found.partial.as_ref()) {
        response.number(3, schema::PARTIAL);
        response.text(4, &partial.to_string());
    }
    response
}

/// The id, after the checks that Tempo makes. The range is checked but not used: it only spares Tempo reading blocks.
fn requested(id: &str, params: &Params) -> Result<TraceId, Failure> {
    let id = parse_id(id).map_err(Failure::bad_request)?;
    let mode = params.get("mode").unwrap_or("all");
    if !MODES.contains(&mode) {
        return Err(Failure::bad_request(format!(
            "invalid value for mode {mode}"
        )));
    }
    if mode != "ingesters" {
        let moment = |name| match params.get(name).map(go::parse_int).transpose() {
            Ok(moment) => Ok(moment.unwrap_or(0)),
            Err(error) => Err(Failure::bad_request(format!("invalid {name}: {error}"))),
        };
        let (start, end) = (moment("start")?, moment("end")?);
        if start != 0 && end != 0 && end <= start {
            return Err(Failure::bad_request(format!(
                "http parameter start must be before end. received start={start} end={end}"
            )));
        }
    }
    Ok(id)
}

fn parse_id(text: &str) -> Result<TraceId, String> {
    let wrong = text
        .chars()
        .zip(1..)
        .find(|(digit, _)| !digit.is_ascii_hexdigit());
    if let Some((digit, position)) = wrong {
        return Err(format!(
            "trace IDs can only contain hex characters: invalid character {digit:?} at position {position}"
        ));
    }
    if text.len() > ID_DIGITS {
        return Err("trace IDs can't be larger than 128 bits".to_owned());
    }
    let padded = format!("{text:0>ID_DIGITS$}");
    padded
        .parse()
        .map_err(|error: otlp::NotAnId| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::json;
    use super::*;

    #[test]
    fn short_ids_are_padded_and_other_text_is_refused() {
        assert_eq!(
            parse_id("aB1").map(|id| id.to_string()),
            Ok("00000000000000000000000000000ab1".to_owned())
        );
        for (text, expected) in [
            (
                "0z",
                "trace IDs can only contain hex characters: invalid character 'z' at position 2",
            ),
            (
                "é",
                "trace IDs can only contain hex characters: invalid character 'é' at position 1",
            ),
            (
                "000000000000000000000000000000001",
                "trace IDs can't be larger than 128 bits",
            ),
        ] {
            assert_eq!(parse_id(text), Err(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_trace_that_is_not_whole_is_refused_by_the_first_version_and_marked_by_the_second() {
        let found = TraceData {
            protobuf: Vec::new(),
            spans: 0,
            partial: Some(Partial::TraceBytes { max: 9 }),
        };
        assert_eq!(
            json::printed(&schema::TRACE_BY_ID, described(Some(&found))),
            r#"{"trace":{},"metrics":{},"status":"PARTIAL","message":"trace exceeds maximum size of 9 bytes, a partial trace is returned"}"#
        );
        let refusal = Failure::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "trace exceeds max size (max bytes: 9)",
        );
        assert_eq!(bare(found).err(), Some(refusal));
    }
}
