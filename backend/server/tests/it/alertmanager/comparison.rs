//! The same requests to the real Alertmanager and to ours: status, type and body are compared.

use std::time::Duration;

use serde_json::{Value, json};

use super::world::{Ours, Real};
use crate::client::{Answer, Client};

const JSON: (&str, &str) = ("content-type", "application/json");
const ALERTS: &str = r#"[
 {"labels": {"alertname": "A", "service": "x", "severity": "page", "team": "a"}, "annotations": {"summary": "<é>"}, "startsAt": "2026-01-02T03:04:05.678Z", "endsAt": "2099-01-01T00:00:00Z", "generatorURL": "http://p/graph?a=b&c"},
 {"labels": {"alertname": "B", "service": "x", "severity": "ticket"}, "startsAt": "2026-01-02T03:04:05Z", "endsAt": "2099-01-01T00:00:00Z"},
 {"labels": {"alertname": "C", "service": "y", "severity": "ticket", "empty": ""}, "startsAt": "2026-01-02T03:04:05Z", "endsAt": "2099-01-01T00:00:00Z"},
 {"labels": {"alertname": "Over"}, "startsAt": "2026-01-02T03:04:05Z", "endsAt": "2026-01-02T03:04:06Z"}
]"#;
const SILENCE: &str = r#"{"matchers": [{"name": "alertname", "value": "C", "isRegex": false}], "startsAt": "2026-01-01T00:00:00Z", "endsAt": "2099-01-01T00:00:00Z", "createdBy": "me", "comment": "why"}"#;

/// Requests whose answers differ, and why.
const EXPLAINED: [(&str, &str); 4] = [
    (
        "GET /api/v2/alerts?filter=a%3D~%22%28%22",
        "the text of a bad regular expression is Go's",
    ),
    (
        "GET /api/v2/alerts?receiver=%28",
        "the text of a bad regular expression is Go's",
    ),
    (
        "POST /api/v2/alerts [1]",
        "the text of a value of another type is that of Go's decoder",
    ),
    (
        "POST /api/v2/alerts [{\"labels\":{\"a\":\"b\"},\"startsAt\":\"soon\"}]",
        "the text of a bad time is Go's",
    ),
];

#[test]
fn answers_are_those_of_the_real_alertmanager() {
    let Some(real) = Real::start() else { return };
    let ours = Ours::start();
    let (mut ours, mut theirs) = (Client::new(ours.address), Client::new(real.address));
    let mut score = Score::default();

    score.compare(&mut ours, &mut theirs, "GET", "/api/v2/alerts", "");
    score.compare(&mut ours, &mut theirs, "POST", "/api/v2/alerts", ALERTS);
    for client in [&mut ours, &mut theirs] {
        let made = client.ask("POST", "/api/v2/silences", &[JSON], SILENCE.as_bytes());
        assert_eq!(made.status, 200);
        // Groups come with the first look after their alerts.
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while client.get("/api/v2/alerts/groups").body.len() < 100 {
            assert!(std::time::Instant::now() < deadline);
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    for target in [
        "/api/v2/alerts",
        "/api/v2/alerts?active=false",
        "/api/v2/alerts?silenced=false",
        "/api/v2/alerts?inhibited=false",
        "/api/v2/alerts?active=maybe",
        "/api/v2/alerts?active=YES&silenced=t",
        "/api/v2/alerts?unprocessed=false",
        "/api/v2/alerts?filter=alertname%3D%22A%22",
        "/api/v2/alerts?filter=alertname%3DA&filter=service!%3Dy",
        "/api/v2/alerts?filter=alertname%3D~%22A%7CB%22",
        "/api/v2/alerts?filter=alertname!~%22A.*%22",
        "/api/v2/alerts?filter=a",
        "/api/v2/alerts?filter=",
        "/api/v2/alerts?filter=a%3D~%22%28%22",
        "/api/v2/alerts?receiver=team.%2B",
        "/api/v2/alerts?receiver=team",
        "/api/v2/alerts?receiver=%28",
        "/api/v2/alerts/groups",
        "/api/v2/alerts/groups?receiver=nobody",
        "/api/v2/alerts/groups?silenced=false&inhibited=false",
        "/api/v2/alerts/groups?active=false",
        "/api/v2/alerts/groups?muted=false",
        "/api/v2/alerts/groups?filter=service%3Dx",
        "/api/v2/alerts/groups?filter=%7B",
        "/api/v2/receivers",
        "/api/v2/silences",
        "/api/v2/silences?filter=alertname%3DC",
        "/api/v2/silences?filter=alertname%3DD",
        "/api/v2/silences?filter=x",
        "/api/v2/silence/nonsense",
        "/api/v2/silence/00000000-0000-0000-0000-000000000001",
        "/api/v2/status",
        "/api/v2/nothing",
        "/api/v2/alerts/nothing",
        "/api/v1/alerts",
        "/-/ready",
        "/-/healthy",
    ] {
        score.compare(&mut ours, &mut theirs, "GET", target, "");
    }
    for (method, target, body) in [
        ("POST", "/api/v2/alerts", ""),
        ("POST", "/api/v2/alerts", "{"),
        ("POST", "/api/v2/alerts", "[]"),
        ("POST", "/api/v2/alerts", "[1]"),
        ("POST", "/api/v2/alerts", "[{}]"),
        ("POST", "/api/v2/alerts", r#"[{"labels":{}}]"#),
        ("POST", "/api/v2/alerts", r#"[{"labels":{"a":""}}]"#),
        (
            "POST",
            "/api/v2/alerts",
            r#"[{"labels":{"a":"b"},"startsAt":"soon"}]"#,
        ),
        (
            "POST",
            "/api/v2/alerts",
            r#"[{"labels":{"a":"b"},"startsAt":"2026-01-02T00:00:00Z","endsAt":"2026-01-01T00:00:00Z"}]"#,
        ),
        ("POST", "/api/v2/silences", ""),
        ("POST", "/api/v2/silences", "{}"),
        (
            "POST",
            "/api/v2/silences",
            r#"{"comment":"c","createdBy":"m"}"#,
        ),
        (
            "POST",
            "/api/v2/silences",
            r#"{"matchers":[],"startsAt":"2026-01-01T00:00:00Z","endsAt":"2099-01-01T00:00:00Z","createdBy":"m","comment":"c"}"#,
        ),
        (
            "POST",
            "/api/v2/silences",
            r#"{"matchers":[{"name":"a"}],"startsAt":"2026-01-01T00:00:00Z","endsAt":"2099-01-01T00:00:00Z","createdBy":"m","comment":"c"}"#,
        ),
        (
            "POST",
            "/api/v2/silences",
            r#"{"matchers":[{"name":"a","value":"","isRegex":false}],"startsAt":"2026-01-01T00:00:00Z","endsAt":"2099-01-01T00:00:00Z","createdBy":"m","comment":"c"}"#,
        ),
        (
            "POST",
            "/api/v2/silences",
            r#"{"matchers":[{"name":"a","value":"b","isRegex":false}],"startsAt":"2099-01-01T00:00:00Z","endsAt":"2098-01-01T00:00:00Z","createdBy":"m","comment":"c"}"#,
        ),
        (
            "POST",
            "/api/v2/silences",
            r#"{"id":"00000000-0000-0000-0000-000000000001","matchers":[{"name":"a","value":"b","isRegex":false}],"startsAt":"2026-01-01T00:00:00Z","endsAt":"2099-01-01T00:00:00Z","createdBy":"m","comment":"c"}"#,
        ),
        ("DELETE", "/api/v2/silence/nonsense", ""),
        (
            "DELETE",
            "/api/v2/silence/00000000-0000-0000-0000-000000000001",
            "",
        ),
        ("PUT", "/api/v2/silences", ""),
        ("DELETE", "/api/v2/alerts", ""),
        ("POST", "/api/v2/receivers", ""),
        ("POST", "/-/reload", ""),
    ] {
        score.compare(&mut ours, &mut theirs, method, target, body);
    }
    score.end();
}

#[derive(Default)]
struct Score {
    identical: usize,
    explained: Vec<&'static str>,
    different: Vec<String>,
}

impl Score {
    fn compare(
        &mut self,
        ours: &mut Client,
        theirs: &mut Client,
        method: &str,
        target: &str,
        body: &str,
    ) {
        let headers: &[_] = if method == "POST" { &[JSON] } else { &[] };
        let (a, b) = (
            normal(&ours.ask(method, target, headers, body.as_bytes())),
            normal(&theirs.ask(method, target, headers, body.as_bytes())),
        );
        let name = match body.len() {
            0 => format!("{method} {target}"),
            _ => format!("{method} {target} {body}"),
        };
        let explained = EXPLAINED.iter().find(|(explained, _)| *explained == name);
        match (a == b, explained) {
            (true, None) => self.identical += 1,
            (false, Some((explained, _))) => self.explained.push(explained),
            (true, Some(_)) => self
                .different
                .push(format!("{name}: is no difference any more")),
            (false, None) => self
                .different
                .push(format!("{name}\n  ours   {a}\n  theirs {b}")),
        }
    }

    #[expect(clippy::print_stdout, reason = "who runs the tests wants to know")]
    fn end(self) {
        println!(
            "Alertmanager and ours: {} identical, {} explained, {} not",
            self.identical,
            self.explained.len(),
            self.different.len()
        );
        assert!(self.different.is_empty(), "{}", self.different.join("\n"));
        assert_eq!(self.explained.len(), EXPLAINED.len());
    }
}

/// What has to be the same: not the moment at which something was done, ids that are drawn, or what a build is.
fn normal(answer: &Answer) -> Value {
    let mut body: Value =
        serde_json::from_slice(&answer.body).unwrap_or_else(|_| Value::from(answer.text()));
    strip(&mut body);
    if answer.status == 405 {
        // The real one names the methods in an order of chance.
        body = Value::Null;
    }
    json!({
        "status": answer.status,
        "type": answer.content_type,
        "body": body,
    })
}

fn strip(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(strip),
        Value::Object(fields) => {
            for drawn in [
                "updatedAt",
                "id",
                "silencedBy",
                "silenceID",
                "uptime",
                "versionInfo",
                "config",
            ] {
                if let Some(field) = fields.get_mut(drawn) {
                    *field = match field {
                        Value::Array(drawn) => Value::from(drawn.len()),
                        _ => Value::Null,
                    };
                }
            }
            // A silence that began before it was made begins when it was made.
            if fields.contains_key("createdBy") {
                fields.remove("startsAt");
            }
            fields.values_mut().for_each(strip);
        }
        _ => {}
    }
}
