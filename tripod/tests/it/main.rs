//! The whole system as a user runs it: `tripod up` as a process, its children, its files.

#![allow(clippy::unwrap_used)]
#![allow(unreachable_pub, reason = "modules of a test binary have no outside")]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a system test says what it counted and left out"
)]

mod api;
mod aws;
mod configuration;
mod contract;
mod crash;
mod dashboards;
mod deployments;
mod faults;
mod join;
mod lifecycle;
mod logs;
mod metrics;
mod outages;
mod signals;
mod stack;
mod system;
mod traces;
mod verify;
