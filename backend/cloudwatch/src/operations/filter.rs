//! FilterLogEvents: the events of a group that a pattern selects, of all its streams together in the order of time.
//!
//! A page ends when it is full or when enough has been read for it, with a token either way: like the service's, a page can be
//! empty and have a token.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
};

use logql::{Direction, Entry, Hint, Selection};
use serde::Deserialize;
use serde_json::{Value, json};
use tsdb::{Match, Matcher};

use super::page::{EVENTS_MAX, Room, start_ns};
use crate::{
    events::{self, Position},
    names,
    pattern::FilterPattern,
    refusal::Refusal,
    service::Service,
};

/// Streams that a request may name.
const STREAM_NAMES_MAX: usize = 100;
/// Bytes of messages that are read for one page: about a second of judging.
const READ_BYTES_MAX: u64 = 256 << 20;

/// `interleaved` is ignored, as the service does since 2019: it is not even a member here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FilterEvents {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_names: Option<Vec<String>>,
    log_stream_name_prefix: Option<String>,
    start_time: Option<i64>,
    end_time: Option<i64>,
    filter_pattern: Option<String>,
    next_token: Option<String>,
    limit: Option<i64>,
}

/// What is read: streams by number with their names, and from where.
struct Scope {
    streams: BTreeMap<u64, String>,
    start_ns: i64,
}

struct Page {
    events: Vec<Value>,
    /// Where the next page begins, when there may be one.
    next: Option<Position>,
}

pub(crate) fn filter_events(service: &Service, request: &FilterEvents) -> Result<Value, Refusal> {
    let group = names::group_of(
        request.log_group_name.as_deref(),
        request.log_group_identifier.as_deref(),
    )?;
    check_names(request)?;
    let limit = names::limit(request.limit, EVENTS_MAX, EVENTS_MAX)?;
    let pattern = FilterPattern::parse(request.filter_pattern.as_deref().unwrap_or(""))?;
    let after = request.next_token.as_deref().map(position).transpose()?;
    if let (Some(start), Some(end)) = (request.start_time, request.end_time)
        && start > end
    {
        return Err(Refusal::invalid("startTime cannot be after endTime"));
    }
    let scope = scope(service, group, request)?;
    let page = read(
        service,
        group,
        &scope,
        request.end_time,
        &pattern,
        after,
        limit,
    )?;
    // The service has answered with an empty list since it searches everything.
    let mut answer = json!({ "events": page.events, "searchedLogStreams": [] });
    if let Some(next) = page.next {
        answer["nextToken"] = json!(token(next));
    }
    Ok(answer)
}

fn check_names(request: &FilterEvents) -> Result<(), Refusal> {
    let Some(names) = &request.log_stream_names else {
        return Ok(());
    };
    if request.log_stream_name_prefix.is_some() {
        return Err(Refusal::invalid(
            "logStreamNames and logStreamNamePrefix are mutually exclusive",
        ));
    }
    if names.is_empty() {
        let constraint = "have length greater than or equal to 1";
        return Err(Refusal::constraint("logStreamNames", constraint));
    }
    if names.len() > STREAM_NAMES_MAX {
        let constraint = format!("have length less than or equal to {STREAM_NAMES_MAX}");
        return Err(Refusal::constraint("logStreamNames", &constraint));
    }
    Ok(())
}

fn scope(service: &Service, group: &str, request: &FilterEvents) -> Result<Scope, Refusal> {
    let catalogue = service.catalogue();
    let known = catalogue
        .group(group)
        .ok_or_else(|| Refusal::not_found("log group"))?;
    let streams = match &request.log_stream_names {
        Some(names) => {
            let find = |name: &String| {
                catalogue
                    .stream(group, name)
                    .map(|stream| (stream.id, stream.name.clone()))
                    .ok_or_else(|| Refusal::not_found("log stream"))
            };
            let names: BTreeSet<&String> = names.iter().collect();
            names.into_iter().map(find).collect::<Result<_, _>>()?
        }
        None => {
            let prefix = request.log_stream_name_prefix.as_deref().unwrap_or("");
            catalogue
                .streams(group)
                .filter(|stream| stream.name.starts_with(prefix))
                .map(|stream| (stream.id, stream.name.clone()))
                .collect()
        }
    };
    Ok(Scope {
        streams,
        start_ns: start_ns(known, request.start_time, service.now_ms()),
    })
}

fn read(
    service: &Service,
    group: &str,
    scope: &Scope,
    end_ms: Option<i64>,
    pattern: &FilterPattern,
    after: Option<Position>,
    limit: usize,
) -> Result<Page, Refusal> {
    let mut page = Page {
        events: Vec::new(),
        next: None,
    };
    // The end belongs to it, unlike that of GetLogEvents.
    let end_ns = end_ms.map_or(i64::MAX, |end_ms| events::ns(end_ms.saturating_add(1)));
    let start_ns = after.map_or(scope.start_ns, |after| scope.start_ns.max(after.t_ns));
    if scope.streams.is_empty() || start_ns >= end_ns {
        return Ok(page);
    }
    let matchers = matchers(group, &scope.streams);
    let hints: Vec<Hint> = pattern.hints();
    let selection = Selection {
        matchers: &matchers,
        range_ns: start_ns..end_ns,
        direction: Direction::Forward,
        hints: &hints,
    };
    let mut room = Room::new(limit);
    let mut read_bytes = 0;
    let mut last = after;
    service.events.scan(&selection, &mut |labels, entry| {
        let here = Position {
            t_ns: entry.t_ns,
            stream_id: events::stream_id(labels),
        };
        let Some(stream) = scope.streams.get(&here.stream_id) else {
            return ControlFlow::Continue(());
        };
        if after.is_some_and(|after| here <= after) {
            return ControlFlow::Continue(());
        }
        let matches = pattern.matches(entry.line);
        if read_bytes >= READ_BYTES_MAX || matches && !room.takes(entry.line) {
            page.next = last;
            return ControlFlow::Break(());
        }
        read_bytes += entry.line.len() as u64;
        last = Some(here);
        if matches {
            page.events.push(event(stream, here, &entry));
        }
        ControlFlow::Continue(())
    })?;
    Ok(page)
}

/// One stream is selected by its number; several by their group, and then one by one.
fn matchers(group: &str, streams: &BTreeMap<u64, String>) -> Vec<Matcher> {
    let equal = |name: &str, value: String| Matcher {
        name: name.into(),
        matches: Match::Equal(value.into()),
    };
    let mut ids = streams.keys();
    match (ids.next(), ids.next()) {
        (Some(id), None) => vec![equal(events::ID, format!("{id:020}"))],
        _ => vec![equal(events::LOG_GROUP, group.to_owned())],
    }
}

fn event(stream: &str, at: Position, entry: &Entry<'_>) -> Value {
    json!({
        "logStreamName": stream,
        "timestamp": events::time_ms(entry),
        "message": entry.line,
        "ingestionTime": events::ingestion_ms(entry),
        // As long as the service's own: no other event has this place.
        "eventId": format!("{:028}{:028}", at.t_ns, at.stream_id),
    })
}

fn token(position: Position) -> String {
    format!("{}/{}", position.t_ns, position.stream_id)
}

fn position(token: &str) -> Result<Position, Refusal> {
    let parse = || {
        let (t_ns, stream_id) = token.split_once('/')?;
        Some(Position {
            t_ns: t_ns.parse().ok()?,
            stream_id: stream_id.parse().ok()?,
        })
    };
    parse().ok_or_else(names::bad_token)
}
