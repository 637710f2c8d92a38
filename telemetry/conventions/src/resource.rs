//! Resource attributes of spans; Prometheus, Loki and log lines carry the service as [`crate::fields::SERVICE`].

pub const SERVICE_NAME: &str = "service.name";
pub const SERVICE_NAMESPACE: &str = "service.namespace";
pub const SERVICE_VERSION: &str = "service.version";
pub const SERVICE_INSTANCE_ID: &str = "service.instance.id";
pub const DEPLOYMENT_ENVIRONMENT: &str = "deployment.environment.name";

/// The services of this system, as they appear in every signal.
pub const GATEWAY: &str = "gateway";
/// See [`GATEWAY`].
pub const TASK_SERVICE: &str = "task-service";
/// See [`GATEWAY`].
pub const WORKER: &str = "worker";
/// Supervisor and embedded backend.
pub const BACKEND: &str = "backend";

/// Every value `service` can take.
pub const SERVICES: &[&str] = &[GATEWAY, TASK_SERVICE, WORKER, BACKEND];
