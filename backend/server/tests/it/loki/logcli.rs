//! `logcli` works on ours, unmodified.

use std::process::Command;

use peers::component;

use super::world::{Ours, lines, now_ns, push};
use crate::client::Client;

#[test]
fn logcli_works_on_ours() {
    let Some(program) = component("logcli") else {
        return;
    };
    let ours = Ours::start();
    let pushed = push(&mut Client::new(ours.address), &lines(now_ns()));
    assert_eq!(pushed.status, 204);
    let logcli = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        command.env("LOKI_ADDR", format!("http://{}", ours.address));
        let output = command.args(arguments).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    };
    let query = r#"{service="worker"} |= "job=7""#;
    let found = logcli(&["query", "--quiet", "--output=raw", query]);
    assert_eq!(found, "level=error job=7 took=7ms\n");
    let labels = logcli(&["labels", "--quiet"]);
    assert_eq!(labels, "app\nenv\nlevel\nservice\nservice_name\n");
    assert_eq!(
        logcli(&["labels", "--quiet", "service"]),
        "gateway\nworker\n"
    );
    let series = logcli(&["series", "--quiet", r#"{service="gateway"}"#]);
    assert!(series.contains("service=\"gateway\""), "{series}");
    let counted = logcli(&[
        "instant-query",
        "--quiet",
        r#"sum by (service) (count_over_time({service=~".+"}[1h]))"#,
    ]);
    assert!(counted.contains("\"10\""), "{counted}");
}
