//! When a burn-rate alert fires and resolves, and what a fault costs: closed formulas over a constant error ratio.
//!
//! With objective period P, budget B = 1 − objective and error ratio e, the burn rate is e / B. A pair (factor f, long
//! window W, short window w) holds while both windows' error ratios are strictly above f·B. Traffic is constant.

use std::time::Duration;

/// The objective's period: 30 days.
pub const PERIOD: Duration = Duration::from_secs(30 * DAY);

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Who is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Somebody gets up.
    Page,
    /// Somebody looks at it in working hours.
    Ticket,
}

/// Two windows over which the budget must burn at least this fast.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    pub severity: Severity,
    /// Multiple of the rate that spends exactly the budget in the period.
    pub factor: f64,
    pub long: Duration,
    pub short: Duration,
}

/// The pairs of the SRE workbook, table 5-8: 2 % of the budget in 1 h, 5 % in 6 h, 10 % in 1 d, 10 % in 3 d.
pub const PAIRS: [Pair; 4] = [
    Pair {
        severity: Severity::Page,
        factor: 14.4,
        long: Duration::from_secs(HOUR),
        short: Duration::from_secs(5 * MINUTE),
    },
    Pair {
        severity: Severity::Page,
        factor: 6.0,
        long: Duration::from_secs(6 * HOUR),
        short: Duration::from_secs(30 * MINUTE),
    },
    Pair {
        severity: Severity::Ticket,
        factor: 3.0,
        long: Duration::from_secs(DAY),
        short: Duration::from_secs(2 * HOUR),
    },
    Pair {
        severity: Severity::Ticket,
        factor: 1.0,
        long: Duration::from_secs(3 * DAY),
        short: Duration::from_secs(6 * HOUR),
    },
];

/// A constant share of failing requests for a while, after a time without any failure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fault {
    /// Failing share of the requests, 0 to 1.
    pub error_ratio: f64,
    pub duration: Duration,
    /// How long the series existed, without errors, before the fault. A window longer than this is cold: it holds only
    /// what there is, so its alert fires early.
    pub history: Duration,
}

/// What an alert does, measured from the start of the fault. Before scrape and evaluation, which add at most one
/// interval each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Course {
    pub fires: Duration,
    pub resolves: Duration,
}

impl Severity {
    /// The alert's name where the objective file gives none.
    pub(crate) fn alert_name(self) -> &'static str {
        match self {
            Self::Page => "FastBudgetBurn",
            Self::Ticket => "SlowBudgetBurn",
        }
    }

    /// The value of the alert's label `severity`.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Ticket => "ticket",
        }
    }
}

impl Pair {
    /// Error ratio above which both windows must be, for this budget.
    pub fn threshold(&self, budget: f64) -> f64 {
        self.factor * budget
    }

    /// When the pair holds for the first time and for the last; `None` if the fault is too small or too short.
    pub fn course(&self, budget: f64, fault: &Fault) -> Option<Course> {
        let threshold = self.threshold(budget);
        let crosses = |window| crossing(threshold, window, fault.error_ratio, fault.history);
        let fires = crosses(self.long)?.max(crosses(self.short)?);
        if fires > fault.duration {
            return None;
        }
        let resolves = fault.duration + remaining(threshold, self.short, fault);
        Some(Course { fires, resolves })
    }
}

impl Fault {
    /// Share of the period's budget that the fault spends until `elapsed` after its start.
    pub fn budget_spent(&self, budget: f64, elapsed: Duration) -> f64 {
        let burning = elapsed.min(self.duration).as_secs_f64();
        self.error_ratio / budget * burning / PERIOD.as_secs_f64()
    }
}

/// An alert on one window with a threshold and a `for`: `HighErrorRate`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Threshold {
    /// Error ratio above which the window must be.
    pub ratio: f64,
    pub window: Duration,
    /// How long it must stay above.
    pub hold: Duration,
}

impl Threshold {
    /// When it fires and resolves; `None` if the ratio is not above the threshold for long enough.
    pub fn course(&self, fault: &Fault) -> Option<Course> {
        let crosses = crossing(self.ratio, self.window, fault.error_ratio, fault.history)?;
        if crosses > fault.duration {
            return None;
        }
        let falls = fault.duration + remaining(self.ratio, self.window, fault);
        let fires = crosses + self.hold;
        (fires < falls).then_some(Course {
            fires,
            resolves: falls,
        })
    }
}

/// First moment at which a window's error ratio is above the threshold.
///
/// Warm (the history fills the window): the ratio after t is e·t/W, so t = threshold·W/e. Cold: it is e·t/(H + t) while
/// H + t < W, so t = threshold·H/(e − threshold).
fn crossing(threshold: f64, window: Duration, ratio: f64, history: Duration) -> Option<Duration> {
    if ratio <= threshold {
        return None; // `>` is strict: a ratio that only reaches the threshold never fires.
    }
    let window = window.as_secs_f64();
    let cold = threshold * history.as_secs_f64() / (ratio - threshold);
    let warm = threshold * window / ratio;
    let seconds = if history.as_secs_f64() + cold < window {
        cold
    } else {
        warm
    };
    Some(Duration::from_secs_f64(seconds))
}

/// How long after the fault's end a window that was above the threshold stays above it: until the errors that are left
/// in it are few enough, e·(w − u)/w = threshold. A window that is cold still then holds H + D + u instead of w.
fn remaining(threshold: f64, window: Duration, fault: &Fault) -> Duration {
    let window = window.as_secs_f64();
    let history = fault.history.as_secs_f64();
    let duration = fault.duration.as_secs_f64();
    let cold = fault.error_ratio * duration / threshold - history - duration;
    let warm = window * (1.0 - threshold / fault.error_ratio);
    let seconds = if history + duration + cold < window {
        cold
    } else {
        warm
    };
    Duration::from_secs_f64(seconds.max(0.0))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const BUDGET: f64 = 0.001;

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    fn warm(error_ratio: f64, minutes: u64) -> Fault {
        Fault {
            error_ratio,
            duration: Duration::from_secs(minutes * MINUTE),
            history: PERIOD,
        }
    }

    fn fires(pair: Pair, error_ratio: f64) -> f64 {
        let course = pair.course(BUDGET, &warm(error_ratio, 24 * 60)).unwrap();
        course.fires.as_secs_f64()
    }

    #[test]
    fn firing_times_are_those_of_the_workbook_arithmetic() {
        // Rows: pair; columns: error ratio 10.8 %, 100 %, 5 %, 2 %.
        let expected = [
            [480.0, 51.84, 1036.8, 2592.0],
            [1200.0, 129.6, 2592.0, 6480.0],
            [2400.0, 259.2, 5184.0, 12_960.0],
            [2400.0, 259.2, 5184.0, 12_960.0],
        ];
        for (pair, row) in PAIRS.iter().zip(expected) {
            for (ratio, wanted) in [0.108, 1.0, 0.05, 0.02].into_iter().zip(row) {
                let got = fires(*pair, ratio);
                assert!((got - wanted).abs() < 0.01, "{pair:?} at {ratio}: {got}");
            }
        }
    }

    #[test]
    fn an_hour_at_108_times_spends_15_percent_and_resolves_when_the_short_window_is_clean() {
        let fault = warm(0.108, 60);
        let spent = fault.budget_spent(BUDGET, seconds(3600.0));
        assert!((spent - 0.15).abs() < 1e-9, "{spent}");
        // Minutes after the fault's end, rounded up to the second.
        for (pair, wanted) in PAIRS.iter().zip([260.0, 1700.0, 7000.0, 21_400.0]) {
            let resolves = pair.course(BUDGET, &fault).unwrap().resolves.as_secs_f64() - 3600.0;
            assert!((resolves - wanted).abs() < 0.01, "{pair:?}: {resolves}");
        }
    }

    #[test]
    fn a_cold_start_fires_early() {
        for (history, wanted) in [
            (60, 9.23),
            (300, 46.15),
            (600, 92.3),
            (1800, 276.9),
            (3600, 480.0),
        ] {
            let fault = Fault {
                history: Duration::from_secs(history),
                ..warm(0.108, 60)
            };
            let got = PAIRS[0].course(BUDGET, &fault).unwrap().fires.as_secs_f64();
            assert!((got - wanted).abs() < 0.1, "history {history}: {got}");
        }
    }

    #[test]
    fn exactly_the_threshold_never_fires() {
        let pair = PAIRS[0];
        assert_eq!(
            pair.course(BUDGET, &warm(pair.threshold(BUDGET), 600)),
            None
        );
    }

    #[test]
    fn a_fault_that_ends_before_the_crossing_fires_nothing() {
        assert_eq!(PAIRS[0].course(BUDGET, &warm(0.108, 7)), None);
    }

    #[test]
    fn six_minutes_of_failures_fire_high_error_rate_at_315_seconds() {
        let alert = Threshold {
            ratio: 0.05,
            window: Duration::from_secs(300),
            hold: Duration::from_secs(300),
        };
        let course = alert.course(&warm(1.0, 6)).unwrap();
        assert!((course.fires.as_secs_f64() - 315.0).abs() < 1e-9);
        assert!((course.resolves.as_secs_f64() - 645.0).abs() < 1e-9);
        let strict = Threshold {
            ratio: 0.5,
            ..alert
        };
        let late = strict.course(&warm(1.0, 6)).unwrap();
        assert!((late.fires.as_secs_f64() - 450.0).abs() < 1e-9);
    }
}
