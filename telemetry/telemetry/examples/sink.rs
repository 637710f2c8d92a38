//! A collector for people: prints every span it gets over OTLP/HTTP as one line, so that traces can be looked at while
//! no collector runs.
//!
//! ```text
//! cargo run -p telemetry --example sink -- 4318
//! OTEL_SERVICE_NAME=shop cargo run -p telemetry --example relay
//! ```

use std::error::Error;
use std::io::{self, Write as _};
use std::time::Duration;

use telemetry::testing::{OtlpSink, Span};

/// Port of OTLP/HTTP, unless one is given.
const PORT_DEFAULT: u16 = 4318;

/// How long to wait for spans before waiting again.
const WAIT: Duration = Duration::from_secs(60);

fn main() -> Result<(), Box<dyn Error>> {
    let port = match std::env::args().nth(1) {
        Some(port) => port
            .parse()
            .map_err(|_| format!("{port:?} is not a port"))?,
        None => PORT_DEFAULT,
    };
    let sink = OtlpSink::start_on(port)?;
    let mut out = io::stdout().lock();
    writeln!(out, "listening on {}", sink.endpoint())?;
    loop {
        // Whether something came or not, what is there is printed and forgotten.
        let _ = sink.wait_for(WAIT, |spans| !spans.is_empty());
        for span in sink.take() {
            print(&mut out, &span)?;
        }
        out.flush()?;
    }
}

/// `service kind "name" status duration trace/span<parent {attributes} [links]`
fn print(out: &mut impl io::Write, span: &Span) -> io::Result<()> {
    let took = span.end.duration_since(span.start).unwrap_or_default();
    write!(
        out,
        "{} {:?} {:?} {:?} {took:?} {}/{}",
        span.service(),
        span.kind,
        span.name,
        span.status,
        span.trace_id,
        span.span_id
    )?;
    if let Some(parent) = span.parent_span_id {
        write!(out, "<{parent}")?;
    }
    if !span.trace_state.is_empty() {
        write!(out, " {}", span.trace_state)?;
    }
    write!(out, " {{")?;
    for (index, (key, value)) in span.attributes.iter().enumerate() {
        let separator = if index > 0 { ", " } else { "" };
        write!(out, "{separator}{key}={value}")?;
    }
    write!(out, "}}")?;
    for link in &span.links {
        write!(out, " ->{}/{}", link.trace_id, link.span_id)?;
    }
    writeln!(out)
}
