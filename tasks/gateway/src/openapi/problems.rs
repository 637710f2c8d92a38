//! What an operation can be refused for. It follows from what the operation takes, so it is worked out here rather than
//! listed nine times: a body can be too large, a version can be stale, a path can name nothing.

use std::collections::BTreeMap;

use serde_json::json;
use tasks_api::problem::MEDIA_TYPE;
use tasks_api::{FieldError, Kind, Problem};
use utoipa::openapi::example::{Example, ExampleBuilder};
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::{
    Components, ContentBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder, Schema,
};

use super::{operations, parameters};

/// The trace of the examples: the one of the W3C Trace Context specification.
const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";

pub(super) fn add(document: &mut OpenApi) {
    let components = document.components.get_or_insert_with(Components::new);
    list_kinds(components);
    for kind in Kind::ALL {
        let example = ExampleBuilder::new()
            .summary(kind.title())
            .value(Some(json!(example(*kind))));
        components
            .examples
            .insert(kind.name().to_owned(), RefOr::T(example.build()));
    }
    for operation in document.paths.paths.values_mut().flat_map(operations) {
        add_problems(operation);
    }
}

/// The kinds of problems of an operation.
fn kinds(operation: &Operation) -> Vec<Kind> {
    let has = |name: &str| parameters(operation).any(|parameter| parameter.name == name);
    let has_path_parameter =
        parameters(operation).any(|parameter| parameter.parameter_in == ParameterIn::Path);
    let changes = operation.request_body.is_some() || has("If-Match");
    let changes_status = operation.operation_id.as_deref() == Some("transition_task");
    let groups: &[(bool, &[Kind])] = &[
        (
            true,
            &[
                Kind::Unauthenticated,
                Kind::MalformedRequest,
                Kind::ValidationFailed,
            ],
        ),
        (has_path_parameter, &[Kind::NotFound]),
        (has("cursor"), &[Kind::InvalidCursor]),
        (
            has("If-Match"),
            &[Kind::IfMatchRequired, Kind::VersionMismatch],
        ),
        (has("Idempotency-Key"), &[Kind::IdempotencyKeyReused]),
        (
            operation.request_body.is_some(),
            &[
                Kind::UnsupportedMediaType,
                Kind::BodyTooLarge,
                Kind::MalformedJson,
                Kind::RequestTimeout,
            ],
        ),
        (changes_status, &[Kind::TransitionNotAllowed]),
        (changes, &[Kind::Conflict]),
        (
            true,
            &[
                Kind::Internal,
                Kind::Unavailable,
                Kind::Overloaded,
                Kind::Timeout,
            ],
        ),
    ];
    groups
        .iter()
        .filter(|(applies, _)| *applies)
        .flat_map(|(_, kinds)| kinds.iter().copied())
        .collect()
}

fn add_problems(operation: &mut Operation) {
    let mut by_status: BTreeMap<u16, Vec<Kind>> = BTreeMap::new();
    for kind in kinds(operation) {
        by_status
            .entry(kind.status().as_u16())
            .or_default()
            .push(kind);
    }
    for (status, kinds) in by_status {
        operation
            .responses
            .responses
            .insert(status.to_string(), RefOr::T(response(&kinds)));
    }
}

/// The response of one status, which all these kinds have.
fn response(kinds: &[Kind]) -> Response {
    let titles: Vec<_> = kinds
        .iter()
        .map(|kind| format!("{}.", kind.title()))
        .collect();
    let examples = kinds
        .iter()
        .map(|kind| (kind.name(), example_ref(kind.name())));
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Problem")))
        .examples_from_iter(examples)
        .build();
    ResponseBuilder::new()
        .description(titles.join(" "))
        .content(MEDIA_TYPE, content)
        .build()
}

/// Tells readers of the schema which values `type` has.
fn list_kinds(components: &mut Components) {
    let Some(RefOr::T(Schema::Object(problem))) = components.schemas.get_mut("Problem") else {
        unreachable!("the document names the schema of a problem");
    };
    if let Some(RefOr::T(Schema::Object(kind))) = problem.properties.get_mut("type") {
        kind.enum_values = Some(Kind::ALL.iter().map(|kind| json!(kind)).collect());
    }
}

/// A problem as it could be met.
fn example(kind: Kind) -> Problem {
    let problem = Problem::new(kind).trace_id(TRACE_ID);
    let detail = match kind {
        Kind::MalformedJson => "expected `,` or `}` at line 1 column 18",
        Kind::MalformedRequest => "If-Match is neither * nor a list of entity tags in quotes",
        Kind::TransitionNotAllowed => {
            "a task in status todo can become in_progress or cancelled, not done"
        }
        Kind::UnsupportedMediaType => "Content-Type must be application/json",
        Kind::ValidationFailed => {
            return Problem {
                errors: vec![FieldError::new("title", "must not be blank")],
                ..problem
            };
        }
        _ => return problem,
    };
    problem.detail(detail)
}

fn example_ref(name: &str) -> RefOr<Example> {
    RefOr::Ref(Ref::new(format!("#/components/examples/{name}")))
}
