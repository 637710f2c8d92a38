//! The configuration of the backend's parts and of the real components as this binary was built with it, and where each
//! file is below a folder like `deploy/` that is given instead.

macro_rules! rules {
    ($name:literal) => {
        (
            concat!("prometheus/rules/", $name),
            include_str!(concat!("../../../deploy/prometheus/rules/", $name)),
        )
    };
}

/// The collector's file, and its place.
pub(crate) const COLLECTOR: &str = include_str!("../../../deploy/collector/collector.yaml");
pub(crate) const COLLECTOR_PATH: &str = "collector/collector.yaml";

/// What is scraped, which rules are read, where alerts go.
pub(crate) const PROMETHEUS: &str = include_str!("../../../deploy/prometheus/prometheus.yml");
pub(crate) const PROMETHEUS_PATH: &str = "prometheus/prometheus.yml";

/// Every rule file, by its path below the folder.
pub(crate) const RULES: [(&str, &str); 5] = [
    rules!("golden-signals.yml"),
    rules!("slo-gateway.yml"),
    rules!("slo-task-service.yml"),
    rules!("slo-worker.yml"),
    rules!("telemetry.yml"),
];

/// Who is told of which alert.
pub(crate) const ALERTMANAGER: &str = include_str!("../../../deploy/alertmanager/alertmanager.yml");
pub(crate) const ALERTMANAGER_PATH: &str = "alertmanager/alertmanager.yml";

/// The folder of the rule files.
pub(crate) const RULES_PATH: &str = "prometheus/rules";

/// Of the real components alone.
pub(crate) const TEMPO: &str = include_str!("../../../deploy/tempo/tempo.yaml");
pub(crate) const TEMPO_PATH: &str = "tempo/tempo.yaml";
pub(crate) const LOKI: &str = include_str!("../../../deploy/loki/loki.yaml");
pub(crate) const LOKI_PATH: &str = "loki/loki.yaml";
pub(crate) const FLUENT_BIT: &str = include_str!("../../../deploy/fluent-bit/fluent-bit.yaml");
pub(crate) const FLUENT_BIT_PATH: &str = "fluent-bit/fluent-bit.yaml";
/// What is scraped of them.
pub(crate) const COMPONENTS: &str = include_str!("../../../deploy/native/components.yml");
pub(crate) const COMPONENTS_PATH: &str = "native/components.yml";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{fs, path::Path};

    use super::*;

    #[test]
    fn every_rule_file_is_built_in() {
        let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
        let mut found: Vec<String> = fs::read_dir(deploy.join("prometheus/rules"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .map(|name| format!("prometheus/rules/{name}"))
            .collect();
        found.sort();
        assert_eq!(found, RULES.map(|(path, _)| path));
    }
}
