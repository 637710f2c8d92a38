//! The log store against a plain one, its rules, and what a reopened one has.
#![allow(clippy::unwrap_used)]

mod equals_plain;
mod plain;
mod rules;
mod storing;
