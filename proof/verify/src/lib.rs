//! Proves a running system: scenarios are played on it through its public APIs, and each claim is judged with its evidence.
//!
//! [`target`] says what the system is, [`clock`] how time passes, [`scenario`] what is done; [`run`] does it, checks judge,
//! [`evidence`] is what is left. Nothing here knows whether the system is the embedded one or the real components.

pub mod apis;
mod binomial;
mod checks;
pub mod clock;
pub mod contract;
pub mod evidence;
pub mod file;
pub mod http;
pub mod mutation;
pub mod report;
pub mod run;
pub mod sampling;
pub mod scenario;
pub mod target;
pub mod traffic;
pub mod waterfall;
