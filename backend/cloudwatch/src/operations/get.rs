//! GetLogEvents: one stream, page by page in both directions.
//!
//! A token says which way it goes and after which time; times are unique in a stream. A page without events answers with the very
//! token that asked for it: so clients know that they are at the end.

use std::ops::{ControlFlow, Range};

use logql::{Direction, Selection};
use serde::Deserialize;
use serde_json::{Value, json};
use tsdb::{Match, Matcher};

use super::page::{EVENTS_MAX, Room, start_ns};
use crate::{events, names, refusal::Refusal, service::Service};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GetEvents {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_name: String,
    start_time: Option<i64>,
    end_time: Option<i64>,
    next_token: Option<String>,
    limit: Option<i64>,
    start_from_head: Option<bool>,
}

/// Where a page begins: events after this time, or before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Forward(i64),
    Backward(i64),
}

pub(crate) fn get_events(service: &Service, request: &GetEvents) -> Result<Value, Refusal> {
    let group = names::group_of(
        request.log_group_name.as_deref(),
        request.log_group_identifier.as_deref(),
    )?;
    let stream = names::stream(&request.log_stream_name)?;
    let limit = names::limit(request.limit, EVENTS_MAX, EVENTS_MAX)?;
    let token = request
        .next_token
        .as_deref()
        .map(Token::parse)
        .transpose()?;
    let (id, start_ns) = {
        let catalogue = service.catalogue();
        let group_known = catalogue
            .group(group)
            .ok_or_else(|| Refusal::not_found("log group"))?;
        let stream = catalogue
            .stream(group, stream)
            .ok_or_else(|| Refusal::not_found("log stream"))?;
        let start_ns = start_ns(group_known, request.start_time, service.now_ms());
        (stream.id, start_ns)
    };
    // The end does not belong to it, unlike that of FilterLogEvents.
    let mut range = start_ns..request.end_time.map_or(i64::MAX, events::ns);
    match token {
        Some(Token::Forward(t_ns)) => range.start = range.start.max(t_ns.saturating_add(1)),
        Some(Token::Backward(t_ns)) => range.end = range.end.min(t_ns),
        None => {}
    }
    let forward = match token {
        Some(token) => matches!(token, Token::Forward(_)),
        None => request.start_from_head.unwrap_or(false),
    };
    let page = read(service, id, range, forward, limit)?;
    let (before, after) = tokens(&page, token, start_ns);
    let events: Vec<Value> = page.into_iter().map(|(_, event)| event).collect();
    Ok(json!({
        "events": events,
        "nextForwardToken": after.to_string(),
        "nextBackwardToken": before.to_string(),
    }))
}

/// Events with their times, oldest first.
fn read(
    service: &Service,
    id: u64,
    range_ns: Range<i64>,
    forward: bool,
    limit: usize,
) -> Result<Vec<(i64, Value)>, Refusal> {
    let mut page = Vec::new();
    if range_ns.is_empty() {
        return Ok(page);
    }
    let matcher = Matcher {
        name: events::ID.into(),
        matches: Match::Equal(format!("{id:020}").into()),
    };
    let selection = Selection {
        matchers: &[matcher],
        range_ns,
        direction: if forward {
            Direction::Forward
        } else {
            Direction::Backward
        },
        hints: &[],
    };
    let mut room = Room::new(limit);
    service.events.scan(&selection, &mut |_, entry| {
        if !room.takes(entry.line) {
            return ControlFlow::Break(());
        }
        let event = json!({
            "timestamp": events::time_ms(&entry),
            "message": entry.line,
            "ingestionTime": events::ingestion_ms(&entry),
        });
        page.push((entry.t_ns, event));
        ControlFlow::Continue(())
    })?;
    if !forward {
        page.reverse();
    }
    Ok(page)
}

/// Where to read on, backward and forward. Beside the token that found nothing stands the one that turns around.
fn tokens(page: &[(i64, Value)], asked: Option<Token>, start_ns: i64) -> (Token, Token) {
    match (page, asked) {
        ([(first, _), ..], _) => {
            let last = page.last().map_or(*first, |(t_ns, _)| *t_ns);
            (Token::Backward(*first), Token::Forward(last))
        }
        ([], Some(Token::Forward(t_ns))) => (
            Token::Backward(t_ns.saturating_add(1)),
            Token::Forward(t_ns),
        ),
        ([], Some(Token::Backward(t_ns))) => (
            Token::Backward(t_ns),
            Token::Forward(t_ns.saturating_sub(1)),
        ),
        // Nothing yet: whatever comes is after it.
        ([], None) => (
            Token::Backward(start_ns),
            Token::Forward(start_ns.saturating_sub(1)),
        ),
    }
}

impl Token {
    fn parse(text: &str) -> Result<Self, Refusal> {
        let (direction, rest) = text.split_once('/').ok_or_else(names::bad_token)?;
        let t_ns = rest
            .strip_suffix("/s")
            .and_then(|digits| digits.parse::<u64>().ok())
            .map(|biased| biased.wrapping_add(i64::MIN as u64) as i64)
            .ok_or_else(names::bad_token)?;
        match direction {
            "f" => Ok(Self::Forward(t_ns)),
            "b" => Ok(Self::Backward(t_ns)),
            _ => Err(names::bad_token()),
        }
    }
}

/// As long as the service's own, and never negative.
impl std::fmt::Display for Token {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (direction, t_ns) = match self {
            Self::Forward(t_ns) => ('f', *t_ns),
            Self::Backward(t_ns) => ('b', *t_ns),
        };
        let biased = (t_ns as u64).wrapping_sub(i64::MIN as u64);
        write!(formatter, "{direction}/{biased:056}/s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_written() {
        for t_ns in [i64::MIN, -1, 0, 1, i64::MAX] {
            for token in [Token::Forward(t_ns), Token::Backward(t_ns)] {
                assert_eq!(Token::parse(&token.to_string()), Ok(token));
            }
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for text in [
            "",
            "f",
            "f/",
            "f/1",
            "x/1/s",
            "f/-1/s",
            "f/99999999999999999999/s",
            "f/1/s/",
        ] {
            assert_eq!(Token::parse(text), Err(names::bad_token()), "{text}");
        }
    }
}
