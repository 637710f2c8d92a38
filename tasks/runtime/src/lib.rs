//! What gateway, task-service and worker share around their own work: settings, telemetry, the admin listener, faults,
//! AWS clients, the limits of an HTTP server, and an orderly end.
//!
//! No business logic: what a process does is its [`Service`].

pub mod aws;
pub mod faults;
pub mod server;
pub mod settings;

mod admin;
mod process;
mod readiness;
mod signal_faults;
mod signals;

pub use faults::Faults;
pub use process::{Process, Service, main};
pub use readiness::Readiness;
pub use settings::{Secret, Settings, Time};
pub use signal_faults::{SignalFault, SignalFaultError, VARIABLE as SIGNAL_FAULTS};
pub use tokio_util::sync::CancellationToken;
