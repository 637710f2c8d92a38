//! Files of `deploy/` for other ways to run: compose holds together with the rest of the tree, and what scales out is accepted by the
//! components' own checkers.
//!
//! Nothing is started here.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// (image, file that pins the same component natively, text before its version there, version here for that one).
const PINNED: [(&str, &str, &str, &str); 4] = [
    (
        "otel/opentelemetry-collector-contrib:",
        "native/otelcol/manifest.yaml",
        "otlpreceiver v",
        "",
    ),
    // As a Go module, 3.14.0 is v0.314.0.
    (
        "prom/prometheus:v",
        "native/prometheus/go.mod",
        "github.com/prometheus/prometheus v",
        "3.14.0=0.314.0",
    ),
    (
        "prom/alertmanager:v",
        "native/alertmanager/go.mod",
        "github.com/prometheus/alertmanager v",
        "",
    ),
    (
        "grafana/loki:",
        "native/loki/go.mod",
        "github.com/grafana/loki/v3 v",
        "",
    ),
];
/// Processes of which Tempo and Loki consist when they are several.
const TEMPO_TARGETS: [&str; 7] = [
    "distributor",
    "live-store",
    "block-builder",
    "querier",
    "query-frontend",
    "backend-scheduler",
    "backend-worker",
];
const LOKI_TARGETS: [&str; 3] = ["read", "write", "backend"];

#[test]
fn containers_are_bounded_pinned_and_seen_on_loopback_only() {
    let services = services();
    for (name, service) in &services {
        let image = service["image"].as_str().unwrap();
        let (_, tag) = image.rsplit_once(':').unwrap();
        assert!(
            tag.contains(|c: char| c.is_ascii_digit()) && tag.contains('.'),
            "{name}: {image}"
        );
        assert!(service["mem_limit"].is_string(), "{name} has no limit");
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(service["cap_drop"][0], "ALL", "{name}");
        let ports = service["ports"].as_array().into_iter().flatten();
        for port in ports {
            assert!(port.as_str().unwrap().starts_with("127.0.0.1:"), "{port}");
        }
        let volumes = service["volumes"].as_array().into_iter().flatten();
        for volume in volumes {
            let (source, _) = volume.as_str().unwrap().split_once(':').unwrap();
            let is_file = source.starts_with('.');
            assert!(
                !is_file || deploy().join("compose").join(source).is_dir(),
                "{name}: {source} is not there"
            );
        }
    }
}

#[test]
fn containers_run_the_versions_that_are_built_natively() {
    let services = services();
    for (image, file, before, renamed) in PINNED {
        let service = services
            .iter()
            .find_map(|(_, service)| service["image"].as_str()?.strip_prefix(image));
        let version = service.unwrap_or_else(|| panic!("no {image}"));
        let version = match renamed.split_once('=') {
            Some((here, there)) if here == version => there,
            _ => version,
        };
        let text = fs::read_to_string(deploy().join(file)).unwrap();
        let pinned = format!("{before}{version}");
        assert!(text.contains(&pinned), "{file} has no `{pinned}`");
    }
}

#[test]
fn what_a_container_is_told_is_what_its_configuration_asks_for() {
    for (name, file) in [
        ("otelcol", "collector/collector.yaml"),
        ("tempo", "tempo/tempo.yaml"),
        ("loki", "loki/loki.yaml"),
        ("fluent-bit", "fluent-bit/fluent-bit.yaml"),
        ("grafana", "grafana/provisioning/datasources/tripod.yaml"),
    ] {
        let services = services();
        let (_, service) = services.iter().find(|(other, _)| other == name).unwrap();
        let text = fs::read_to_string(deploy().join(file)).unwrap();
        let variables = service["environment"].as_object().unwrap().keys();
        let told: Vec<_> = variables
            .filter(|name| name.starts_with("TRIPOD_"))
            .collect();
        assert!(!told.is_empty());
        for variable in told {
            assert!(text.contains(variable), "{file} knows no {variable}");
        }
    }
}

#[test]
fn what_scales_out_is_accepted_by_its_checkers() {
    let scale = deploy().join("scale");
    let file = |name: &str| scale.join(name).to_str().unwrap().to_owned();
    check(
        "otelcol",
        &["validate", "--config", &file("collector-balancing.yaml")],
    );
    check(
        "promtool",
        &["check", "config", "--lint=all", &file("prometheus.yml")],
    );
    for target in TEMPO_TARGETS {
        let configuration = format!("-config.file={}", file("tempo.yaml"));
        let target = format!("-target={target}");
        let arguments = [
            &configuration,
            "-config.expand-env=true",
            "-config.verify",
            &target,
        ];
        check("tempo", &arguments);
    }
    for target in LOKI_TARGETS {
        let configuration = format!("-config.file={}", file("loki.yaml"));
        let target = format!("-target={target}");
        let arguments = [
            &configuration,
            "-config.expand-env=true",
            "-verify-config",
            &target,
        ];
        check("loki", &arguments);
    }
}

/// What limits a line of Loki is the same on one machine and on many.
#[test]
fn loki_takes_the_same_lines_on_one_machine_and_on_many() {
    let limits = |path: &str| yaml(&deploy().join(path))["limits_config"].clone();
    assert!(limits("loki/loki.yaml").is_object());
    assert_eq!(limits("loki/loki.yaml"), limits("scale/loki.yaml"));
}

fn check(program: &str, arguments: &[&str]) {
    let Some(found) = peers::component(program) else {
        return;
    };
    let checked = Command::new(found).args(arguments).output().unwrap();
    assert!(
        checked.status.success(),
        "{program} {arguments:?}: {}{}",
        String::from_utf8_lossy(&checked.stdout),
        String::from_utf8_lossy(&checked.stderr)
    );
}

fn services() -> Vec<(String, Value)> {
    let file = yaml(&deploy().join("compose/compose.yaml"));
    let services = file["services"].as_object().unwrap().clone();
    assert!(services.len() > 10);
    services.into_iter().collect()
}

fn yaml(path: &Path) -> Value {
    serde_saphyr::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}
