//! Service level objectives: objective files, the recording and alerting rules they stand for, and the arithmetic of error
//! budgets and alert times. Pure: no IO, no clock.
//!
//! Objective files have the shape of Sloth's `prometheus/v1` (<https://sloth.dev/specs/default/>). The multi-window
//! multi-burn-rate alerts are those of the SRE workbook, chapter 5 (<https://sre.google/workbook/alerting-on-slos/>).

pub mod burn;
pub mod compress;
pub mod objective;
pub mod render;

pub use burn::{Fault, PAIRS, Pair, Severity};
pub use objective::{Objective, ObjectiveError, ObjectiveFile};
