//! Panics as one JSON line each, with the ids of the span that panicked.
//!
//! The line does not pass through `tracing`: a panic may come from inside it, and no filter may hide it.

use std::panic::{self, PanicHookInfo};
use std::thread;
use std::time::{Duration, Instant};

use conventions::fields::{MESSAGE, PANIC_LOCATION, THREAD};
use tracing::Level;

use super::json;
use super::line::{Format, Ids};
use super::writer::Writer;

/// Longest message of a panic, in bytes.
const MESSAGE_BYTES_MAX: usize = 8 << 10;

/// How long a panic that may be the process's last act waits for its line to be written.
const FLUSH: Duration = Duration::from_secs(1);

const TARGET: &str = "panic";

/// Replaces the panic hook. The one before it, which prints the message and a backtrace on standard error, is still
/// called when `RUST_BACKTRACE` asks for a backtrace.
pub(crate) fn install(format: Format, writer: Writer) {
    let previous = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !writer.push(&line(&format, info)) {
            previous(info);
            return;
        }
        // Elsewhere the process lives on, and with it the writer.
        let last_act = cfg!(panic = "abort") || thread::current().name() == Some("main");
        if last_act {
            writer.flush(Instant::now() + FLUSH);
        }
        if std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0") {
            previous(info);
        }
    }));
}

fn line(format: &Format, info: &PanicHookInfo<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    format.begin(&mut out, Ids::current(), Level::ERROR);
    let begun = out.len();
    member(
        &mut out,
        MESSAGE,
        bounded(info.payload_as_str().unwrap_or("panic without a message")),
    );
    if let Some(location) = info.location() {
        out.push(b',');
        member(&mut out, PANIC_LOCATION, &location.to_string());
    }
    out.push(b',');
    member(
        &mut out,
        THREAD,
        thread::current().name().unwrap_or("unnamed"),
    );
    format.end(&mut out, begun, TARGET, None);
    out
}

fn member(out: &mut Vec<u8>, name: &str, value: &str) {
    json::string(out, name);
    out.push(b':');
    json::string(out, value);
}

fn bounded(message: &str) -> &str {
    &message[..message.floor_char_boundary(MESSAGE_BYTES_MAX)]
}
