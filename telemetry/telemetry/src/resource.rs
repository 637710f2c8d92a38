//! Who emits: the resource attributes of every span.

use conventions::{defaults, resource};
use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::TelemetryResourceDetector;

use crate::config::Config;

/// The resource of `config`. What it names itself wins over what `OTEL_RESOURCE_ATTRIBUTES` repeats.
pub(crate) fn resource(config: &Config) -> Resource {
    let given = |(key, value): &(String, String)| KeyValue::new(key.clone(), value.clone());
    Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_attribute(KeyValue::new(
            resource::SERVICE_NAMESPACE,
            defaults::NAMESPACE,
        ))
        .with_attributes(config.resource.iter().map(given))
        .with_attributes([
            KeyValue::new(resource::SERVICE_NAME, config.service.clone()),
            KeyValue::new(resource::SERVICE_VERSION, config.version.clone()),
            KeyValue::new(resource::SERVICE_INSTANCE_ID, config.instance_id.clone()),
            KeyValue::new(resource::DEPLOYMENT_ENVIRONMENT, config.environment.clone()),
        ])
        .build()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use opentelemetry::Key;

    use super::*;

    #[test]
    fn the_environment_may_change_the_namespace_but_not_what_the_config_names() {
        let mut config = Config::new("gateway", "1.2.3");
        config.resource = [
            ("service.namespace", "shop"),
            ("service.name", "x"),
            ("team", "a"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .to_vec();
        let resource = resource(&config);
        let value = |key| {
            resource
                .get(&Key::from_static_str(key))
                .map(|value| value.to_string())
        };
        assert_eq!(value("service.name").as_deref(), Some("gateway"));
        assert_eq!(value("service.namespace").as_deref(), Some("shop"));
        assert_eq!(value("service.version").as_deref(), Some("1.2.3"));
        assert_eq!(
            value("deployment.environment.name").as_deref(),
            Some("local")
        );
        assert_eq!(value("team").as_deref(), Some("a"));
        assert_eq!(value("telemetry.sdk.language").as_deref(), Some("rust"));
        assert_eq!(value("service.instance.id").unwrap().len(), 36);
    }
}
