#![allow(clippy::unwrap_used)]

use super::*;
use crate::relabel::{Action, LabelSet, Pattern, apply};

fn parse(yaml: &str) -> Result<Config, ConfigError> {
    Config::parse(Path::new("/etc/p/prometheus.yml"), yaml)
}

#[test]
fn an_empty_file_has_the_defaults_of_prometheus() {
    let expected = Config {
        evaluation_interval_ms: 60_000,
        external_labels: Labels::default(),
        rule_files: vec![],
        alertmanagers: vec![],
        jobs: vec![],
    };
    for yaml in ["", "# nothing\n", "global:\n", "scrape_configs: []\n"] {
        assert_eq!(parse(yaml).unwrap(), expected, "{yaml}");
    }
}

#[test]
fn every_option_arrives() {
    let config = parse(
        "
global:
  scrape_interval: 20s
  scrape_timeout: 5s
  evaluation_interval: 30s
  external_labels: {region: eu, replica: 'a'}
  sample_limit: 7
  body_size_limit: 1KB
rule_files: [rules/*.yml, /abs/x.yml]
alerting:
  alertmanagers:
    - static_configs: [{targets: ['127.0.0.1:9093', 'other:1']}]
      path_prefix: /am/
      timeout: 3s
      api_version: v2
scrape_configs:
  - job_name: first
    static_configs:
      - targets: [a:1, b:2]
        labels: {service: x}
  - job_name: second
    scrape_interval: 4s
    metrics_path: /m
    scheme: http
    params: {q: [a, b]}
    scrape_protocols: [PrometheusText0.0.4]
    honor_labels: true
    honor_timestamps: false
    sample_limit: 9
    target_limit: 8
    label_limit: 3
    label_name_length_limit: 4
    label_value_length_limit: 5
    body_size_limit: 0
    file_sd_configs: [{files: [targets/*.json], refresh_interval: 10s}]
    relabel_configs:
      - {source_labels: [__address__], target_label: host, regex: '(.*):.*'}
    metric_relabel_configs:
      - {action: LabelDrop, regex: junk}
",
    )
    .unwrap();
    assert_eq!(config.evaluation_interval_ms, 30_000);
    assert_eq!(
        config.external_labels,
        Labels::new([("region", "eu"), ("replica", "a")])
    );
    assert_eq!(
        config.rule_files,
        ["/etc/p/rules/*.yml", "/abs/x.yml"].map(PathBuf::from)
    );
    let [alertmanager] = &config.alertmanagers[..] else {
        panic!()
    };
    assert_eq!(alertmanager.addresses, ["127.0.0.1:9093", "other:1"]);
    assert_eq!(
        (alertmanager.path_prefix.as_str(), alertmanager.timeout_ms),
        ("/am", 3_000)
    );
    let [first, second] = &config.jobs[..] else {
        panic!()
    };
    let group = Group {
        targets: vec!["a:1".into(), "b:2".into()],
        labels: vec![("service".into(), "x".into())],
    };
    assert_eq!(first.groups, [group]);
    assert_eq!((first.interval_ms, first.timeout_ms), (20_000, 5_000));
    assert_eq!(first.metrics_path, "/metrics");
    assert_eq!(first.protocols.len(), 4);
    assert!(!first.honor_labels && first.honor_timestamps);
    assert_eq!(
        first.limits,
        Limits {
            samples: 7,
            body_bytes: 1024,
            ..Limits::default()
        }
    );
    let second = second.clone();
    assert_eq!(
        second,
        Job {
            name: "second".into(),
            interval_ms: 4_000,
            timeout_ms: 4_000,
            metrics_path: "/m".into(),
            params: BTreeMap::from([("q".into(), vec!["a".into(), "b".into()])]),
            protocols: vec![Protocol::Text0_0_4],
            honor_labels: true,
            honor_timestamps: false,
            limits: Limits {
                samples: 9,
                targets: 8,
                labels: 3,
                label_name_bytes: 4,
                label_value_bytes: 5,
                body_bytes: 1024,
            },
            groups: vec![],
            files: vec![FileDiscovery {
                files: vec!["/etc/p/targets/*.json".into()],
                refresh_ms: 10_000,
            }],
            relabel: second.relabel.clone(),
            metric_relabel: vec![Rule {
                source_labels: vec![],
                separator: ";".into(),
                action: Action::LabelDrop(Pattern::new("junk").unwrap()),
            }],
        }
    );
    let mut labels = LabelSet::from_iter([("__address__", "h:1")]);
    assert!(apply(&second.relabel, &mut labels));
    assert_eq!(labels.get("host"), "h");
}

/// The fault of a job with these options, which begin on line 3.
fn fault(options: &str) -> String {
    let yaml = format!(
        "scrape_configs:\n- job_name: j\n  {}\n",
        options.replace('\n', "\n  ")
    );
    parse(&yaml)
        .unwrap_err()
        .to_string()
        .replace("/etc/p/prometheus.yml: ", "")
}

#[test]
fn what_is_not_supported_is_named_with_its_line() {
    for option in [
        "scrape_native_histograms: true",
        "tls_config: {}",
        "kubernetes_sd_configs: []",
        "honor_lables: true",
    ] {
        let (name, _) = option.split_once(':').unwrap();
        let fault = fault(option);
        assert!(fault.contains("line 3") && fault.contains(name), "{fault}");
    }
    let unknown = parse("global:\n  scrape_interval: 1s\nremote_read: []\n")
        .unwrap_err()
        .to_string();
    assert!(
        unknown.contains("line 3") && unknown.contains("remote_read"),
        "{unknown}"
    );
    let check = |options: &str, expected: &str| assert_eq!(fault(options), expected);
    check("scheme: https", r#"3:11: scheme: "https" is not supported"#);
    check(
        "scrape_protocols: [PrometheusProto]",
        r#"3:22: scrape_protocols: "PrometheusProto" is not supported"#,
    );
}

#[test]
fn what_makes_no_sense_is_refused_where_it_stands() {
    let check = |options: &str, expected: &str| assert_eq!(fault(options), expected);
    check(
        "scrape_interval: 1x",
        r#"3:20: scrape_interval: not a valid duration string: "1x""#,
    );
    check(
        "scrape_interval: 5s\nscrape_timeout: 6s",
        "4:19: scrape_timeout is longer than scrape_interval",
    );
    check("scrape_protocols: []", "3:21: scrape_protocols is empty");
    check(
        "body_size_limit: 5",
        r#"3:20: body_size_limit: "5" is no size"#,
    );
    check(
        "static_configs: [{targets: ['http://a:1/m']}]",
        r#"3:31: "http://a:1/m" is no address of a target"#,
    );
    check(
        "static_configs: [{targets: [a], labels: {__name__: x}}]",
        r#"3:54: "__name__" is no name for a label here"#,
    );
    check(
        "file_sd_configs: [{files: []}]",
        "3:21: file_sd_configs has no files",
    );
    check(
        "file_sd_configs: [{files: [a.txt]}]",
        r#"3:30: "a.txt" is no path of a discovery file"#,
    );
    check(
        "file_sd_configs: [{files: ['*/a.json']}]",
        r#"3:30: "*/a.json" is no path of a discovery file"#,
    );
    let check = |rule: &str, expected: &str| {
        assert_eq!(
            fault(&format!("relabel_configs:\n- {{{rule}}}")),
            format!("4:{expected}")
        );
    };
    check("action: shrink", r#"14: action: "shrink" is no action"#);
    check(
        "regex: '('",
        "13: regex: invalid regular expression: error: unclosed group",
    );
    check(
        "action: replace",
        "5: the action replace needs a target_label",
    );
    check(
        "action: hashmod, target_label: a",
        "5: the action hashmod needs a modulus that is not zero",
    );
    check(
        "action: keepequal, target_label: a, regex: b",
        "5: the action keepequal takes no regex",
    );
    check(
        "action: labelkeep, replacement: b",
        "5: the action labelkeep takes no replacement",
    );
    let check = |yaml: &str, expected: &str| {
        let fault = parse(yaml).unwrap_err().to_string();
        assert_eq!(fault, format!("/etc/p/prometheus.yml: {expected}"));
    };
    check("scrape_configs: [{}]", "1:18: a job has no job_name");
    check(
        "scrape_configs: [{job_name: a}, {job_name: a}]",
        r#"1:33: there are several jobs "a""#,
    );
    check(
        "rule_files: ['a*/b.yml']",
        r#"1:14: "a*/b.yml" is no path of a rule file"#,
    );
    check(
        "rule_files: ['a[.yml']",
        r#"1:14: "a[.yml": invalid range pattern"#,
    );
}

#[test]
fn the_file_of_the_system_is_read() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/prometheus/prometheus.yml");
    let mut config = Config::read(&path).unwrap();
    let rules = config.rule_paths().unwrap();
    assert!(rules.len() >= 5, "{rules:?}");
    config.move_addresses(|address| {
        address
            .strip_prefix("127.0.0.1:")
            .map(|port| format!("[::1]:{port}"))
    });
    assert_eq!(config.alertmanagers[0].addresses, ["[::1]:9093"]);
    let [job] = &config.jobs[..] else { panic!() };
    let targets: Vec<(&str, &str)> = job
        .groups
        .iter()
        .map(|group| (group.targets[0].as_str(), group.labels[0].1.as_str()))
        .collect();
    let expected = [
        ("[::1]:9101", "gateway"),
        ("[::1]:9102", "task-service"),
        ("[::1]:9103", "worker"),
        ("[::1]:3200", "backend"),
    ];
    assert_eq!(targets, expected);
    assert_eq!(
        (
            job.interval_ms,
            config.evaluation_interval_ms,
            job.honor_labels
        ),
        (15_000, 15_000, true)
    );
}

#[test]
fn discovery_files_are_json_or_yaml() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("targets.json");
    let read = |text: &str| {
        fs::write(&path, text).unwrap();
        read_groups(&path).map_err(|error| error.to_string())
    };
    let expected = Group {
        targets: vec!["a:1".into()],
        labels: vec![("k".into(), "v".into())],
    };
    assert_eq!(
        read(r#"[{"targets": ["a:1"], "labels": {"k": "v"}}]"#),
        Ok(vec![expected.clone()])
    );
    assert_eq!(
        read("- targets: [a:1]\n  labels: {k: v}\n"),
        Ok(vec![expected])
    );
    assert_eq!(read(""), Ok(vec![]));
    let fault = read(r#"[{"targets": ["a:1"], "weight": 1}]"#).unwrap_err();
    assert!(
        fault.contains("weight") && fault.contains("line 1"),
        "{fault}"
    );
    assert!(read_groups(&folder.path().join("none.json")).is_err());
}

/// The message with all its reasons, as it is told to an operator.
fn told(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", told(source)),
        None => error.to_string(),
    }
}

#[test]
fn each_kind_of_fault_is_told_with_file_line_and_reason() {
    for (yaml, expected) in [
        ("global: [unclosed\n", "line 1"),
        ("a: b: c\n", "line 1"),
        ("global: {}\nglobal: {}\n", "line 2"),
        ("global:\n  interval: 5s\n", "unknown field `interval`"),
        ("global:\n  scrape_interval: [5s]\n", "line 2"),
        ("scrape_configs: 5\n", "line 1"),
        (
            "scrape_configs:\n- job_name: a\n  honor_labels: yes\n",
            "line 3",
        ),
        (
            "scrape_configs:\n- job_name: a\n  sample_limit: -1\n",
            "line 3",
        ),
        ("global: !!binary aGk=\n", "line 1"),
        (
            "global:\n  scrape_interval: 5\n",
            "2:20: scrape_interval: not a valid duration string: \"5\"",
        ),
        (
            "global:\n  evaluation_interval: ''\n",
            "2:24: evaluation_interval: empty duration string",
        ),
        (
            "global:\n  scrape_interval: 300y\n",
            "2:20: scrape_interval: duration out of range",
        ),
        (
            "global:\n  external_labels: {'': x}\n",
            "2:25: \"\" is no name for a label here",
        ),
        (
            "scrape_configs:\n- job_name: ''\n",
            "2:3: a job has no job_name",
        ),
    ] {
        let error = parse(yaml).map(|_| ()).map_err(|error| told(&error));
        let error = error.expect_err(yaml);
        assert!(error.starts_with("/etc/p/prometheus.yml: "), "{error}");
        assert!(error.contains(expected), "{yaml}\n{error}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let written = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let long = usize::try_from(FILE_BYTES_MAX).unwrap() + 1;
    let at_the_limit = [b"#".repeat(long - 2), b"\n".to_vec()].concat();
    assert!(Config::read(&written("at_the_limit", &at_the_limit)).is_ok());
    for (path, reason) in [
        (folder.path().join("none"), "No such file or directory"),
        (folder.path().to_owned(), "Is a directory"),
        (written("latin1", b"# \xe9\n"), "valid UTF-8"),
        (
            written("long", &b"#".repeat(long)),
            "is longer than 4194304 bytes",
        ),
        (
            written("cut", &"é".repeat(long).into_bytes()),
            "is longer than 4194304 bytes",
        ),
        (PathBuf::from("/dev/zero"), "is longer than 4194304 bytes"),
    ] {
        for error in [
            told(&Config::read(&path).unwrap_err()),
            told(&read_groups(&path).unwrap_err()),
        ] {
            assert!(error.contains(&path.display().to_string()), "{error}");
            assert!(error.contains(reason), "{error}");
        }
    }
}
