//! What strangers may read: the OpenAPI document at `/openapi.json` and a page that renders it at `/docs`.
//!
//! The page is one file, put together at start: it fetches nothing, and its content security policy lets nothing run
//! but the one script and the one style sheet in it.

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, header};
use sha2::{Digest, Sha256};

use crate::openapi;
use crate::request::JSON;

pub(crate) const DOCUMENT_PATH: &str = "/openapi.json";
pub(crate) const PAGE_PATH: &str = "/docs";
const TEMPLATE: &str = include_str!("docs/page.html");
const STYLE: &str = include_str!("docs/page.css");
const SCRIPT: &str = include_str!("docs/page.js");
const HTML: &str = "text/html; charset=utf-8";

/// Both, with nothing left to do per request.
pub(crate) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let document = openapi::document()
        .to_pretty_json()
        .expect("the document is plain data");
    let page = Static::new(HTML, page(&document)).with(header::CONTENT_SECURITY_POLICY, policy());
    let document = Static::new(JSON, document);
    Router::new()
        .route(DOCUMENT_PATH, get(move || async move { document.clone() }))
        .route(PAGE_PATH, get(move || async move { page.clone() }))
}

/// A response that is always the same.
#[derive(Clone)]
struct Static {
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

impl Static {
    fn new(media_type: &'static str, body: String) -> Self {
        let headers = vec![
            (header::CONTENT_TYPE, HeaderValue::from_static(media_type)),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            (
                header::X_CONTENT_TYPE_OPTIONS,
                HeaderValue::from_static("nosniff"),
            ),
        ];
        Self {
            headers,
            body: body.into(),
        }
    }

    fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }
}

impl IntoResponse for Static {
    fn into_response(self) -> Response {
        let mut response = Response::new(self.body.into());
        response.headers_mut().extend(self.headers);
        response
    }
}

fn page(document: &str) -> String {
    // Inside a script element only `<` could end it; as an escape it means the same to the JSON parser.
    let document = document.replace('<', "\\u003c");
    TEMPLATE
        .replacen("{{style}}", STYLE, 1)
        .replacen("{{script}}", SCRIPT, 1)
        .replacen("{{document}}", &document, 1)
}

fn policy() -> HeaderValue {
    let policy = format!(
        "default-src 'none'; style-src '{}'; script-src '{}'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'",
        source(STYLE),
        source(SCRIPT)
    );
    HeaderValue::try_from(policy).expect("the policy is ASCII")
}

/// Names an inline element by its content.
fn source(text: &str) -> String {
    format!("sha256-{}", BASE64_STANDARD.encode(Sha256::digest(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_whole_and_fetches_nothing() {
        let page = page(r#"{"a": "</script><b>"}"#);
        assert!(!page.contains("{{"), "a placeholder is left");
        assert!(page.contains(r#"{"a": "\u003c/script>\u003cb>"}"#));
        for element in ["<link", "<img", "<script src", "<iframe", "@import", "url("] {
            assert!(!page.contains(element), "{element}");
        }
        assert!(
            page.contains(&format!("<style>{STYLE}</style>")),
            "the hash must cover the whole element"
        );
        assert!(
            page.contains(&format!("<script>{SCRIPT}</script>")),
            "the hash must cover the whole element"
        );
    }
}
