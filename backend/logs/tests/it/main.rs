//! The log store against a plain one, its rules, what a reopened one has, and what faults do to it.
#![allow(clippy::unwrap_used)]

mod damage;
mod equals_plain;
mod full;
mod killed;
mod plain;
mod rules;
mod said;
mod storing;
