//! Garbage at every path: refused with a status and a shape of the real Alertmanager's, nothing is kept of it, the process
//! stays healthy. Where the real one is at hand it gets the same bytes and must give the same status.

use serde_json::{Value, json};

use super::world::{Ours, Real};
use crate::client::{Answer, Client, target};

const JSON: (&str, &str) = ("content-type", "application/json");
const PATHS: [&str; 7] = [
    "/api/v2/status",
    "/api/v2/receivers",
    "/api/v2/alerts",
    "/api/v2/alerts/groups",
    "/api/v2/silences",
    "/api/v2/silence/7d8eb77e-00f9-4e0e-9f20-047695569296",
    "/api/v2/silence/none",
];
const PARAMETERS: [&str; 6] = [
    "filter",
    "receiver",
    "active",
    "silenced",
    "inhibited",
    "muted",
];
const VALUES: [&str; 12] = [
    "",
    " ",
    "a",
    "=",
    "a=\"",
    "a=~\"[\"",
    "a=~\"x{99999}\"",
    "{a=\"b\"",
    "-1",
    "\u{0}\u{7f}\u{2028}é😀",
    "true",
    "((((((((((",
];
const METHODS: [&str; 5] = ["PUT", "PATCH", "DELETE", "POST", "GET"];
/// Bodies of which nothing may be taken.
const BODIES: [&str; 22] = [
    "",
    "{",
    "null",
    "1",
    "\"text\"",
    "{}",
    "[1]",
    UNANSWERED,
    "[[]]",
    "[{}]",
    "[{\"labels\":{}}]",
    "[{\"labels\":[]}]",
    "[{\"labels\":{\"a\":1}}]",
    "[{\"labels\":{\"\":\"b\"}}]",
    "[{\"labels\":{\"a\":\"b\"},\"startsAt\":\"yesterday\"}]",
    "[{\"labels\":{\"a\":\"b\"},\"endsAt\":\"2026-01-01T00:00:00Z\",\"startsAt\":\"2027-01-01T00:00:00Z\"}]",
    "{\"matchers\":[]}",
    "{\"matchers\":[{\"name\":\"a\",\"value\":\"b\",\"isRegex\":false}]}",
    "{\"matchers\":[{\"name\":\"\",\"value\":\"b\",\"isRegex\":false}],\"startsAt\":\"2026-01-01T00:00:00Z\",\"endsAt\":\"2099-01-01T00:00:00Z\",\"createdBy\":\"a\",\"comment\":\"b\"}",
    "{\"matchers\":[{\"name\":\"a\",\"value\":\"(\",\"isRegex\":true}],\"startsAt\":\"2026-01-01T00:00:00Z\",\"endsAt\":\"2099-01-01T00:00:00Z\",\"createdBy\":\"a\",\"comment\":\"b\"}",
    "{\"matchers\":[{\"name\":\"a\",\"value\":\"b\",\"isRegex\":false}],\"startsAt\":\"2026-01-01T00:00:00Z\",\"endsAt\":\"2025-01-01T00:00:00Z\",\"createdBy\":\"a\",\"comment\":\"b\"}",
    "{\"id\":\"none\",\"matchers\":[{\"name\":\"a\",\"value\":\"b\",\"isRegex\":false}],\"startsAt\":\"2026-01-01T00:00:00Z\",\"endsAt\":\"2099-01-01T00:00:00Z\",\"createdBy\":\"a\",\"comment\":\"b\"}",
];
/// The real one panics on it and closes the connection without an answer.
const UNANSWERED: &str = "[null]";

/// Ours, and the real one if it is at hand.
struct Both {
    ours: Client,
    theirs: Option<Client>,
    differing: Vec<String>,
}

impl Both {
    fn ask(&mut self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) {
        let what = format!("{method} {target} {}", String::from_utf8_lossy(body));
        let ours = self.ours.ask(method, target, headers, body);
        check_shape(&what, &ours);
        let Some(theirs) = &mut self.theirs else {
            return;
        };
        if body == UNANSWERED.as_bytes() {
            return;
        }
        let theirs = theirs.ask(method, target, headers, body).status;
        if theirs != ours.status {
            let what: String = what.chars().take(200).collect();
            self.differing
                .push(format!("{what}: {theirs}, ours {}", ours.status));
        }
    }
}

/// An answer is a success, or a refusal in JSON: a text, or a code with a message. That there is no such silence is said by
/// the status alone.
fn check_shape(what: &str, answer: &Answer) {
    assert!(answer.status < 500, "{what}: {}", answer.status);
    if answer.status < 400 || answer.status == 404 && answer.body.is_empty() {
        return;
    }
    let text = String::from_utf8_lossy(&answer.body);
    let refusal: Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{what}: {error}: {text}"));
    let is_good =
        refusal.is_string() || refusal["code"].is_number() && refusal["message"].is_string();
    assert!(is_good, "{what}: {text}");
}

#[test]
fn garbage_is_refused_as_the_real_one_refuses_it_and_nothing_of_it_is_kept() {
    let (server, real) = (Ours::start(), Real::start());
    let mut both = Both {
        ours: Client::new(server.address),
        theirs: real.as_ref().map(|real| Client::new(real.address)),
        differing: Vec::new(),
    };
    for path in PATHS {
        for name in PARAMETERS {
            for value in VALUES {
                both.ask("GET", &target(path, &[(name, value)]), &[], b"");
            }
        }
        for method in METHODS {
            both.ask(method, path, &[JSON], b"");
        }
    }
    for path in ["/api/v2/alerts", "/api/v2/silences"] {
        for body in BODIES {
            both.ask("POST", path, &[JSON], body.as_bytes());
        }
        both.ask("POST", path, &[("content-type", "text/plain")], b"[]");
        both.ask("POST", path, &[], b"[]");
        both.ask("POST", path, &[], b"");
        both.ask("POST", path, &[JSON], b"\xff\xfe[");
        both.ask("POST", path, &[JSON], "[".repeat(50_000).as_bytes());
    }
    assert!(both.differing.is_empty(), "{:#?}", both.differing);
    for list in ["/api/v2/alerts", "/api/v2/silences"] {
        let kept = both.ours.get(list);
        let kept: Value = serde_json::from_slice(&kept.body).unwrap();
        assert_eq!(kept, json!([]), "{list}");
    }
    assert_eq!(both.ours.get("/-/healthy").status, 200);
}
