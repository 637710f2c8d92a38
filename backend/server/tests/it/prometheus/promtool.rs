//! `promtool query` asks ours, unmodified.

use std::process::Command;

use ::prometheus::Configuration;
use peers::component;

use super::{
    world::{Ours, write},
    write_request::series,
};
use crate::client::Client;

const NOW_MS: i64 = 1_795_431_600_000;

#[test]
fn promtool_asks_ours() {
    let Some(promtool) = component("promtool") else {
        return;
    };
    let configuration = Configuration::BuiltIn {
        path: "prometheus.yml".into(),
        config: "",
        rules: Vec::new(),
    };
    let ours = Ours::still(configuration, NOW_MS);
    let samples: Vec<(i64, f64)> = (0..=4)
        .map(|step| (NOW_MS - (4 - step) * 15_000, 1.5 * step as f64))
        .collect();
    let one = series(&[("__name__", "m"), ("job", "a")], &samples);
    assert_eq!(write(&mut Client::new(ours.address), &[one]).status, 204);
    let server = format!("http://{}", ours.address);
    for (arguments, expected) in [
        (
            &["instant", "--time=1795431600", &server, "m"][..],
            "m{job=\"a\"} => 6 @[1795431600]\n",
        ),
        (
            &[
                "instant",
                "--time=1795431600",
                &server,
                "sum_over_time(m[1m])",
            ],
            "{job=\"a\"} => 15 @[1795431600]\n",
        ),
        (
            &[
                "range",
                "--start=1795431570",
                "--end=1795431600",
                "--step=30s",
                &server,
                "m",
            ],
            "m{job=\"a\"} =>\n3 @[1795431570]\n6 @[1795431600]\n",
        ),
        (
            &[
                "series",
                "--match=m",
                "--start=1795431540",
                "--end=1795431600",
                &server,
            ],
            "{__name__=\"m\", job=\"a\"}\n",
        ),
        (
            &[
                "labels",
                "--start=1795431540",
                "--end=1795431600",
                &server,
                "job",
            ],
            "a\n",
        ),
    ] {
        let output = Command::new(&promtool)
            .arg("query")
            .args(arguments)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {error}");
        assert_eq!(said, expected, "{arguments:?}");
    }
    let refused = Command::new(&promtool)
        .args(["query", "instant", &server, "sum("])
        .output()
        .unwrap();
    assert!(!refused.status.success());
    let error = String::from_utf8_lossy(&refused.stderr);
    assert!(error.contains("bad_data"), "{error}");
    assert!(error.contains("unclosed left parenthesis"), "{error}");
}
