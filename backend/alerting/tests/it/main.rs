//! Rules from outside: files that are read and refused, alerts on a simulated clock, and the cases of promtool's tests.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod alerts;
mod files;
mod promtool;
mod storage;
