//! `junit.xml`, as CI systems read it: a suite for each scenario, a case for each check.

use std::fmt::Write;

use super::{Played, Report, escaped};
use crate::evidence::{Check, Verdict};

/// The whole file.
pub(super) fn render(report: &Report) -> String {
    let suites: String = report.scenarios.iter().map(suite).collect();
    let checks = || report.scenarios.iter().flat_map(|of| &of.evidence.checks);
    let count = |verdict| checks().filter(|check| check.verdict == verdict).count();
    let broken = report
        .scenarios
        .iter()
        .filter(|of| of.error.is_some())
        .count();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"tripod verify\" tests=\"{}\" failures=\"{}\" errors=\"{}\" time=\"{:.3}\">\n{suites}</testsuites>\n",
        checks().count() + broken,
        count(Verdict::Failed),
        count(Verdict::CouldNotRun) + broken,
        report.took_s
    )
}

fn suite(played: &Played) -> String {
    let checks = &played.evidence.checks;
    let count = |verdict| {
        checks
            .iter()
            .filter(|check| check.verdict == verdict)
            .count()
    };
    let broken = usize::from(played.error.is_some());
    let mut cases: String = checks.iter().map(|check| case(played, check)).collect();
    if let Some(error) = &played.error {
        let (name, error) = (escaped(&played.name), escaped(error));
        writeln!(
            cases,
            "    <testcase classname=\"{name}\" name=\"played\"><error message=\"{error}\"/></testcase>"
        )
        .expect("a string takes every line");
    }
    format!(
        "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" time=\"{:.3}\">\n{cases}  </testsuite>\n",
        escaped(&played.name),
        checks.len() + broken,
        count(Verdict::Failed),
        count(Verdict::CouldNotRun) + broken,
        played.took_s
    )
}

fn case(played: &Played, check: &Check) -> String {
    let told = format!("expected {}\nobserved {}", check.expected, check.observed);
    let outcome = match check.verdict {
        Verdict::Held => String::new(),
        Verdict::Failed => outcome("failure", check, &told),
        Verdict::CouldNotRun => outcome("error", check, &told),
    };
    format!(
        "    <testcase classname=\"{}\" name=\"{}\">{outcome}</testcase>\n",
        escaped(&played.name),
        escaped(&check.id)
    )
}

fn outcome(element: &str, check: &Check, told: &str) -> String {
    let (claim, told) = (escaped(&check.claim), escaped(told));
    format!("<{element} message=\"{claim}\">{told}</{element}>")
}
