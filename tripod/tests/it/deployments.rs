//! Files of `deploy/`, for every way to run: each component's own checker accepts its files, as they are natively, in containers and
//! scaled out; and compose holds together with the rest of the tree.
//!
//! Nothing is started here.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
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
/// The file of each component, and the program that checks it.
const FILES: [(&str, &str, &str); 6] = [
    ("otelcol", "otelcol", "collector/collector.yaml"),
    ("tempo", "tempo", "tempo/tempo.yaml"),
    ("loki", "loki", "loki/loki.yaml"),
    ("prometheus", "promtool", "prometheus/prometheus.yml"),
    ("alertmanager", "amtool", "alertmanager/alertmanager.yml"),
    ("fluent-bit", "fluent-bit", "fluent-bit/fluent-bit.yaml"),
];
/// What Fluent Bit's file has no defaults for.
const FLUENT_BIT: [(&str, &str); 11] = [
    ("TRIPOD_LOGS", "logs"),
    ("TRIPOD_FLUENT_BIT_DATA", "data"),
    ("TRIPOD_ENV", "local"),
    ("TRIPOD_INSTANCE", "one"),
    ("TRIPOD_FLUENT_BIT_HEALTH", "2020"),
    ("TRIPOD_LOKI_HOST", "127.0.0.1"),
    ("TRIPOD_LOKI_PORT", "3100"),
    ("TRIPOD_CLOUDWATCH_HOST", "127.0.0.1"),
    ("TRIPOD_CLOUDWATCH_PORT", "4567"),
    ("TRIPOD_CLOUDWATCH_CA", "ca.pem"),
    ("AWS_REGION", "us-east-1"),
];
/// Where a container has `deploy/`.
const MOUNTED: &str = "/etc/tripod/";

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
fn each_checker_accepts_its_file_natively() {
    for (_, program, file) in FILES {
        check(program, &deploy().join(file), &[], &variables(&FLUENT_BIT));
    }
    check(
        "promtool",
        &deploy().join("native/components.yml"),
        &[],
        &[],
    );
}

#[test]
fn each_checker_accepts_its_file_as_its_container_has_it() {
    let services = services();
    for (name, program, file) in FILES {
        let (_, service) = services.iter().find(|(other, _)| other == name).unwrap();
        let told = service["command"].to_string();
        if name == "prometheus" {
            let folder = tempfile::tempdir().unwrap();
            check(program, &entered(service, folder.path()), &[], &[]);
        } else {
            let mounted = format!("{MOUNTED}{file}");
            assert!(told.contains(&mounted), "{name} does not read {mounted}");
            for settings in [vec![], example()] {
                let environment = environment(service, &settings);
                check(program, &deploy().join(file), &[], &environment);
            }
        }
    }
}

#[test]
fn each_setting_of_the_example_has_an_effect() {
    let text = fs::read_to_string(deploy().join("compose/compose.yaml")).unwrap();
    let settings = example();
    assert!(settings.len() > 5);
    for (name, value) in settings {
        let is_read = match name.as_str() {
            "COMPOSE_PROFILES" => text.contains(&format!("profiles: [{value}]")),
            name => text.contains(&format!("${{{name}:-")) || text.contains(&format!(" {name}:\n")),
        };
        assert!(is_read, "nobody reads {name}={value}");
    }
}

#[test]
fn each_checker_accepts_what_scales_out() {
    let scale = deploy().join("scale");
    check("otelcol", &scale.join("collector-balancing.yaml"), &[], &[]);
    check("promtool", &scale.join("prometheus.yml"), &[], &[]);
    for (program, targets) in [("tempo", &TEMPO_TARGETS[..]), ("loki", &LOKI_TARGETS)] {
        for target in targets {
            let file = scale.join(format!("{program}.yaml"));
            check(program, &file, &[&format!("-target={target}")], &[]);
        }
    }
}

/// Otherwise it would say nothing that a checker accepts a file.
#[test]
fn each_checker_refuses_a_setting_that_nobody_knows() {
    let folder = tempfile::tempdir().unwrap();
    for (name, program, file) in FILES {
        // The file of Fluent Bit ends in a list of outputs.
        let indent = if name == "fluent-bit" { "      " } else { "" };
        let text = fs::read_to_string(deploy().join(file)).unwrap();
        let broken = folder.path().join(name).with_extension("yaml");
        fs::write(&broken, format!("{text}\n{indent}unknown_setting: 1\n")).unwrap();
        let variables = variables(&FLUENT_BIT);
        if let Some(checked) = checked(program, &broken, &[], &variables) {
            assert!(!checked.status.success(), "{name}");
            assert!(text_of(&checked).contains("unknown_setting"), "{name}");
        }
    }
}

/// What limits a line of Loki is the same on one machine and on many.
#[test]
fn loki_takes_the_same_lines_on_one_machine_and_on_many() {
    let limits = |path: &str| yaml(&deploy().join(path))["limits_config"].clone();
    assert!(limits("loki/loki.yaml").is_object());
    assert_eq!(limits("loki/loki.yaml"), limits("scale/loki.yaml"));
}

fn check(program: &str, file: &Path, further: &[&str], environment: &[(String, String)]) {
    if let Some(checked) = checked(program, file, further, environment) {
        let (file, text) = (file.display(), text_of(&checked));
        assert!(
            checked.status.success(),
            "{program} {file} {further:?}: {text}"
        );
    }
}

/// What a checker says, if it is at hand.
fn checked(
    program: &str,
    file: &Path,
    further: &[&str],
    environment: &[(String, String)],
) -> Option<Output> {
    let found = peers::component(program)?;
    let file = file.to_str().unwrap();
    let arguments: &[&str] = match program {
        "otelcol" => &["validate", "--config", file],
        // Its flag takes the next word for its value.
        "tempo" => &[
            "-config.verify=true",
            "-config.expand-env=true",
            "-config.file",
            file,
        ],
        "loki" => &[
            "-verify-config",
            "-config.expand-env=true",
            "-config.file",
            file,
        ],
        "promtool" => &["check", "config", "--lint=all", file],
        "amtool" => &["check-config", file],
        "fluent-bit" => &["--dry-run", "--config", file],
        other => panic!("{other} checks nothing"),
    };
    let mut command = Command::new(found);
    command.env_clear().envs(environment.iter().cloned());
    Some(command.args(arguments).args(further).output().unwrap())
}

/// The file that a container of Prometheus makes of those that it is given, before it becomes Prometheus.
fn entered(service: &Value, folder: &Path) -> PathBuf {
    let script = service["entrypoint"][2].as_str().unwrap();
    let (before, prometheus) = script.split_once("&& exec prometheus ").unwrap();
    let made = prometheus
        .split_whitespace()
        .find_map(|argument| argument.strip_prefix("--config.file=/tmp/"))
        .unwrap();
    // Compose itself takes `$$` for `$`.
    let before = before
        .replace("$$", "$")
        .replace("/tmp/", &format!("{}/", folder.display()))
        .replace(MOUNTED, &format!("{}/", deploy().display()));
    let done = Command::new("sh").args(["-c", &before]).status().unwrap();
    assert!(done.success(), "{before}");
    folder.join(made)
}

/// What a container is told with these settings of whoever starts it.
fn environment(service: &Value, settings: &[(String, String)]) -> Vec<(String, String)> {
    let told = service["environment"].as_object().into_iter().flatten();
    told.map(|(name, value)| {
        let value = value.as_str().unwrap_or_default();
        let setting = value
            .strip_prefix("${")
            .and_then(|rest| rest.strip_suffix('}')?.split_once(":-"));
        let value = setting.map_or(value, |(name, default)| {
            let set = settings.iter().find(|(other, _)| other == name);
            set.map_or(default, |(_, value)| value)
        });
        assert!(!value.contains('$'), "{name}: {value}");
        (name.clone(), value.to_owned())
    })
    .collect()
}

/// The settings that compose is shown with.
fn example() -> Vec<(String, String)> {
    let text = fs::read_to_string(deploy().join("compose/.env.example")).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn text_of(output: &Output) -> String {
    let (out, errors) = (&output.stdout, &output.stderr);
    format!(
        "{}{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(errors)
    )
}

fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
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
