//! What `tripod up` prints when everything is ready.

use std::{fmt::Write, time::Duration};

use super::run_file::Run;

/// Addresses, key and a first command to try.
pub(crate) fn render(run: &Run, otlp: &str, ready_after: Duration) -> String {
    let mut text = format!(
        "Tripod is ready after {:.2} s.\n\n",
        ready_after.as_secs_f64()
    );
    let mut row = |surface: &str, address: &str| {
        writeln!(text, "  {surface:<24}{address}").expect("a string takes every line");
    };
    row(
        "gateway API",
        &format!("{0}/v1/tasks   docs: {0}/docs", run.gateway),
    );
    row("task-service API", &run.task_service);
    row("DynamoDB and SQS", &run.aws);
    for (service, address) in &run.admin {
        row(
            &format!("admin of {service}"),
            &format!("{address}/metrics"),
        );
    }
    row("traces are sent to", otlp);
    row(
        "data and logs",
        &format!("{0}   {0}/logs", run.data.display()),
    );
    row("development API key", &run.api_key);
    text.push_str("\nCreate a task; the `traceresponse` header holds its trace_id:\n\n");
    write!(
        text,
        "  curl -si {}/v1/tasks -H 'Authorization: Bearer {}' -H 'Content-Type: application/json' -d '{{\"title\": \"Write the report\"}}'\n\nCtrl-C stops everything in order.\n",
        run.gateway, run.api_key
    )
    .expect("a string takes every line");
    text
}
