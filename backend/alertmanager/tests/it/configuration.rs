//! Configuration files that are refused, with what the operator is told; the real one must refuse what it knows as well.

use std::{path::Path, process::Command};

use alertmanager::config::{Authorization, Config, Secret};
use peers::component;

const RECEIVERS: &str = "receivers: [{name: a, webhook_configs: [{url: 'http://127.0.0.1:1'}]}]";

fn refused(text: &str) -> String {
    match Config::parse(text, Path::new(".")) {
        Err(error) => error.to_string(),
        Ok(_) => panic!("accepted: {text}"),
    }
}

/// Routes that are wrong for the real one too, and what ours says.
const WRONG_ROUTES: [(&str, &str); 15] = [
    (
        "{}",
        "line 1, column 8: route: the root must have a receiver",
    ),
    (
        "{receiver: b}",
        "line 1, column 19: route.receiver: there is no receiver \"b\"",
    ),
    (
        "{receiver: a, matchers: [a=b]}",
        "the root takes every alert and has no matchers",
    ),
    ("{receiver: a, continue: true}", "the root has no continue"),
    ("{receiver: a, group_by: [x, x]}", "\"x\" stands here twice"),
    (
        "{receiver: a, group_by: [x, '...']}",
        "`...` stands alone or not at all",
    ),
    (
        "{receiver: a, group_wait: 5}",
        "route.group_wait: \"5\" is not a duration",
    ),
    (
        "{receiver: a, group_interval: 0s}",
        "route.group_interval: must not be zero",
    ),
    (
        "{receiver: a, repeat_interval: 0s}",
        "route.repeat_interval: must not be zero",
    ),
    (
        "{receiver: a, routes: [{matchers: ['a=~\"(\"']}]}",
        "route.routes[0].matchers: ",
    ),
    (
        "{receiver: a, routes: [{match: {'a-b': c}}]}",
        "route.routes[0].match.a-b: \"a-b\" is not a label name",
    ),
    (
        "{receiver: a, routes: [{match_re: {a: '('}}]}",
        "route.routes[0].match_re.a: not a regular expression",
    ),
    (
        "{receiver: a, routes: [{mute_time_intervals: [x]}]}",
        "there is no time interval \"x\"",
    ),
    (
        "{receiver: a, active_time_intervals: [x]}",
        "the root has no time intervals",
    ),
    ("{receiver: a, grup_by: [x]}", "unknown field `grup_by`"),
];

/// The rest of a file that is wrong for the real one too.
const WRONG_PARTS: [(&str, &str); 13] = [
    (
        "receivers: [{name: a}, {name: a}]",
        "receivers[1].name: \"a\" is not a name of its own",
    ),
    (
        "receivers: [{name: a, webhook_configs: [{max_alerts: 1}]}]",
        "receivers[0].webhook_configs[0]: url is missing",
    ),
    (
        "receivers: [{name: a, webhook_configs: [{url: 'http://a', timeout: 5x}]}]",
        "webhook_configs[0].timeout: not a duration",
    ),
    (
        "receivers: [{name: a, webhook_configs: [{url: 'http://a', http_config: {authorization: {type: Basic}}}]}]",
        "basic is the matter of basic_auth",
    ),
    (
        "receivers: [{name: a, webhook_configs: [{url: 'http://a', http_config: {basic_auth: {password: x, password_file: y}}}]}]",
        "at most one of the secret and its file",
    ),
    (
        "receivers: [{name: a}]\ninhibit_rules: [{source_matchers: ['=']}]",
        "line 3, column 36: inhibit_rules[0].source_matchers: ",
    ),
    (
        "receivers: [{name: a}]\ntime_intervals: [{name: x, time_intervals: [{weekdays: ['friday:monday']}]}]",
        "time_intervals[0].weekdays: \"friday:monday\" is not a range",
    ),
    (
        "receivers: [{name: a}]\ntime_intervals: [{name: x, time_intervals: [{days_of_month: ['0']}]}]",
        "\"0\" is not a range",
    ),
    (
        "receivers: [{name: a}]\ntime_intervals: [{name: x, time_intervals: [{times: [{start_time: '10:00', end_time: '9:00'}]}]}]",
        "not a range of times",
    ),
    (
        "receivers: [{name: a}]\ntime_intervals: [{name: x, time_intervals: [{location: Nowhere/Here}]}]",
        "knows no time zone \"Nowhere/Here\"",
    ),
    (
        "receivers: [{name: a}]\ntime_intervals: [{name: x}, {name: x}]",
        "time_intervals[1].name: \"x\" is not a name of its own",
    ),
    (
        "receivers: [{name: a}]\nglobal: {resolve_timeout: x}",
        "line 3, column 27: global.resolve_timeout: \"x\" is not a duration",
    ),
    (
        "receivers: [{name: a}]\nrecievers: []",
        "unknown field `recievers`",
    ),
];

/// What the real one has and ours has not.
const UNSUPPORTED: [(&str, &str); 5] = [
    (
        "receivers: [{name: a, slack_configs: [{channel: x}]}]",
        "unknown field `slack_configs`",
    ),
    (
        "receivers: [{name: a, webhook_configs: [{url_file: x}]}]",
        "unknown field `url_file`",
    ),
    (
        "receivers: [{name: a, webhook_configs: [{url: 'http://a/{{ .Receiver }}'}]}]",
        "webhook_configs[0].url: templates are not supported",
    ),
    (
        "receivers: [{name: a}]\ntemplates: [x]",
        "templates: templates are not supported",
    ),
    (
        "receivers: [{name: a}]\nglobal: {smtp_from: x}",
        "unknown field `smtp_from`",
    ),
];

fn wrong_files() -> Vec<(String, &'static str)> {
    let routes = WRONG_ROUTES
        .iter()
        .map(|(route, said)| (format!("route: {route}\n{RECEIVERS}"), *said));
    let parts = WRONG_PARTS
        .iter()
        .map(|(part, said)| (format!("route: {{receiver: a}}\n{part}"), *said));
    routes.chain(parts).collect()
}

#[test]
fn each_wrong_option_is_named() {
    for (text, expected) in wrong_files() {
        let said = refused(&text);
        assert!(said.contains(expected), "{text}\n{said}");
    }
    for (part, expected) in UNSUPPORTED {
        let said = refused(&format!("route: {{receiver: a}}\n{part}"));
        assert!(said.contains(expected), "{part}\n{said}");
    }
    let said = refused("route: {receiver: a}\nreceivers:\n  - name: a\n    email_configs: []\n");
    assert!(said.contains("line 4"), "{said}");
    assert!(refused("").contains("no route is given"));
    assert!(
        refused(&format!("route: {}", "{routes: [".repeat(2_000)))
            .starts_with("not a configuration file")
    );
}

#[test]
fn the_real_one_refuses_them_as_well() {
    let Some(amtool) = component("amtool") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("alertmanager.yml");
    for (text, _) in wrong_files() {
        std::fs::write(&file, &text).unwrap();
        let output = Command::new(&amtool)
            .arg("check-config")
            .arg(&file)
            .output()
            .unwrap();
        // A URL is only looked at when it is used.
        assert!(!output.status.success(), "{text}");
    }
}

#[test]
fn options_of_webhooks_are_read_and_secrets_are_not_shown() {
    let text = "
global: {http_config: {authorization: {credentials: one-secret}}}
route: {receiver: a}
receivers:
  - name: a
    webhook_configs:
      - {url: 'https://user:two-secret@a.example/x', send_resolved: false, max_alerts: 5, timeout: 1.5s}
      - {url: 'http://b', http_config: {basic_auth: {username: u, password_file: p}, follow_redirects: false}}
";
    let config = Config::parse(text, Path::new("/folder")).unwrap();
    let [first, second] = config.receivers[0].webhooks.as_slice() else {
        panic!("two webhooks");
    };
    assert_eq!(
        (first.send_resolved, first.alerts_max, first.timeout_ms),
        (false, 5, Some(1_500))
    );
    assert_eq!(
        (second.send_resolved, second.alerts_max, second.timeout_ms),
        (true, 0, None)
    );
    assert!(matches!(
        &first.authorization,
        Some(Authorization::Header { scheme, credentials: Secret::Text(secret) })
            if scheme == "Bearer" && secret == "one-secret"
    ));
    assert!(matches!(
        &second.authorization,
        Some(Authorization::Basic { password: Secret::File(file), .. }) if file == Path::new("/folder/p")
    ));
    assert!(first.follow_redirects && !second.follow_redirects);
    let shown = format!("{} {:?}", config.shown, first.authorization);
    assert!(
        shown.contains("<secret>") && shown.contains("max_alerts: 5"),
        "{shown}"
    );
    assert!(
        !shown.contains("one-secret") && !shown.contains("two-secret"),
        "{shown}"
    );
}
