//! Names of tags and their values: `/api/search/tags`, `/api/search/tag/{name}/values`, and the second version of both.

use std::sync::Arc;

use axum::{extract::State, http::HeaderMap, http::Uri, response::Response};
use percent_encoding::percent_decode_str;
use traceql::{Query, model::Scope};
use traces::{
    SearchMetrics, TagName, TagNames, TagScope, TagValues, TagValuesRequest, TagsRequest, TimeRange,
};

use super::{
    Shared, Tempo,
    answer::{self, Format},
    failure::Failure,
    not_found,
    params::Params,
    proto::Message,
    schema,
};

/// Names and values returned when the request names no number, and at most.
const LIMIT_MAX: usize = 10_000;
/// Scopes by the words of the API, in which `none` is every one.
const SCOPES: [(&str, TagScope); 6] = [
    ("span", TagScope::Attribute(Scope::Span)),
    ("resource", TagScope::Attribute(Scope::Resource)),
    ("event", TagScope::Attribute(Scope::Event)),
    ("link", TagScope::Attribute(Scope::Link)),
    (
        "instrumentation",
        TagScope::Attribute(Scope::Instrumentation),
    ),
    ("intrinsic", TagScope::Intrinsic),
];
/// What the first version calls some intrinsics, and TraceQL's name of them. It knows no others.
const V1_INTRINSICS: [(&str, &str); 5] = [
    ("name", "name"),
    ("rootName", "rootName"),
    ("root.name", "rootName"),
    ("rootServiceName", "rootServiceName"),
    ("root.service.name", "rootServiceName"),
];

/// All names in one sorted list; intrinsics only if asked for.
pub(super) async fn names_v1(
    State(tempo): Shared,
    params: Params,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    names(&tempo, &params, &headers, |found, is_scoped| {
        let listed = found
            .names
            .iter()
            .filter(|tag| is_scoped || tag.scope != TagScope::Intrinsic);
        let mut names: Vec<&str> = listed.map(|tag| tag.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let mut message = Message::default();
        for name in names {
            message.set_bytes(1, name.as_bytes());
        }
        message.message(
            2,
            &metadata_metrics(&found.metrics, found.partial.is_some()),
        );
        (&schema::TAGS, message)
    })
    .await
}

/// Names by scope.
pub(super) async fn names_v2(
    State(tempo): Shared,
    params: Params,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    names(&tempo, &params, &headers, |found, _| {
        let mut message = Message::default();
        for same_scope in found.names.chunk_by(|a, b| a.scope == b.scope) {
            message.message(1, &tags_of_scope(same_scope));
        }
        message.message(
            2,
            &metadata_metrics(&found.metrics, found.partial.is_some()),
        );
        (&schema::TAGS_V2, message)
    })
    .await
}

async fn names(
    tempo: &Tempo,
    params: &Params,
    headers: &HeaderMap,
    render: fn(&TagNames, bool) -> (&'static super::json::Schema, Message),
) -> Result<Response, Failure> {
    let range = params.search_range((tempo.now_ns)())?;
    let scope = scope(params)?;
    let request = TagsRequest {
        scope,
        query: filter(params),
        range,
        limit: limit(params),
    };
    let format = Format::accepted(headers);
    let store = Arc::clone(&tempo.store);
    let job = move || {
        let found = store.tag_names(&request)?;
        let (schema, message) = render(&found, scope.is_some());
        answer::render(format, schema, message)
    };
    tempo.work.scan(job).await
}

/// Values without their types, sorted.
pub(super) async fn values_v1(
    State(tempo): Shared,
    uri: Uri,
    params: Params,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let Some(name) = tag_name(&uri, "/api/search/tag/") else {
        return Ok(not_found().await);
    };
    let range = params.search_range((tempo.now_ns)())?;
    let known = V1_INTRINSICS.iter().find(|(v1, _)| *v1 == name);
    let tag = known.map_or_else(
        || format!(".{}", quoted(&name)),
        |(_, tag)| (*tag).to_owned(),
    );
    let request = values_request(tag, &params, range);
    values(&tempo, request, &headers, |found| {
        let mut values: Vec<&str> = found
            .values
            .iter()
            .map(|value| value.value.as_str())
            .collect();
        values.sort_unstable();
        values.dedup();
        let mut message = Message::default();
        for value in values {
            message.set_bytes(1, value.as_bytes());
        }
        message.message(
            2,
            &metadata_metrics(&found.metrics, found.partial.is_some()),
        );
        (&schema::TAG_VALUES, message)
    })
    .await
}

/// Values with their types, of a tag written as in TraceQL.
pub(super) async fn values_v2(
    State(tempo): Shared,
    uri: Uri,
    params: Params,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let Some(name) = tag_name(&uri, "/api/v2/search/tag/") else {
        return Ok(not_found().await);
    };
    let range = params.search_range((tempo.now_ns)())?;
    // It must be what TraceQL takes on the left of a comparison, and nothing else.
    traceql::parse(&format!("{{{name} != nil}}")).map_err(|error| {
        Failure::bad_request(format!(
            "please provide a valid tagName: failed to parse identifier {name}: {error}"
        ))
    })?;
    let request = values_request(name, &params, range);
    values(&tempo, request, &headers, |found| {
        let mut message = Message::default();
        for value in &found.values {
            let mut typed = Message::default();
            typed.text(1, value.kind);
            typed.text(2, &value.value);
            message.message(1, &typed);
        }
        message.message(
            2,
            &metadata_metrics(&found.metrics, found.partial.is_some()),
        );
        (&schema::TAG_VALUES_V2, message)
    })
    .await
}

async fn values(
    tempo: &Tempo,
    request: TagValuesRequest,
    headers: &HeaderMap,
    render: fn(&TagValues) -> (&'static super::json::Schema, Message),
) -> Result<Response, Failure> {
    let format = Format::accepted(headers);
    let store = Arc::clone(&tempo.store);
    let job = move || {
        let found = store.tag_values(&request)?;
        let (schema, message) = render(&found);
        answer::render(format, schema, message)
    };
    tempo.work.scan(job).await
}

fn values_request(tag: String, params: &Params, range: TimeRange) -> TagValuesRequest {
    TagValuesRequest {
        tag,
        query: filter(params),
        range,
        limit: limit(params),
    }
}

/// The part of the path between `prefix` and `/values`; `None` if it does not end so.
fn tag_name(uri: &Uri, prefix: &str) -> Option<String> {
    let name = uri.path().strip_prefix(prefix)?.strip_suffix("/values")?;
    let name = percent_decode_str(name).decode_utf8_lossy().into_owned();
    (!name.is_empty()).then_some(name)
}

fn scope(params: &Params) -> Result<Option<TagScope>, Failure> {
    let scope = params.get("scope").filter(|scope| *scope != "none");
    let Some(scope) = scope else {
        return Ok(None);
    };
    let known = SCOPES.iter().find(|(name, _)| *name == scope);
    let known = known.map(|(_, scope)| Some(*scope));
    known.ok_or_else(|| Failure::bad_request(format!("invalid scope: {scope}")))
}

/// A query that cannot be used does not narrow the answer: editors send what is typed so far.
fn filter(params: &Params) -> Option<Query> {
    let query = traceql::parse(params.get("q")?).ok()?;
    (!query.is_metrics()).then_some(query)
}

/// What is no number is none, as in Tempo.
fn limit(params: &Params) -> usize {
    let asked = params.get("limit").and_then(|text| text.parse().ok());
    asked
        .filter(|limit| *limit > 0)
        .map_or(LIMIT_MAX, |limit: usize| limit.min(LIMIT_MAX))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

fn tags_of_scope(tags: &[TagName]) -> Message {
    let mut message = Message::default();
    let scope = SCOPES
        .iter()
        .find(|(_, scope)| tags.first().is_some_and(|tag| tag.scope == *scope));
    message.text(1, scope.map_or("", |(name, _)| name));
    for tag in tags {
        message.set_bytes(2, tag.name.as_bytes());
    }
    message
}

/// `MetadataMetrics`, like [`super::search::search_metrics`].
fn metadata_metrics(metrics: &SearchMetrics, is_partial: bool) -> Message {
    let mut message = Message::default();
    message.number(1, metrics.inspected_bytes);
    message.number(2, 1 + u64::from(is_partial));
    message.number(3, 1);
    message
}
