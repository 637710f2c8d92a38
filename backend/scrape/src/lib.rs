//! Scraping as Prometheus does it, and its receiving neighbour remote write.
//!
//! From the outside in: [`config`] reads `prometheus.yml`; [`manager`] finds the targets and asks each at its own instant;
//! [`target`] and [`relabel`] say what a target is; [`exposition`] reads its page; [`state`] turns pages into samples, ends and
//! the series about scrapes; [`remote_write`] reads what others push. Samples go to a [`sink::Sink`]: nothing is stored here.

pub mod config;
pub mod exposition;
mod fetch;
pub mod manager;
pub mod relabel;
pub mod remote_write;
pub mod sink;
pub mod state;
mod storage;
pub mod target;
