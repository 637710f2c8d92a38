//! Which crate may use which. The table is the layering of ARCHITECTURE.md; what is not in it is forbidden.

use anyhow::Context;

use super::{Finding, Tree, manifests};

/// A crate and the crates of ours it may depend on. `tasks` and `backend` meet only on the wire, services never import
/// each other, `telemetry` depends on no crate of ours but `conventions`.
const ARROWS: &[(&str, &[&str])] = &[
    ("conventions", &[]),
    ("telemetry", &["conventions"]),
    ("tasks-api", &["conventions"]),
    ("aws-local", &["conventions"]),
    ("store", &["tasks-api", "telemetry", "conventions"]),
    ("runtime", &["tasks-api", "telemetry", "conventions"]),
    (
        "gateway",
        &["runtime", "store", "tasks-api", "telemetry", "conventions"],
    ),
    (
        "task-service",
        &["runtime", "store", "tasks-api", "telemetry", "conventions"],
    ),
    (
        "worker",
        &["runtime", "store", "tasks-api", "telemetry", "conventions"],
    ),
    ("peers", &[]),
    ("respawn", &[]),
    ("go-regex", &[]),
    ("otlp", &["conventions"]),
    ("collector", &["go-regex", "otlp", "conventions"]),
    ("blocks", &[]),
    ("traceql", &["go-regex", "otlp", "conventions"]),
    ("traces", &["traceql", "blocks", "otlp", "conventions"]),
    ("tsdb", &["conventions"]),
    ("scrape", &["go-regex", "tsdb", "conventions"]),
    ("promql", &["go-regex", "tsdb"]),
    ("alerting", &["promql", "go-regex", "tsdb", "conventions"]),
    (
        "prometheus",
        &["alerting", "scrape", "promql", "tsdb", "conventions"],
    ),
    ("alertmanager", &["go-regex", "conventions"]),
    ("logql", &["go-regex", "tsdb"]),
    ("logs", &["logql", "blocks", "tsdb", "conventions"]),
    ("shipper", &["conventions"]),
    ("cloudwatch", &["logs", "logql", "tsdb", "conventions"]),
    (
        "server",
        &[
            "traces",
            "traceql",
            "otlp",
            "prometheus",
            "alerting",
            "scrape",
            "promql",
            "tsdb",
            "alertmanager",
            "logs",
            "logql",
            "conventions",
        ],
    ),
    ("slo", &["conventions"]),
    ("verify", &["slo", "conventions"]),
    (
        "tripod",
        &[
            "slo",
            "verify",
            "server",
            "prometheus",
            "alertmanager",
            "shipper",
            "cloudwatch",
            "logs",
            "traces",
            "collector",
            "peers",
            "otlp",
            "gateway",
            "task-service",
            "worker",
            "aws-local",
            "runtime",
            "store",
            "tasks-api",
            "telemetry",
            "conventions",
        ],
    ),
    ("xtask", &[]),
];

pub(super) fn check(tree: &Tree) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for manifest in manifests::members(tree)? {
        let name = manifest.name();
        let Some((_, allowed)) = ARROWS.iter().find(|(known, _)| *known == name) else {
            findings.push(
                manifest
                    .file
                    .finding(None, format!("crate `{name}` has no place in the layering")),
            );
            continue;
        };
        let parent = manifest
            .file
            .path
            .rsplit('/')
            .nth(1)
            .context("a member's manifest lies in its folder")?;
        if parent != name {
            findings.push(manifest.file.finding(
                None,
                format!("crate `{name}` lies in a folder of another name"),
            ));
        }
        for used in manifest.dependencies("dependencies") {
            if is_ours(&used) && !allowed.contains(&used.as_str()) {
                findings.push(
                    manifest
                        .file
                        .finding(None, format!("`{name}` must not depend on `{used}`")),
                );
            }
        }
    }
    Ok(findings)
}

fn is_ours(name: &str) -> bool {
    ARROWS.iter().any(|(known, _)| *known == name)
}
