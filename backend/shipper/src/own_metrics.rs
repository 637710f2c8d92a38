//! The shipper's own metrics, by destination.

use conventions::metrics as names;
use metrics::{counter, describe_counter, describe_gauge, gauge};

pub(crate) fn describe() {
    describe_counter!(names::SHIPPER_LINES, "Lines by what became of them.");
    describe_counter!(names::SHIPPER_BYTES, "Bytes of log files delivered.");
    describe_counter!(names::SHIPPER_RETRIES, "Attempts that have to be repeated.");
    describe_gauge!(
        names::SHIPPER_LAG_BYTES,
        "Bytes of log files that wait to be delivered."
    );
    describe_counter!(
        names::SHIPPER_LOST_BYTES,
        "Bytes of log files that were let go before they were delivered."
    );
    describe_counter!(
        names::SHIPPER_LINES_MENDED,
        "Lines that were cut, or had bytes that are no UTF-8."
    );
}

pub(crate) fn lines(destination: &'static str, outcome: &'static str, lines: u64) {
    let labels = [(names::DESTINATION, destination), (names::OUTCOME, outcome)];
    counter!(names::SHIPPER_LINES, &labels).increment(lines);
}

pub(crate) fn delivered(destination: &'static str, bytes: u64, mended: u64) {
    counter!(names::SHIPPER_BYTES, names::DESTINATION => destination).increment(bytes);
    counter!(names::SHIPPER_LINES_MENDED, names::DESTINATION => destination).increment(mended);
}

pub(crate) fn retried(destination: &'static str) {
    counter!(names::SHIPPER_RETRIES, names::DESTINATION => destination).increment(1);
}

pub(crate) fn lost(destination: &'static str, bytes: u64) {
    counter!(names::SHIPPER_LOST_BYTES, names::DESTINATION => destination).increment(bytes);
}

pub(crate) fn lag(destination: &'static str, bytes: u64) {
    gauge!(names::SHIPPER_LAG_BYTES, names::DESTINATION => destination).set(bytes as f64);
}
