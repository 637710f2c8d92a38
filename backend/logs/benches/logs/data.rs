//! The lines of the bench: as the services write them, ten a trace, the same each time for one number and one end.

use std::ops::Range;

use logs::{NewEntry, Push};
use tsdb::Labels;

pub(crate) const LINES_PER_TRACE: u64 = 10;
pub(crate) const LINES_PER_NEEDLE: u64 = 100_000;
pub(crate) const NEEDLE: &str = "needle-";
const LINES_PER_PUSH: u64 = 1_000;
const LINES_PER_ERROR: u64 = 100;
/// The lines cover this much time, whatever their number.
const LENGTH_NS: i64 = 3_000_000_000_000;
const SERVICES: [&str; 3] = ["gateway", "task-service", "worker"];
const LEVELS: [&str; 2] = ["INFO", "ERROR"];

pub(crate) struct Data {
    pub lines: u64,
    /// After the last line.
    pub end_ns: i64,
}

impl Data {
    pub(crate) fn range_ns(&self) -> Range<i64> {
        self.end_ns - LENGTH_NS..self.end_ns
    }

    /// Everything, in the order of time, a thousand lines of six streams in each.
    pub(crate) fn appends(&self) -> impl Iterator<Item = Vec<Push>> {
        let firsts = (0..self.lines).step_by(LINES_PER_PUSH as usize);
        firsts.map(|first| self.pushes(first..(first + LINES_PER_PUSH).min(self.lines)))
    }

    /// A trace that has all its lines, and another one for each number.
    pub(crate) fn some_trace(&self, number: u64) -> String {
        trace_id(mix(number) % (self.lines / LINES_PER_TRACE))
    }

    pub(crate) fn needles(&self) -> u64 {
        (self.lines + LINES_PER_NEEDLE / 2 - 1) / LINES_PER_NEEDLE
    }

    fn pushes(&self, numbers: Range<u64>) -> Vec<Push> {
        let mut pushes = Vec::new();
        for service in SERVICES {
            for level in LEVELS {
                let pairs = [
                    ("env", "production"),
                    ("level", level),
                    ("service", service),
                ];
                pushes.push(Push {
                    labels: Labels::new(pairs),
                    entries: Vec::new(),
                });
            }
        }
        for number in numbers {
            let service = (number % SERVICES.len() as u64) as usize;
            let level = usize::from(number % LINES_PER_ERROR == 7);
            let entry = self.entry(number, SERVICES[service], LEVELS[level]);
            pushes[service * LEVELS.len() + level].entries.push(entry);
        }
        pushes.retain(|push| !push.entries.is_empty());
        pushes
    }

    fn entry(&self, number: u64, service: &str, level: &str) -> NewEntry {
        let noise = mix(number);
        let trace = trace_id(number / LINES_PER_TRACE);
        let span = format!("{:016x}", mix(number | 1 << 63));
        let needle = match number % LINES_PER_NEEDLE == LINES_PER_NEEDLE / 2 {
            true => format!(" {NEEDLE}{number}"),
            false => String::new(),
        };
        let line = format!(
            r#"{{"trace_id":"{trace}","span_id":"{span}","service":"{service}","level":"{level}","fields":{{"message":"request finished{needle}","method":"GET","route":"/v1/tasks/{{id}}","status":{},"duration_ms":{},"task":"{:x}"}}}}"#,
            if level == LEVELS[0] { 200 } else { 503 },
            noise % 500,
            noise >> 20
        );
        NewEntry {
            t_ns: self.range_ns().start + LENGTH_NS / self.lines as i64 * number as i64,
            line,
            metadata: vec![("span_id".to_owned(), span), ("trace_id".to_owned(), trace)],
        }
    }
}

fn trace_id(trace: u64) -> String {
    format!("{:016x}{:016x}", mix(trace), mix(trace ^ 0xabcd))
}

/// Spreads bits (SplitMix64).
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
