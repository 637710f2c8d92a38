//! The embedded Alertmanager.
//!
//! `config` reads the real one's file. `machine` decides who is told what and when: a synchronous state machine that gets the
//! time from outside. `delivery` sends webhooks, `journal` keeps silences and what was told over a restart, and `manager` runs
//! them together. No HTTP server: the API of version 2 asks the manager and serialises what it answers (`view`).

pub mod alert;
pub mod config;
pub mod delivery;
pub mod interval;
pub mod journal;
pub mod labels;
pub mod log;
pub mod machine;
pub mod manager;
pub mod matcher;
pub mod message;
pub mod pattern;
pub mod route;
pub mod silence;
pub mod view;

mod inhibition;
mod instant;
mod metrics;
