//! A trace as text: one line per span with its place in the tree, its bar on the time axis, its duration and its outcome.
//!
//! What comes from a span is untrusted: control characters are replaced before they reach a terminal.

use std::fmt::Write;

use conventions::spans::{
    DB_RESPONSE_STATUS_CODE, ERROR_TYPE, HTTP_RESPONSE_STATUS_CODE, TRIPOD_JOB_ATTEMPT,
};

use super::{
    joined::{Exemplar, Line},
    trace::{Span, Trace},
};

/// Columns of the duration: `9999.99 ms`.
const DURATION_COLUMNS: usize = 11;
/// Longest tree and name part; what is longer is cut.
const NAME_COLUMNS_MAX: usize = 60;
/// Columns of the bar at least.
const BAR_COLUMNS_MIN: usize = 16;

/// Columns of a log line at least.
const LINE_COLUMNS_MIN: usize = 40;

/// How it is printed.
#[derive(Debug)]
pub(crate) struct Style {
    pub(crate) columns: usize,
    /// Every attribute on a line of its own.
    pub(crate) attributes: bool,
}

/// The whole text, with a line break at the end. Each log line stands under the span that wrote it, those of no span at the end.
pub(crate) fn render(trace: &Trace, lines: &[Line], style: &Style) -> String {
    let mut text = header(trace);
    let services = trace.services();
    let service_columns = widest(services.iter().copied());
    let names: Vec<String> = trace.spans.iter().map(name).collect();
    let name_columns = widest(names.iter().map(String::as_str)).min(NAME_COLUMNS_MAX);
    let outcomes: Vec<String> = trace.spans.iter().map(outcome).collect();
    let outcome_columns = widest(outcomes.iter().map(String::as_str));
    let used = service_columns + name_columns + DURATION_COLUMNS + outcome_columns + 6;
    let bar_columns = style.columns.saturating_sub(used).max(BAR_COLUMNS_MIN);
    for ((span, name), outcome) in trace.spans.iter().zip(&names).zip(&outcomes) {
        let line = format!(
            "{}  {}  {}{:>DURATION_COLUMNS$}  {outcome}",
            fit(&clean(&span.service), service_columns),
            fit(name, name_columns),
            bar(trace, span, bar_columns),
            duration(span.end_ns - span.start_ns),
        );
        text.push_str(line.trim_end());
        text.push('\n');
        if style.attributes {
            attributes(&mut text, span, service_columns + 2);
        }
        for line in lines.iter().filter(|line| line.span_id == span.id) {
            log_line(
                &mut text,
                line,
                service_columns + 2,
                span.depth,
                style.columns,
            );
        }
    }
    let is_of_no_span = |line: &&Line| trace.spans.iter().all(|span| span.id != line.span_id);
    let others: Vec<Line> = lines.iter().filter(is_of_no_span).cloned().collect();
    text.push_str(&render_lines(&others, style));
    text
}

/// Log lines alone, with a heading; nothing if there are none.
pub(crate) fn render_lines(lines: &[Line], style: &Style) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let mut text = "\nlog lines of spans that are not stored\n".to_owned();
    let service_columns = widest(lines.iter().map(|line| line.service.as_str()));
    for line in lines {
        text.push_str(&fit(&clean(&line.service), service_columns));
        log_line(&mut text, line, 2, 0, style.columns);
    }
    text
}

/// Metrics that lead to the trace; nothing if there are none.
pub(crate) fn render_exemplars(exemplars: &[Exemplar], style: &Style) -> String {
    if exemplars.is_empty() {
        return String::new();
    }
    let mut text = "\nexemplars that name it\n".to_owned();
    for exemplar in exemplars {
        let line = format!("{}  {}", clean(&exemplar.series), clean(&exemplar.value));
        text.push_str(fit(&line, style.columns.max(line.chars().count())).trim_end());
        text.push('\n');
    }
    text
}

fn log_line(text: &mut String, line: &Line, indent: usize, depth: usize, columns: usize) {
    let whole = format!(
        "{:indent$}{}  ▏{} {}",
        "",
        "  ".repeat(depth),
        clean(&line.level),
        clean(&line.message)
    );
    let cut = fit(&whole, columns.max(indent + 2 * depth + LINE_COLUMNS_MIN));
    text.push_str(cut.trim_end());
    text.push('\n');
}

fn header(trace: &Trace) -> String {
    let errors = trace.spans.iter().filter(|span| span.error).count();
    let start = i128::from(trace.start_ns);
    let start = jiff::Timestamp::from_nanosecond(start)
        .map(|time| format!("{time:.3}"))
        .unwrap_or_default();
    format!(
        "trace {}  {}  {}  {} spans of {}{}\n\n",
        trace.id,
        start,
        duration(trace.end_ns - trace.start_ns),
        trace.spans.len(),
        clean(&trace.services().join(", ")),
        match errors {
            0 => String::new(),
            1 => ", 1 error".to_owned(),
            _ => format!(", {errors} errors"),
        }
    )
}

fn name(span: &Span) -> String {
    let kind = match span.kind {
        "" => String::new(),
        kind => format!(" [{kind}]"),
    };
    let orphan = if span.orphan {
        "(parent not stored) "
    } else {
        ""
    };
    format!(
        "{}{orphan}{}{kind}",
        "  ".repeat(span.depth),
        clean(&span.name)
    )
}

/// What became of the operation: status code, error type, attempt, late.
fn outcome(span: &Span) -> String {
    let mut parts = Vec::new();
    let codes = [HTTP_RESPONSE_STATUS_CODE, DB_RESPONSE_STATUS_CODE];
    parts.extend(
        codes
            .iter()
            .find_map(|code| span.attribute(code))
            .map(clean),
    );
    if span.error {
        parts.push("ERROR".to_owned());
    }
    let error_type = span.attribute(ERROR_TYPE).map(clean);
    parts.extend(error_type.filter(|error_type| !parts.contains(error_type)));
    let attempt = span.attribute(TRIPOD_JOB_ATTEMPT);
    parts.extend(
        attempt
            .filter(|attempt| *attempt != "1")
            .map(|attempt| format!("attempt {}", clean(attempt))),
    );
    if span.late {
        parts.push("late".to_owned());
    }
    parts.join(" ")
}

/// The span's part of the time axis; at least one cell, so that no span is invisible.
fn bar(trace: &Trace, span: &Span, columns: usize) -> String {
    let total = (trace.end_ns - trace.start_ns).max(1) as f64;
    let cell = |time: u64| ((time - trace.start_ns) as f64 / total * columns as f64) as usize;
    let from = cell(span.start_ns).min(columns - 1);
    let to = cell(span.end_ns).clamp(from + 1, columns);
    let fill = if span.error { "▓" } else { "█" };
    format!(
        "{}{}{}",
        "·".repeat(from),
        fill.repeat(to - from),
        "·".repeat(columns - to)
    )
}

fn attributes(text: &mut String, span: &Span, indent: usize) {
    for (key, value) in &span.attributes {
        writeln!(
            text,
            "{:indent$}{}  {} = {}",
            "",
            "  ".repeat(span.depth),
            clean(key),
            clean(value)
        )
        .expect("a string takes every line");
    }
}

fn duration(nanoseconds: u64) -> String {
    let milliseconds = nanoseconds as f64 / 1e6;
    if milliseconds >= 10_000.0 {
        format!("{:.2} s", milliseconds / 1e3)
    } else {
        format!("{milliseconds:.2} ms")
    }
}

/// Without control characters, which a terminal would obey.
fn clean(text: &str) -> String {
    text.chars()
        .map(|character| {
            if character.is_control() {
                '�'
            } else {
                character
            }
        })
        .collect()
}

/// Exactly this many columns.
fn fit(text: &str, columns: usize) -> String {
    let length = text.chars().count();
    if length <= columns {
        return format!("{text}{}", " ".repeat(columns - length));
    }
    let kept: String = text.chars().take(columns - 1).collect();
    format!("{kept}…")
}

fn widest<'a>(texts: impl Iterator<Item = &'a str>) -> usize {
    texts
        .map(|text| text.chars().count())
        .max()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(depth: usize, service: &str, name: &str, from_ms: u64, to_ms: u64) -> Span {
        Span {
            depth,
            service: service.to_owned(),
            name: name.to_owned(),
            kind: "server",
            start_ns: from_ms * 1_000_000,
            end_ns: to_ms * 1_000_000,
            ..Span::default()
        }
    }

    fn trace(spans: Vec<Span>) -> Trace {
        Trace {
            id: "4bf92f3577b34da6a3ce929d0e0e4736".to_owned(),
            end_ns: spans
                .iter()
                .map(|span| span.end_ns)
                .max()
                .unwrap_or_default(),
            spans,
            start_ns: 0,
        }
    }

    const STYLE: Style = Style {
        columns: 70,
        attributes: false,
    };

    #[test]
    fn a_trace_is_one_line_per_span_with_bars_that_share_one_axis() {
        let mut failed = span(1, "task-service", "GET /b", 25, 75);
        failed.error = true;
        failed.late = true;
        failed.attributes = vec![
            (HTTP_RESPONSE_STATUS_CODE.to_owned(), "500".to_owned()),
            (ERROR_TYPE.to_owned(), "500".to_owned()),
        ];
        let text = render(
            &trace(vec![span(0, "gateway", "GET /a", 0, 100), failed]),
            &[],
            &STYLE,
        );
        let expected = "\
trace 4bf92f3577b34da6a3ce929d0e0e4736  1970-01-01T00:00:00.000Z  100.00 ms  2 spans of gateway, task-service, 1 error

gateway       GET /a [server]    ████████████████  100.00 ms
task-service    GET /b [server]  ····▓▓▓▓▓▓▓▓····   50.00 ms  500 ERROR late
";
        assert_eq!(text, expected);
    }

    #[test]
    fn control_characters_and_endless_names_do_not_reach_the_terminal() {
        let hostile = format!("\u{1b}[2J{}", "x".repeat(500));
        let text = render(&trace(vec![span(0, "a\nb", &hostile, 0, 1)]), &[], &STYLE);
        assert!(!text.contains('\u{1b}'));
        assert_eq!(text.lines().count(), 3);
        assert!(
            text.lines().all(|line| line.chars().count() < 130),
            "{text}"
        );
    }

    #[test]
    fn log_lines_stand_under_the_span_that_wrote_them() {
        let mut inner = span(1, "worker", "b", 2, 4);
        inner.id = "0b".to_owned();
        let line = |span_id: &str, message: &str| Line {
            span_id: span_id.to_owned(),
            service: "worker".to_owned(),
            level: "WARN".to_owned(),
            message: message.to_owned(),
        };
        let lines = [line("0b", "slow\u{1b}"), line("0c", "elsewhere")];
        let text = render(
            &trace(vec![span(0, "gateway", "a", 0, 5), inner]),
            &lines,
            &STYLE,
        );
        let shown: Vec<&str> = text.lines().skip(3).collect();
        assert!(shown[0].starts_with("worker "), "{text}");
        assert_eq!(shown[1], "             ▏WARN slow�");
        assert_eq!(shown[3], "log lines of spans that are not stored");
        assert_eq!(shown[4], "worker    ▏WARN elsewhere");
    }

    #[test]
    fn a_trace_of_no_duration_has_bars() {
        let text = render(&trace(vec![span(0, "a", "b", 5, 5)]), &[], &STYLE);
        assert!(text.contains('█'));
    }
}
