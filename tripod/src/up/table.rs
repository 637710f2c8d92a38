//! What `tripod up` prints when everything is ready.

use std::{fmt::Write, path::Path, time::Duration};

use super::{DATA_DEFAULT, run_file::Run};

/// Addresses, key and first commands to try. `traces` is the URL that spans are posted to.
pub(crate) fn render(run: &Run, traces: &str, ready_after: Duration) -> String {
    let mut text = format!(
        "Tripod is ready after {:.2} s.\n\n",
        ready_after.as_secs_f64()
    );
    let mut row = |surface: &str, address: &str| {
        writeln!(text, "  {surface:<32}{address}").expect("a string takes every line");
    };
    row(
        "gateway API",
        &format!("{0}/v1/tasks   docs: {0}/docs", run.gateway),
    );
    row("task-service API", &run.task_service);
    row("DynamoDB, SQS, CloudWatch Logs", &run.aws);
    row(
        "CloudWatch Logs over TLS",
        &format!("{}   CA: {}", run.aws_tls, run.aws_ca.display()),
    );
    row("Tempo API", &run.tempo);
    row("Prometheus API", &run.prometheus);
    row("Alertmanager API", &run.alertmanager);
    row("Loki API", &run.loki);
    row(
        "OTLP over gRPC and HTTP",
        &format!("{}   {}", run.otlp_grpc, run.otlp_http),
    );
    for (service, address) in &run.admin {
        row(
            &format!("admin of {service}"),
            &format!("{address}/metrics"),
        );
    }
    row("traces are sent to", traces);
    row(
        "data and logs",
        &format!("{0}   {0}/logs", run.data.display()),
    );
    row("development API key", &run.api_key);
    text.push_str("\nCreate a task; the `traceresponse` header holds its trace_id:\n\n");
    write!(
        text,
        "  curl -si {}/v1/tasks -H 'Authorization: Bearer {}' -H 'Content-Type: application/json' -d '{{\"title\": \"Write the report\"}}'\n\nSee it ten seconds later, if it is one of the 5 % that are kept (errors always are):\n\n  tripod show TRACE_ID{}\n\nCtrl-C stops everything in order.\n",
        run.gateway,
        run.api_key,
        folder_flag(&run.data),
    )
    .expect("a string takes every line");
    text
}

/// How `show` is told about this folder; nothing when it finds it by itself.
fn folder_flag(data: &Path) -> String {
    match Path::new(DATA_DEFAULT)
        .canonicalize()
        .is_ok_and(|default| default == data)
    {
        true => String::new(),
        false => format!(" --data {}", data.display()),
    }
}
