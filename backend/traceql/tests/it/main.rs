//! TraceQL from outside: what is a query (`language`) and what it finds (`evaluation`).
#![allow(clippy::unwrap_used)]

mod evaluation;
mod language;
mod trace;
