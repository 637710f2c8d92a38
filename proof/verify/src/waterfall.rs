//! A trace as a reader sees it: its spans as bars, parents before children, and under each the log lines that it wrote.

use std::collections::{BTreeMap, HashMap, HashSet};

use base64::{Engine, engine::general_purpose::STANDARD};
use conventions::fields::SPAN_ID;
use serde::Serialize;
use serde_json::Value;

use crate::{apis::tempo::Span, clock::MARGIN_MS, run::Stage, sampling::TraceId};

/// Spans and log lines that are shown; of more the first.
const SPANS_MAX: usize = 300;
const LINES_MAX: usize = 300;

/// One trace.
#[derive(Clone, Debug, Serialize)]
pub struct Waterfall {
    /// What it is an example of.
    pub of: String,
    pub trace_id: String,
    /// Milliseconds from the first start to the last end.
    pub duration_ms: f64,
    pub spans: Vec<Bar>,
    /// Log lines of no span that is shown.
    pub lines: Vec<String>,
}

/// A span of it.
#[derive(Clone, Debug, Serialize)]
pub struct Bar {
    pub service: String,
    pub name: String,
    /// 0 for a root.
    pub depth: usize,
    /// After the first span of the trace.
    pub start_ms: f64,
    pub duration_ms: f64,
    pub is_error: bool,
    /// As they are stored.
    pub lines: Vec<String>,
}

impl Stage {
    /// The waterfall of a trace of which these spans were found, with its log lines where they can be read.
    pub(crate) async fn waterfall(&self, of: &str, id: TraceId, spans: &[Span]) -> Waterfall {
        let starts = spans.iter().map(|span| span.start_ns);
        let start_ms = i64::try_from(starts.min().unwrap_or(0) / 1_000_000).unwrap_or(0);
        let span_ms = (start_ms - MARGIN_MS, start_ms + 2 * MARGIN_MS);
        let lines = match &self.loki {
            // An illustration: whether lines are there is what checks say.
            Some(loki) => match loki.lines(&self.any_stream(), id, span_ms).await {
                Ok((lines, _)) => lines,
                Err(_) => Vec::new(),
            },
            None => Vec::new(),
        };
        Waterfall::new(of, id, spans, &lines)
    }

    /// Selects every log stream.
    pub(crate) fn any_stream(&self) -> String {
        format!("{{{}=~\".+\"}}", self.target.names.service)
    }
}

impl Waterfall {
    fn new(of: &str, id: TraceId, spans: &[Span], lines: &[Value]) -> Self {
        let first_ns = spans.iter().map(|span| span.start_ns).min().unwrap_or(0);
        let after = |ns: u64| (ns - first_ns) as f64 / 1e6;
        let mut written: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in lines.iter().take(LINES_MAX) {
            let span = line[SPAN_ID].as_str().unwrap_or_default().to_owned();
            written.entry(span).or_default().push(line.to_string());
        }
        let ends = spans
            .iter()
            .map(|span| after(span.start_ns) + span.duration_ms);
        let duration_ms = ends.fold(0.0, f64::max);
        let spans = in_tree(spans)
            .into_iter()
            .map(|(depth, span)| Bar {
                service: span.service.clone(),
                name: span.name.clone(),
                depth,
                start_ms: after(span.start_ns),
                duration_ms: span.duration_ms,
                is_error: span.is_error,
                lines: written.remove(&hexadecimal(&span.id)).unwrap_or_default(),
            })
            .collect();
        Self {
            of: of.to_owned(),
            trace_id: id.to_string(),
            duration_ms,
            spans,
            lines: written.into_values().flatten().collect(),
        }
    }
}

/// Each span with its depth, parents before children, the earlier of siblings first. A circle of parents is no part of a tree.
fn in_tree(spans: &[Span]) -> Vec<(usize, &Span)> {
    let known: HashSet<&str> = spans.iter().map(|span| &*span.id).collect();
    let mut children: HashMap<Option<&str>, Vec<&Span>> = HashMap::new();
    for span in spans {
        let parent = Some(&*span.parent_id).filter(|parent| known.contains(parent));
        children.entry(parent).or_default().push(span);
    }
    for siblings in children.values_mut() {
        siblings.sort_by_key(|span| std::cmp::Reverse(span.start_ns));
    }
    let mut waiting: Vec<(usize, &Span)> = Vec::new();
    let push = |parent, depth, waiting: &mut Vec<_>, children: &mut HashMap<_, Vec<_>>| {
        let own = children.remove(&parent).unwrap_or_default();
        waiting.extend(own.into_iter().map(|span| (depth, span)));
    };
    push(None, 0, &mut waiting, &mut children);
    let mut ordered = Vec::new();
    while let Some((depth, span)) = waiting.pop() {
        if ordered.len() == SPANS_MAX {
            break;
        }
        ordered.push((depth, span));
        push(Some(&*span.id), depth + 1, &mut waiting, &mut children);
    }
    ordered
}

/// As log lines write the id of a span, which the JSON of traces has in base64.
fn hexadecimal(id: &str) -> String {
    match STANDARD.decode(id) {
        Ok(bytes) if bytes.len() == 8 => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        _ => id.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn span(id: &str, parent: &str, start_ns: u64) -> Span {
        Span {
            start_ns,
            duration_ms: 2.0,
            ..Span::sample("", id, parent)
        }
    }

    #[test]
    fn parents_come_before_children_and_the_earlier_first() {
        let spans = [
            span("late", "root", 3_000_000),
            span("grandchild", "early", 2_500_000),
            span("root", "outside", 1_000_000),
            span("early", "root", 2_000_000),
            span("circle", "circle", 1_000_000),
        ];
        let shown = Waterfall::new("x", TraceId([1; 16]), &spans, &[]);
        let names: Vec<(&str, usize)> = shown
            .spans
            .iter()
            .map(|bar| (&*bar.name, bar.depth))
            .collect();
        assert_eq!(
            names,
            [("root", 0), ("early", 1), ("grandchild", 2), ("late", 1)]
        );
        assert_eq!(shown.spans[1].start_ms, 1.0);
        assert_eq!(shown.duration_ms, 4.0);
    }

    #[test]
    fn a_line_stands_under_the_span_that_wrote_it() {
        let id = STANDARD.encode([1, 2, 3, 4, 5, 6, 7, 8]);
        let lines = [
            json!({SPAN_ID: "0102030405060708", "message": "own"}),
            json!({"message": "of nobody"}),
        ];
        let shown = Waterfall::new("x", TraceId([1; 16]), &[span(&id, "", 1)], &lines);
        assert!(shown.spans[0].lines[0].contains("own"));
        assert!(shown.lines[0].contains("of nobody"));
    }
}
