//! Streams of a group: made, deleted, described.

use serde::Deserialize;
use serde_json::{Value, json};

use super::groups;
use crate::{catalogue::Stream, names, refusal::Refusal, service::Service};

/// Streams of one page.
const PAGE_MAX: usize = 50;
const WHAT: &str = "log stream";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NamedStream {
    log_group_name: String,
    log_stream_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DescribeStreams {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_name_prefix: Option<String>,
    order_by: Option<OrderBy>,
    descending: Option<bool>,
    limit: Option<i64>,
    next_token: Option<String>,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
enum OrderBy {
    LogStreamName,
    LastEventTime,
}

pub(crate) fn create_stream(service: &Service, request: NamedStream) -> Result<(), Refusal> {
    let group = names::group(&request.log_group_name)?;
    let name = names::stream(&request.log_stream_name)?;
    let _changing = service.changing();
    let mut catalogue = service.catalogue();
    if catalogue.group(group).is_none() {
        return Err(Refusal::not_found("log group"));
    }
    catalogue
        .create_stream(group, name, service.now_ms())
        .map_err(|error| Refusal::change(&error, WHAT))
}

pub(crate) fn delete_stream(service: &Service, request: NamedStream) -> Result<(), Refusal> {
    let group = names::group(&request.log_group_name)?;
    let name = names::stream(&request.log_stream_name)?;
    let _changing = service.changing();
    let mut catalogue = service.catalogue();
    if catalogue.group(group).is_none() {
        return Err(Refusal::not_found("log group"));
    }
    catalogue
        .delete_stream(group, name)
        .map_err(|error| Refusal::change(&error, WHAT))
}

/// The token is the place of the last stream of the page before, in the order that was asked for.
pub(crate) fn describe_streams(
    service: &Service,
    request: DescribeStreams,
) -> Result<Value, Refusal> {
    let group = names::group_of(
        request.log_group_name.as_deref(),
        request.log_group_identifier.as_deref(),
    )?;
    let limit = names::limit(request.limit, PAGE_MAX, PAGE_MAX)?;
    let by_time = request.order_by == Some(OrderBy::LastEventTime);
    if by_time && request.log_stream_name_prefix.is_some() {
        return Err(Refusal::invalid(
            "Cannot order by LastEventTime with a logStreamNamePrefix.",
        ));
    }
    let prefix = request.log_stream_name_prefix.as_deref().unwrap_or("");
    let descending = request.descending.unwrap_or(false);
    let after = request.next_token.as_deref().map(place_of).transpose()?;
    let catalogue = service.catalogue();
    if catalogue.group(group).is_none() {
        return Err(Refusal::not_found("log group"));
    }
    let mut found: Vec<(Place<'_>, &Stream)> = catalogue
        .streams(group)
        .filter(|stream| stream.name.starts_with(prefix))
        .map(|stream| (place(stream, by_time), stream))
        .collect();
    found.sort_unstable_by_key(|(place, _)| *place);
    if descending {
        found.reverse();
    }
    found.retain(|(place, _)| match after {
        None => true,
        Some(after) if descending => *place < after,
        Some(after) => *place > after,
    });
    let more = found.len() > limit;
    found.truncate(limit);
    let described: Vec<Value> = found
        .iter()
        .map(|(_, stream)| describe(service, stream))
        .collect();
    let mut answer = json!({ "logStreams": described });
    if let Some(((time, name), _)) = found.last().filter(|_| more) {
        answer["nextToken"] = json!(format!("{time}/{name}"));
    }
    Ok(answer)
}

/// The time of the last event, or 0 where names alone decide or there is none; and the name.
type Place<'s> = (i64, &'s str);

fn place(stream: &Stream, by_time: bool) -> Place<'_> {
    let times = stream.ingested.filter(|_| by_time);
    (times.map_or(0, |times| times.last_event_ms), &stream.name)
}

fn place_of(token: &str) -> Result<Place<'_>, Refusal> {
    let (time, name) = token.split_once('/').ok_or_else(names::bad_token)?;
    Ok((time.parse().map_err(|_| names::bad_token())?, name))
}

fn describe(service: &Service, stream: &Stream) -> Value {
    let mut described = json!({
        "logStreamName": stream.name,
        "creationTime": stream.created_ms,
        "arn": format!("{}:log-stream:{}", groups::arn(service, &stream.group), stream.name),
        // The service has not counted it by stream since 2019.
        "storedBytes": 0,
        "uploadSequenceToken": super::put::sequence_token(stream.sequence),
    });
    if let Some(times) = stream.ingested {
        described["firstEventTimestamp"] = json!(times.first_event_ms);
        described["lastEventTimestamp"] = json!(times.last_event_ms);
        described["lastIngestionTime"] = json!(times.last_ingestion_ms);
    }
    described
}
