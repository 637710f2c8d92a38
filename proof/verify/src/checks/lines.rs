//! What log lines must say: their trace, their service, and nothing of traces that nobody knows. Pure: reading them is `join`'s.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use conventions::fields::{TRACE_SCOPE, TRACE_SCOPE_PROCESS};
use serde_json::Value;

use super::{join::told, traces::Found};
use crate::{
    apis::{
        loki::Line,
        tempo::{CONSUMER, SERVER},
    },
    evidence::Check,
    http::Answer,
    sampling::TraceId,
    target::Names,
};

/// Characters of a line that are told.
const LINE_CHARS_MAX: usize = 200;

/// Each service that served or processed something in a kept trace has written a line of it.
pub(super) fn of_traces(found: &[Found], lines: &[Line], names: &Names, answer: &Answer) -> Check {
    let written: HashSet<(String, String)> = lines
        .iter()
        .filter_map(|line| service_and_trace(line, names))
        .collect();
    let (mut expected, mut silent) = (0, Vec::new());
    for found in found {
        let spans = found.spans.iter().flatten();
        let services: BTreeSet<&String> = spans
            .filter(|span| [SERVER, CONSUMER].contains(&&*span.kind))
            .map(|span| &span.service)
            .collect();
        expected += services.len();
        silent.extend(
            services
                .into_iter()
                .filter(|service| !written.contains(&((*service).clone(), found.id.to_string())))
                .map(|service| format!("{service} in {}", found.id)),
        );
    }
    Check::judged(
        "traces-have-lines",
        "no kept trace is without a log line of each service that worked on it",
        expected > 0 && silent.is_empty(),
    )
    .expected(format!(
        "{expected} services in {} traces, a line of each",
        found.len()
    ))
    .observed(match silent.len() {
        0 => "all of them".to_owned(),
        count => format!("{count} are silent: {}", told(&silent)),
    })
    .asked([answer])
}

/// Each line is JSON, has a trace id, and says the same service as its stream.
pub(super) fn named(lines: &[Line], names: &Names, answer: &Answer) -> Check {
    let is_named = |line: &&Line| {
        let label = line.labels.get(&names.service);
        service_and_trace(line, names).is_some_and(|(service, _)| Some(&service) == label)
    };
    let odd: Vec<String> = lines
        .iter()
        .filter(|line| !is_named(line))
        .map(shortened)
        .collect();
    Check::judged(
        "lines-are-named",
        "every log line names its trace and its service",
        !lines.is_empty() && odd.is_empty(),
    )
    .expected("a trace id, and the service of its stream, in each line")
    .observed(match odd.len() {
        0 => format!("{} lines, all of them with both", lines.len()),
        count => format!("{count} of {} without: {}", lines.len(), told(&odd)),
    })
    .asked([answer])
}

/// No line's trace is neither a request that was made nor the start of a process.
pub(super) fn orphans(
    lines: &[Line],
    made: &HashSet<TraceId>,
    names: &Names,
    answer: &Answer,
) -> Check {
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    let mut orphans = Vec::new();
    for line in lines {
        let value: Value = serde_json::from_str(&line.text).unwrap_or_default();
        let id = value[&names.trace_id].as_str().and_then(TraceId::parse);
        let of = match id {
            Some(id) if made.contains(&id) => "requests",
            _ if value[TRACE_SCOPE] == TRACE_SCOPE_PROCESS => "processes",
            _ => {
                orphans.push(shortened(line));
                "nobody"
            }
        };
        *count.entry(of).or_default() += 1;
    }
    let counts: Vec<String> = count
        .iter()
        .map(|(of, lines)| format!("{lines} of {of}"))
        .collect();
    Check::judged(
        "no-orphan-lines",
        "every log line belongs to a request that was made or to the start of a process",
        !lines.is_empty() && orphans.is_empty(),
    )
    .expected("no line of nobody")
    .observed(match orphans.len() {
        0 => counts.join(", "),
        _ => format!("{}: {}", counts.join(", "), told(&orphans)),
    })
    .asked([answer])
}

fn shortened(line: &Line) -> String {
    line.text.chars().take(LINE_CHARS_MAX).collect()
}

fn service_and_trace(line: &Line, names: &Names) -> Option<(String, String)> {
    let value: Value = serde_json::from_str(&line.text).ok()?;
    let trace_id = value[&names.trace_id].as_str()?;
    TraceId::parse(trace_id)?;
    let service = value[&names.service].as_str()?;
    Some((service.to_owned(), trace_id.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{apis::tempo::Span, evidence::Verdict};

    fn line(text: String) -> Line {
        Line {
            t_ns: 1,
            labels: BTreeMap::from([("service".to_owned(), "gateway".to_owned())]),
            text,
        }
    }

    fn good(id: TraceId) -> Line {
        line(format!(r#"{{"trace_id":"{id}","service":"gateway"}}"#))
    }

    fn trace(id: TraceId) -> Found {
        Found {
            id,
            spans: Some(vec![Span::sample(SERVER, "1", "")]),
            answer: Answer::empty(),
        }
    }

    #[test]
    fn a_service_without_a_line_in_its_trace_is_noticed() {
        let (names, id) = (Names::default(), TraceId::random());
        let verdict = |found: &[Found], lines: &[Line]| {
            of_traces(found, lines, &names, &Answer::empty()).verdict
        };
        assert_eq!(verdict(&[trace(id)], &[good(id)]), Verdict::Held);
        let other = good(TraceId::random());
        assert_eq!(verdict(&[trace(id)], &[other]), Verdict::Failed);
        assert_eq!(verdict(&[trace(id)], &[]), Verdict::Failed);
        assert_eq!(verdict(&[], &[good(id)]), Verdict::Failed);
    }

    #[test]
    fn a_line_without_trace_or_of_another_service_is_noticed() {
        let (names, id) = (Names::default(), TraceId::random());
        let verdict = |line: Line| named(&[line], &names, &Answer::empty()).verdict;
        assert_eq!(verdict(good(id)), Verdict::Held);
        for text in [
            "no JSON".to_owned(),
            r#"{"service":"gateway"}"#.to_owned(),
            r#"{"trace_id":"1","service":"gateway"}"#.to_owned(),
            format!(r#"{{"trace_id":"{id}","service":"other"}}"#),
            format!(r#"{{"trace_id":"{id}"}}"#),
        ] {
            assert_eq!(verdict(line(text.clone())), Verdict::Failed, "{text}");
        }
    }

    #[test]
    fn a_line_of_nobody_is_an_orphan() {
        let (names, id) = (Names::default(), TraceId::random());
        let made = HashSet::from([id]);
        let verdict = |line: Line| orphans(&[line], &made, &names, &Answer::empty()).verdict;
        assert_eq!(verdict(good(id)), Verdict::Held);
        assert_eq!(verdict(good(TraceId::random())), Verdict::Failed);
        let start = TraceId::random();
        let started = format!(
            r#"{{"trace_id":"{start}","service":"gateway","{TRACE_SCOPE}":"{TRACE_SCOPE_PROCESS}"}}"#
        );
        assert_eq!(verdict(line(started)), Verdict::Held);
    }
}
