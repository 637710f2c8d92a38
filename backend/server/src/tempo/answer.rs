//! An answer as protobuf or JSON, as the client accepts it.

use axum::{
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use conventions::fields;

use super::{
    failure::Failure,
    json::{self, Schema},
    proto::Message,
};

const PROTOBUF: &str = "application/protobuf";
const JSON: &str = "application/json";

/// In what the answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Protobuf,
    Json,
}

impl Format {
    /// Protobuf if the first `Accept` header names it anywhere, as Tempo does it. Its third form, for language models, is said
    /// to change at will and is not served.
    pub(super) fn accepted(headers: &HeaderMap) -> Self {
        let accept = headers.get(header::ACCEPT).map(|value| value.as_bytes());
        let names = |name: &str| {
            accept.is_some_and(|accept| {
                accept
                    .windows(name.len())
                    .any(|part| part == name.as_bytes())
            })
        };
        match names(PROTOBUF) {
            true => Self::Protobuf,
            false => Self::Json,
        }
    }
}

/// Renders a message. Not for a thread of the runtime when it is a large one.
pub(super) fn render(
    format: Format,
    schema: &Schema,
    message: Message,
) -> Result<Response, Failure> {
    let message = message.into_bytes();
    if format == Format::Protobuf {
        return Ok(([(header::CONTENT_TYPE, PROTOBUF)], message).into_response());
    }
    // About what names and numbers in text cost.
    let mut text = String::with_capacity(2 * message.len());
    json::print(&mut text, schema, &message).map_err(|error| {
        tracing::error!({ fields::ERROR } = %error, "an answer cannot be rendered as JSON");
        Failure::internal()
    })?;
    Ok(([(header::CONTENT_TYPE, JSON)], text).into_response())
}
