//! OTLP in JSON, transcoded to protobuf without objects in between
//! (<https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>).
//!
//! Takes what the Collector takes: ids in hexadecimal, integers as numbers or strings, enumerations as numbers or names,
//! field names in camel case or as in the `.proto` files; unknown names and `null` are ignored.

mod schema;
#[cfg(test)]
mod tests;
mod transcode;

/// Longest reason in an error: it may quote the request.
const REASON_CHARS_MAX: usize = 200;

/// It is no JSON, or a known field has a value that it cannot have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed JSON at line {line} column {column}: {reason}")]
pub struct Malformed {
    /// Line at which it shows, from 1.
    pub line: usize,
    /// Column at which it shows, in bytes.
    pub column: usize,
    /// What is wrong there.
    pub reason: String,
}

/// An `ExportTraceServiceRequest`.
///
/// # Errors
/// The bytes are no such message. Lengths of ids are checked, but not how deep values nest: the walk does that.
pub fn traces(json: &[u8]) -> Result<Vec<u8>, Malformed> {
    transcode::transcode(json, &schema::TRACES).map_err(Malformed::from)
}

/// An `ExportLogsServiceRequest`.
///
/// # Errors
/// As for [`traces`].
pub fn logs(json: &[u8]) -> Result<Vec<u8>, Malformed> {
    transcode::transcode(json, &schema::LOGS).map_err(Malformed::from)
}

impl From<serde_json::Error> for Malformed {
    fn from(error: serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        let text = error.to_string();
        let position = format!(" at line {line} column {column}");
        let reason = text.strip_suffix(&position).unwrap_or(&text);
        let reason = reason.chars().take(REASON_CHARS_MAX).collect();
        Self {
            line,
            column,
            reason,
        }
    }
}
