//! The parameters of a request, read as Go's `net/http` reads them: of the body first, then of the URL; a pair that cannot be
//! read is left out. An empty parameter is one that is not there, except in a list.

use std::borrow::Cow;

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use percent_encoding::percent_decode_str;

use super::{FORM_BYTES_MAX, failure::Failure, layers};
use crate::go;

const MEDIA_TYPE: &str = "application/x-www-form-urlencoded";
const SEMICOLON: &str = "invalid semicolon separator in query";

/// All parameters.
#[derive(Debug, Default)]
pub(super) struct Form {
    body: Vec<(String, String)>,
    url: Vec<(String, String)>,
    fault: Option<String>,
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        let query = request.uri().query().unwrap_or_default().to_owned();
        if !has_form(&request) {
            return Ok(Self::parse("", &query));
        }
        if layers::is_too_long(request.headers(), FORM_BYTES_MAX) {
            return Err(too_long());
        }
        let body = Bytes::from_request(request, state).await;
        let body = body.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => too_long(),
            // The client broke off.
            _ => rejection.into_response(),
        })?;
        Ok(Self::parse(&String::from_utf8_lossy(&body), &query))
    }
}

impl Form {
    pub(super) fn parse(body: &str, query: &str) -> Self {
        let mut form = Self::default();
        form.body = pairs(body, &mut form.fault);
        form.url = pairs(query, &mut form.fault);
        form
    }

    /// The first of a name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        first(self.body.iter().chain(&self.url), name)
    }

    /// The first of a name in the URL: some parameters are looked for nowhere else.
    pub(super) fn of_url(&self, name: &str) -> Option<&str> {
        first(self.url.iter(), name)
    }

    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let pairs = self.body.iter().chain(&self.url);
        pairs
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// For the endpoints that do not put up with pairs that cannot be read.
    pub(super) fn strict(&self) -> Result<(), Failure> {
        match &self.fault {
            Some(fault) => Err(Failure::bad_data(format_args!(
                "error parsing form values: {fault}"
            ))),
            None => Ok(()),
        }
    }
}

fn first<'a>(mut pairs: impl Iterator<Item = &'a (String, String)>, name: &str) -> Option<&'a str> {
    let (_, value) = pairs.find(|(key, _)| key == name)?;
    (!value.is_empty()).then_some(value)
}

fn too_long() -> Response {
    let failure = Failure::bad_data("http: request body too large");
    (StatusCode::PAYLOAD_TOO_LARGE, failure).into_response()
}

fn has_form(request: &Request) -> bool {
    let media_type = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next());
    request.method() == Method::POST
        && media_type.is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case(MEDIA_TYPE))
}

fn pairs(text: &str, fault: &mut Option<String>) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        match parse_pair(pair) {
            Ok(pair) => pairs.push(pair),
            // The first counts, but a semicolon always.
            Err(reason) if reason == SEMICOLON => *fault = Some(reason),
            Err(reason) => {
                fault.get_or_insert(reason);
            }
        }
    }
    pairs
}

fn parse_pair(pair: &str) -> Result<(String, String), String> {
    if pair.contains(';') {
        return Err(SEMICOLON.to_owned());
    }
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    Ok((unescape(name)?, unescape(value)?))
}

fn unescape(text: &str) -> Result<String, String> {
    for (at, _) in text.match_indices('%') {
        let escape = &text[at..text.ceil_char_boundary((at + 3).min(text.len()))];
        let digits = escape[1..].bytes().filter(u8::is_ascii_hexdigit).count();
        if digits < 2 {
            return Err(format!("invalid URL escape {}", go::quote(escape)));
        }
    }
    let spaced: Cow<'_, str> = match text.contains('+') {
        true => text.replace('+', " ").into(),
        false => text.into(),
    };
    let decoded = percent_decode_str(&spaced).decode_utf8_lossy();
    Ok(decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_comes_before_the_url() {
        let form = Form::parse("a=1&b=x+y%3D", "a=2&c=&a=3");
        assert_eq!(form.get("a"), Some("1"));
        assert_eq!(form.of_url("a"), Some("2"));
        assert_eq!(form.all("a").collect::<Vec<_>>(), ["1", "2", "3"]);
        assert_eq!(form.get("b"), Some("x y="));
        assert_eq!((form.get("c"), form.get("d")), (None, None));
        assert_eq!(form.strict(), Ok(()));
    }

    #[test]
    fn what_cannot_be_read_is_left_out_and_remembered() {
        for (query, fault) in [
            ("a=%zz&b=1", "invalid URL escape \"%zz\""),
            ("b=1&a=%2", "invalid URL escape \"%2\""),
            ("a=%é&b=1", "invalid URL escape \"%é\""),
            ("a=1;c&b=1", SEMICOLON),
            ("a=%zz&b=1&a;", SEMICOLON),
        ] {
            let form = Form::parse("", query);
            assert_eq!((form.get("a"), form.get("b")), (None, Some("1")), "{query}");
            let text = format!("error parsing form values: {fault}");
            assert_eq!(form.strict(), Err(Failure::bad_data(text)));
        }
    }
}
