//! Single cuts in a system, and the checks that must notice each of them: a proof that the checks can fail.
//!
//! Data; making a cut and running the scenarios is the caller's.

/// One thing that is wrong.
#[derive(Clone, Copy, Debug)]
pub struct Mutation {
    /// On the command line and in the table.
    pub name: &'static str,
    pub cut: Cut,
    /// The scenarios that are played.
    pub scenarios: &'static [&'static str],
    /// The checks that must turn red.
    pub red: &'static [&'static str],
    /// Checks that may turn red as well, since chance decides whether what they look at is hit.
    pub may: &'static [&'static str],
}

/// How it is made wrong.
#[derive(Clone, Copy, Debug)]
pub enum Cut {
    /// Not at all: everything must hold.
    None,
    /// Faults in the signals, see `docs/faults.md`.
    Signals(&'static str),
    /// Pieces of a file of `deploy/`, each of which stands there once or more, and what stands there instead.
    File {
        path: &'static str,
        pieces: &'static [(&'static str, &'static str)],
    },
}

const TREES: &[&str] = &[
    "trace-plain",
    "trace-resent",
    "trace-redelivered",
    "trace-dead-letter",
    "trace-relayed",
];
const COLLECTOR: &str = "collector/collector.yaml";
const GOLDEN_SIGNALS: &str = "prometheus/rules/golden-signals.yml";

/// Every cut, the control first.
pub const MUTATIONS: [Mutation; 17] = [
    Mutation {
        name: "none",
        cut: Cut::None,
        scenarios: &[
            "errors",
            "slow-query",
            "budget-burn",
            "propagation",
            "sampling",
            "join",
        ],
        red: &[],
        may: &[],
    },
    Mutation {
        name: "http-traceparent",
        cut: Cut::Signals("gateway:no-http-traceparent"),
        scenarios: &["propagation"],
        red: TREES,
        may: &[],
    },
    Mutation {
        name: "sqs-traceparent",
        cut: Cut::Signals("task-service:no-sqs-traceparent"),
        scenarios: &["propagation"],
        red: TREES,
        may: &[],
    },
    Mutation {
        name: "log-ids",
        cut: Cut::Signals("task-service:no-log-ids"),
        scenarios: &["join"],
        red: &["traces-have-lines", "lines-are-named", "no-orphan-lines"],
        may: &[],
    },
    Mutation {
        name: "service-name",
        cut: Cut::Signals("worker:other-service-name"),
        scenarios: &["propagation"],
        red: TREES,
        may: &[],
    },
    Mutation {
        name: "no-exemplars",
        cut: Cut::Signals("task-service:no-exemplars"),
        scenarios: &["slow-query"],
        red: &["exemplar", "span"],
        may: &[],
    },
    Mutation {
        name: "all-exemplars",
        cut: Cut::Signals("task-service:all-exemplars"),
        scenarios: &["join"],
        red: &["exemplars-have-traces"],
        may: &[],
    },
    Mutation {
        name: "late-mark",
        cut: Cut::Signals("gateway:no-late-mark,task-service:no-late-mark"),
        scenarios: &["sampling"],
        red: &["marked-slow-errors"],
        may: &["marked-slow-successes"],
    },
    Mutation {
        name: "salt",
        cut: Cut::File {
            path: COLLECTOR,
            pieces: &[("hash_salt: tripod-v1", "hash_salt: tripod-v2")],
        },
        scenarios: &["sampling"],
        red: &["kept-success"],
        may: &[
            "kept-slow-successes",
            "marked-slow-successes",
            "success-share",
        ],
    },
    Mutation {
        name: "four-percent",
        cut: Cut::File {
            path: COLLECTOR,
            pieces: &[("sampling_percentage: 5", "sampling_percentage: 4")],
        },
        scenarios: &["sampling"],
        red: &["kept-success"],
        may: &["kept-slow-successes", "marked-slow-successes"],
    },
    Mutation {
        name: "error-policies",
        // Two policies keep failed requests, and either would do.
        cut: Cut::File {
            path: COLLECTOR,
            pieces: &[
                ("status_codes: [ERROR]", "status_codes: [OK]"),
                ("min_value: 500", "min_value: 900"),
            ],
        },
        scenarios: &["sampling"],
        red: &[
            "kept-gateway-errors",
            "kept-service-errors",
            "kept-slow-errors",
        ],
        may: &["marked-slow-errors"],
    },
    Mutation {
        name: "rule-label",
        cut: Cut::File {
            path: GOLDEN_SIGNALS,
            pieces: &[("scope: route", "scope: path")],
        },
        scenarios: &["errors"],
        red: &["HighErrorRate-fires", "HighErrorRate-resolves"],
        may: &[],
    },
    Mutation {
        name: "rule-threshold",
        cut: Cut::File {
            path: GOLDEN_SIGNALS,
            pieces: &[("error_ratio_rate5m > 0.05", "error_ratio_rate5m > 0.5")],
        },
        scenarios: &["errors"],
        red: &["HighErrorRate-fires"],
        may: &["HighErrorRate-resolves"],
    },
    Mutation {
        name: "rule-hold",
        cut: Cut::File {
            path: GOLDEN_SIGNALS,
            pieces: &[("for: 5m", "for: 3m")],
        },
        scenarios: &["errors"],
        red: &["HighErrorRate-fires"],
        may: &[],
    },
    Mutation {
        name: "lazy-failures",
        cut: Cut::Signals("gateway:lazy-failures"),
        scenarios: &["budget-burn"],
        red: &["budget-spent"],
        may: &[],
    },
    Mutation {
        name: "clock",
        cut: Cut::Signals("task-service:clock-ahead"),
        scenarios: &["join"],
        red: &["clocks-agree"],
        may: &[],
    },
    Mutation {
        name: "log-route",
        cut: Cut::Signals("backend:dead-loki"),
        scenarios: &["join"],
        red: &["traces-have-lines", "lines-are-named", "no-orphan-lines"],
        may: &[],
    },
];

/// What came of a cut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Noticed {
    /// Red and expected to be.
    pub noticed: Vec<String>,
    /// Expected to be red and green.
    pub missed: Vec<String>,
    /// Red and not expected to be.
    pub unexpected: Vec<String>,
}

impl Mutation {
    /// Compares the checks that turned red with those that had to.
    pub fn judge(&self, red: &[String]) -> Noticed {
        let is_red = |check: &&&str| red.iter().any(|own| own == **check);
        let (noticed, missed) = self
            .red
            .iter()
            .partition::<Vec<_>, _>(|check| is_red(check));
        let texts = |checks: Vec<&&str>| {
            checks
                .into_iter()
                .map(|check| (*check).to_owned())
                .collect()
        };
        let is_known = |check: &&String| {
            let mut known = self.red.iter().chain(self.may);
            known.any(|known| known == *check)
        };
        Noticed {
            noticed: texts(noticed),
            missed: texts(missed),
            unexpected: red
                .iter()
                .filter(|check| !is_known(check))
                .cloned()
                .collect(),
        }
    }
}

impl Noticed {
    /// Exactly what had to turn red has.
    pub fn is_exact(&self) -> bool {
        self.missed.is_empty() && self.unexpected.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::BUILT_IN;

    #[test]
    fn names_are_unique_and_scenarios_are_there() {
        for (index, mutation) in MUTATIONS.iter().enumerate() {
            let mut others = MUTATIONS[index + 1..].iter();
            assert!(others.all(|other| other.name != mutation.name));
            for scenario in mutation.scenarios {
                assert!(BUILT_IN.iter().any(|(name, _)| name == scenario));
            }
            assert!(mutation.red.is_empty() == matches!(mutation.cut, Cut::None));
        }
    }

    #[test]
    fn what_is_missed_and_what_is_unexpected_are_told_apart() {
        let mutation = Mutation {
            red: &["a", "b"],
            may: &["c"],
            ..MUTATIONS[0]
        };
        let judged = |red: &[&str]| {
            let red: Vec<String> = red.iter().map(|check| (*check).to_owned()).collect();
            mutation.judge(&red)
        };
        assert!(judged(&["a", "b"]).is_exact());
        assert!(judged(&["a", "b", "c"]).is_exact());
        assert_eq!(judged(&["a"]).missed, ["b"]);
        assert_eq!(judged(&["a", "b", "d"]).unexpected, ["d"]);
    }
}
