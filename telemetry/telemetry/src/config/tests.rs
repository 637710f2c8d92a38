//! The environment as the OpenTelemetry specification reads it.
#![allow(clippy::unwrap_used)]

use super::*;

fn read(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::new("gateway", "1.0.0").overridden(&Environment::of(variables))
}

fn refused(variable: &str, value: &str) -> ConfigError {
    let error = read(&[(variable, value)]).unwrap_err();
    assert_eq!(error.variable, variable);
    assert!(
        error
            .to_string()
            .starts_with(&format!("environment variable {variable}: "))
    );
    error
}

#[test]
fn an_empty_environment_changes_nothing() {
    let config = read(&[("OTEL_SERVICE_NAME", "  "), ("RUST_LOG", "")]).unwrap();
    assert_eq!(config.service, "gateway");
    assert_eq!(config.version, "1.0.0");
    assert_eq!(config.traces_url(), "http://127.0.0.1:4318/v1/traces");
    assert_eq!(config.otlp_timeout, Duration::from_secs(10));
    assert_eq!(config.decision_wait, Duration::from_secs(10));
    assert_eq!(
        (config.log_filter.as_str(), config.span_filter.as_str()),
        ("info", "info")
    );
    assert!(!config.sdk_disabled);
}

#[test]
fn the_service_name_of_its_own_variable_wins_over_the_resource() {
    let attributes = (
        "OTEL_RESOURCE_ATTRIBUTES",
        "service.name=a,team=b%20c,deployment.environment.name=prod",
    );
    let config = read(&[attributes]).unwrap();
    assert_eq!(config.service, "a");
    assert_eq!(config.environment, "prod");
    assert_eq!(config.resource, [("team".to_owned(), "b c".to_owned())]);
    let config = read(&[attributes, ("OTEL_SERVICE_NAME", "named")]).unwrap();
    assert_eq!(config.service, "named");
}

#[test]
fn a_base_endpoint_gets_the_signal_path_and_a_traces_endpoint_is_used_as_it_is() {
    let base = (
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "https://collector:4318/prefix/",
    );
    assert_eq!(
        read(&[base]).unwrap().traces_url(),
        "https://collector:4318/prefix/v1/traces"
    );
    let traces = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://other/spans");
    assert_eq!(
        read(&[base, traces]).unwrap().traces_url(),
        "http://other/spans"
    );
}

#[test]
fn headers_and_timeout_of_the_signal_win_and_headers_are_never_printed() {
    let config = read(&[
        (
            "OTEL_EXPORTER_OTLP_HEADERS",
            "authorization=Bearer%20secret,x-a=1",
        ),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "x-a=2"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "5000"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "250"),
    ])
    .unwrap();
    assert_eq!(config.otlp_headers["authorization"], "Bearer secret");
    assert_eq!(config.otlp_headers["x-a"], "2");
    assert_eq!(config.otlp_timeout, Duration::from_millis(250));
    assert!(!format!("{config:?}").contains("secret"));
}

#[test]
fn queue_batch_and_delay_are_those_of_the_batch_processor() {
    let config = read(&[
        ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
        ("OTEL_BSP_SCHEDULE_DELAY", "200"),
    ])
    .unwrap();
    assert_eq!((config.span_queue_max, config.span_batch_max), (100, 100));
    assert_eq!(config.span_batch_delay, Duration::from_millis(200));
    let too_large = [
        ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "101"),
    ];
    assert_eq!(
        read(&too_large).unwrap_err().variable,
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"
    );
}

#[test]
fn the_rest_is_read_in_its_own_forms() {
    let config = read(&[
        ("OTEL_SDK_DISABLED", "TRUE"),
        ("TRIPOD_DECISION_WAIT", "1m30s"),
        ("OTEL_TRACE_FILTER", "info,worker=debug"),
        ("RUST_LOG", "warn,gateway[request{id=1}]=debug"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
    ])
    .unwrap();
    assert!(config.sdk_disabled);
    assert_eq!(config.decision_wait, Duration::from_secs(90));
    assert_eq!(config.span_filter, "info,worker=debug");
    assert_eq!(config.log_filter, "warn,gateway[request{id=1}]=debug");
}

#[test]
fn a_bad_value_is_an_error_that_names_its_variable() {
    for (variable, value) in [
        ("OTEL_RESOURCE_ATTRIBUTES", "team"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "not a url"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "grpc://collector"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "0"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca.pem"),
        ("OTEL_SDK_DISABLED", "yes"),
        ("TRIPOD_DECISION_WAIT", "10"),
        ("TRIPOD_DECISION_WAIT", "0s"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
        ("OTEL_BSP_SCHEDULE_DELAY", "-1"),
        ("OTEL_BSP_SCHEDULE_DELAY", "1501"),
        ("OTEL_TRACE_FILTER", "gateway=loud"),
        ("RUST_LOG", "gateway=loud"),
    ] {
        refused(variable, value);
    }
}

#[test]
fn a_refused_header_is_not_quoted() {
    for value in [
        "authorization=line%0Abreak-secret",
        "no separator secret",
        "Bearer secret=",
    ] {
        let error = refused("OTEL_EXPORTER_OTLP_HEADERS", value);
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[test]
fn two_instances_have_different_ids_in_the_form_of_a_random_uuid() {
    let (first, second) = (random_instance_id(), random_instance_id());
    assert_ne!(first, second);
    assert_eq!((first.len(), first.as_bytes()[14]), (36, b'4'));
    assert!(
        matches!(first.as_bytes()[19], b'8' | b'9' | b'a' | b'b'),
        "{first}"
    );
}
