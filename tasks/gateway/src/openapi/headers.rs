//! Headers of responses: which status comes with which. Those of a task (`ETag`, `Location`) stand at its operations.

use conventions::headers::{IDEMPOTENCY_REPLAYED, TRACERESPONSE};
use serde_json::{Value, json};
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{Components, Header, OpenApi, Ref, RefOr};

use super::{operations, parameters};

const RETRY_AFTER: &str = "Retry-After";
const WWW_AUTHENTICATE: &str = "WWW-Authenticate";

/// Adds them to the responses that are there.
pub(super) fn add(document: &mut OpenApi) {
    let components = document.components.get_or_insert_with(Components::new);
    for (name, header) in all() {
        components.headers.insert(name.to_owned(), header.into());
    }
    for operation in document.paths.paths.values_mut().flat_map(operations) {
        add_to(operation);
    }
}

fn all() -> [(&'static str, Header); 4] {
    let trace = "The request's trace, in the format of `traceparent` (W3C Trace Context level 2).";
    let example = json!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    let replayed =
        "There when this answer was given before to the same request, and nothing was done now.";
    let wait = "Seconds to wait before the request is sent again.";
    [
        (TRACERESPONSE, header(Type::String, trace, example)),
        (
            IDEMPOTENCY_REPLAYED,
            header(Type::String, replayed, json!("true")),
        ),
        (RETRY_AFTER, header(Type::Integer, wait, json!(1))),
        (
            WWW_AUTHENTICATE,
            header(Type::String, "The scheme to use.", json!("Bearer")),
        ),
    ]
}

fn add_to(operation: &mut Operation) {
    let is_repeatable = parameters(operation).any(|parameter| parameter.name == "Idempotency-Key");
    for (status, response) in &mut operation.responses.responses {
        let particular = match status.as_str() {
            "401" => Some(WWW_AUTHENTICATE),
            "409" | "503" | "504" => Some(RETRY_AFTER),
            status if status.starts_with('2') && is_repeatable => Some(IDEMPOTENCY_REPLAYED),
            _ => None,
        };
        if let RefOr::T(response) = response {
            for name in particular.into_iter().chain([TRACERESPONSE]) {
                let reference = Ref::new(format!("#/components/headers/{name}"));
                response
                    .headers
                    .insert(name.to_owned(), RefOr::Ref(reference));
            }
        }
    }
}

fn header(schema_type: Type, description: &str, example: Value) -> Header {
    HeaderBuilder::new()
        .schema(Some(ObjectBuilder::new().schema_type(schema_type)))
        .description(Some(description))
        .example(Some(example))
        .build()
}
