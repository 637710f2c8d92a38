//! Keeps secrets out of `url.query` and `url.full`.
//!
//! A query parameter's value is replaced when its name says that it is a secret or a signature; all other values stay,
//! since a trace without the filter or the cursor that made a request slow explains nothing. Whoever puts a secret into
//! a parameter with a harmless name, or into the path, is not saved by this.

use percent_encoding::percent_decode_str;
use url::Url;

use super::message::bounded;

/// What stands in the place of a value (semantic conventions, `url.full`).
const REDACTED: &str = "REDACTED";
/// What stands in the place of user name and password.
const REDACTED_CREDENTIALS: &str = "REDACTED:REDACTED@";
/// Longest query or URL in a span.
const URL_BYTES_MAX: usize = 2_048;
/// Whole names of parameters with secret values: the conventions' own list, OAuth's, and what is common. Lower case.
const SECRET_NAMES: &[&str] = &[
    "auth",
    "awsaccesskeyid",
    "code",
    "key",
    "otp",
    "pass",
    "pin",
    "pwd",
    "sid",
    "sig",
    "x-amz-security-token",
];
/// Parts that make any name containing them secret. Lower case, compared without `-`, `_` and `.`.
const SECRET_PARTS: &[&str] = &[
    "accesskey",
    "apikey",
    "assertion",
    "authoriz",
    "credential",
    "jwt",
    "oauth",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "secret",
    "session",
    "signature",
    "token",
];

/// A query as it may stand in a span.
pub(super) fn query(query: &str) -> String {
    let query = bounded(query, URL_BYTES_MAX);
    let mut text = String::with_capacity(query.len());
    for (position, pair) in query.split('&').enumerate() {
        if position > 0 {
            text.push('&');
        }
        match pair.split_once('=') {
            Some((name, _)) if is_secret(name) => text.extend([name, "=", REDACTED]),
            _ => text.push_str(pair),
        }
    }
    text
}

/// A URL as it may stand in a span: without credentials, secret values and fragment, which is never sent.
pub(super) fn url(url: &Url) -> String {
    let has_credentials = !url.username().is_empty() || url.password().is_some();
    let credentials = if has_credentials {
        REDACTED_CREDENTIALS
    } else {
        ""
    };
    let host = url.host_str().unwrap_or_default();
    let mut text = format!("{}://{credentials}{host}", url.scheme());
    if let Some(port) = url.port() {
        text.push_str(&format!(":{port}"));
    }
    text.push_str(url.path());
    if let Some(value) = url.query() {
        text.push('?');
        text.push_str(&query(value));
    }
    bounded(&text, URL_BYTES_MAX).to_owned()
}

fn is_secret(name: &str) -> bool {
    let name = percent_decode_str(name)
        .decode_utf8_lossy()
        .to_ascii_lowercase();
    if SECRET_NAMES.contains(&name.as_str()) {
        return true;
    }
    let plain: String = name
        .chars()
        .filter(|c| !matches!(c, '-' | '_' | '.'))
        .collect();
    SECRET_PARTS.iter().any(|part| plain.contains(part))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn secret_values_are_replaced_and_others_kept() {
        let cases = [
            ("", ""),
            ("a=1&b=2", "a=1&b=2"),
            ("&&a=1&", "&&a=1&"),
            (
                "status=todo&cursor=eyJ&limit=5",
                "status=todo&cursor=eyJ&limit=5",
            ),
            ("token", "token"),
            ("token=x", "token=REDACTED"),
            ("a=1&access_token=x=y&b=2", "a=1&access_token=REDACTED&b=2"),
            (
                "X-Amz-Signature=abc&X-Amz-Date=1",
                "X-Amz-Signature=REDACTED&X-Amz-Date=1",
            ),
            (
                "AWSAccessKeyId=x&sig=y&X-Goog-Signature=z",
                "AWSAccessKeyId=REDACTED&sig=REDACTED&X-Goog-Signature=REDACTED",
            ),
            (
                "api-key=x&api_key=y&apikey=z&key=k",
                "api-key=REDACTED&api_key=REDACTED&apikey=REDACTED&key=REDACTED",
            ),
            (
                "client_secret=x&password=&code=c",
                "client_secret=REDACTED&password=REDACTED&code=REDACTED",
            ),
            // A name may be written in a way a server still understands.
            ("%74oken=x&TOKEN=y", "%74oken=REDACTED&TOKEN=REDACTED"),
            (
                "monkey=x&signal=y&codec=z&author=a",
                "monkey=x&signal=y&codec=z&author=a",
            ),
        ];
        for (given, expected) in cases {
            assert_eq!(query(given), expected);
        }
    }

    #[test]
    fn urls_lose_credentials_secrets_and_fragment() {
        let cases = [
            (
                "http://127.0.0.1:8081/v1/tasks?limit=1#x",
                "http://127.0.0.1:8081/v1/tasks?limit=1",
            ),
            (
                "https://user:pass@example.com/",
                "https://REDACTED:REDACTED@example.com/",
            ),
            (
                "https://user@example.com:443/a",
                "https://REDACTED:REDACTED@example.com/a",
            ),
            (
                "https://[::1]:8443/?token=x",
                "https://[::1]:8443/?token=REDACTED",
            ),
        ];
        for (given, expected) in cases {
            assert_eq!(url(&given.parse().unwrap()), expected);
        }
    }

    #[test]
    fn long_queries_and_urls_are_cut_between_characters() {
        let long = format!("q={}", "\u{e9}".repeat(URL_BYTES_MAX));
        assert_eq!(query(&long).len(), URL_BYTES_MAX);
        let odd = format!("qq={}", "\u{e9}".repeat(URL_BYTES_MAX));
        assert_eq!(query(&odd).len(), URL_BYTES_MAX - 1);
        let url_text = format!("http://localhost/{}", "x".repeat(2 * URL_BYTES_MAX));
        assert_eq!(url(&url_text.parse().unwrap()).len(), URL_BYTES_MAX);
    }

    proptest! {
        #[test]
        fn no_secret_survives(before in "[a-z=&%]{0,20}", value in "[A-Z]{8}", after in "[a-z=&%]{0,20}") {
            let given = format!("{before}&access_token={value}&{after}");
            prop_assert!(!query(&given).contains(&value));
        }
    }
}
