//! What server and client say alike about a message: method, protocol version, host and bounded text.

use std::borrow::Cow;

use conventions::spans::HTTP_METHOD_OTHER;
use http::{Method, Version};

/// The methods of RFC 9110 and PATCH. All others are one name, so that strangers cannot make metric series.
const METHODS: &[&str] = &[
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
];
/// What the span name calls a method outside [`METHODS`] (semantic conventions, "HTTP span name").
const METHOD_OTHER_IN_NAME: &str = "HTTP";

/// The method as attribute and label.
pub(super) fn method(method: &Method) -> &'static str {
    let known = METHODS.iter().find(|known| **known == method.as_str());
    known.copied().unwrap_or(HTTP_METHOD_OTHER)
}

/// The method at the start of a span's name.
pub(super) fn method_in_name(method: &'static str) -> &'static str {
    match method {
        HTTP_METHOD_OTHER => METHOD_OTHER_IN_NAME,
        known => known,
    }
}

/// `network.protocol.version`.
pub(super) fn version(version: Version) -> Option<&'static str> {
    match version {
        Version::HTTP_09 => Some("0.9"),
        Version::HTTP_10 => Some("1.0"),
        Version::HTTP_11 => Some("1.1"),
        Version::HTTP_2 => Some("2"),
        Version::HTTP_3 => Some("3"),
        _ => None,
    }
}

pub(super) fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

/// At most `bytes_max` bytes, cut between characters.
pub(super) fn bounded(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

/// As [`bounded`], for bytes that need not be text.
pub(super) fn bounded_lossy(bytes: &[u8], bytes_max: usize) -> Cow<'_, str> {
    String::from_utf8_lossy(&bytes[..bytes.len().min(bytes_max)])
}
