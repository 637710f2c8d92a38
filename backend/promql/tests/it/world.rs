//! The series of the differential test: two hours of counters, gauges and histograms, made from a seed, with everything
//! that makes evaluation hard: resets, gaps, staleness, jitter, NaN, infinities, zeros of both signs, extremes, ties.

use std::f64::consts::TAU;

use tsdb::{Labels, STALE_NAN_BITS, Sample, Series};

/// Tuesday 14 November 2023, 22:13:20 UTC: the span crosses midnight.
pub(crate) const START_MS: i64 = 1_700_000_000_000;
pub(crate) const END_MS: i64 = START_MS + 7_200_000;
const STEP_MS: i64 = 15_000;

/// A small generator: the same world on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn unit(&mut self) -> f64 {
        self.below(1 << 30) as f64 / f64::from(1 << 30)
    }
}

struct World {
    series: Vec<Series>,
    dice: Dice,
}

pub(crate) fn series() -> Vec<Series> {
    let mut world = World {
        series: Vec::new(),
        dice: Dice(42),
    };
    world.requests();
    world.histograms();
    world.broken_histograms();
    world.gauges();
    world.irregular();
    world.special_values();
    world.shapes();
    world.series
}

fn times() -> impl Iterator<Item = i64> {
    (START_MS..=END_MS).step_by(STEP_MS as usize)
}

fn stale() -> f64 {
    f64::from_bits(STALE_NAN_BITS)
}

/// The angle of a wave of this many seconds.
fn phase(t_ms: i64, period_seconds: f64) -> f64 {
    (t_ms - START_MS) as f64 / 1000.0 / period_seconds * TAU
}

impl World {
    fn add(&mut self, name: &str, labels: &[(&str, &str)], samples: Vec<Sample>) {
        let labels = Labels::new(labels.iter().copied().chain([("__name__", name)]));
        self.series.push(Series { labels, samples });
    }

    fn add_with(&mut self, name: &str, labels: &[(&str, &str)], value: impl Fn(i64) -> f64) {
        let samples = times().map(|t_ms| Sample {
            t_ms,
            value: value(t_ms),
        });
        self.add(name, labels, samples.collect());
    }

    /// Counters with resets, gaps, and ends that are marked.
    fn requests(&mut self) {
        for (job, instance) in [
            ("api", "a:80"),
            ("api", "b:80"),
            ("web", "a:80"),
            ("web", "c:80"),
            ("db", "d:80"),
        ] {
            for path in ["/", "/login", "/tasks"] {
                for code in ["200", "404", "500"] {
                    let samples = self.counter(if code == "200" { 9 } else { 2 });
                    let labels = [
                        ("job", job),
                        ("instance", instance),
                        ("path", path),
                        ("code", code),
                    ];
                    self.add("http_requests_total", &labels, samples);
                }
            }
        }
    }

    fn counter(&mut self, speed: u64) -> Vec<Sample> {
        let mut value = self.dice.below(1000) as f64;
        let mut samples = Vec::new();
        let mut gap = 0;
        for t_ms in times() {
            value += self.dice.below(speed * 10) as f64 / 4.0;
            if self.dice.below(120) == 0 {
                value = self.dice.below(5) as f64;
            }
            if gap == 0 && self.dice.below(90) == 0 {
                gap = 1 + self.dice.below(30);
                if gap % 2 == 0 {
                    samples.push(Sample {
                        t_ms,
                        value: stale(),
                    });
                    continue;
                }
            }
            if gap > 0 {
                gap -= 1;
                continue;
            }
            samples.push(Sample { t_ms, value });
        }
        samples
    }

    fn histograms(&mut self) {
        for (job, instance) in [("api", "a:80"), ("api", "b:80"), ("web", "a:80")] {
            let bounds = ["0.05", "0.1", "0.25", "0.5", "1", "2.5", "+Inf"];
            let mut counts = [0.0_f64; 7];
            let mut rows = vec![Vec::new(); 9];
            let mut sum = 0.0;
            for t_ms in times() {
                for _ in 0..self.dice.below(12) {
                    let seconds = self.dice.unit() * self.dice.unit() * 3.0;
                    sum += seconds;
                    let below = |bound: &str| bound.parse::<f64>().unwrap() >= seconds;
                    for (count, _) in counts
                        .iter_mut()
                        .zip(bounds)
                        .filter(|(_, bound)| below(bound))
                    {
                        *count += 1.0;
                    }
                }
                let values = counts.into_iter().chain([sum, counts[6]]);
                for (row, value) in rows.iter_mut().zip(values) {
                    row.push(Sample { t_ms, value });
                }
            }
            let labels = [("job", job), ("instance", instance)];
            for (bound, row) in bounds.into_iter().zip(rows.drain(..7)) {
                self.add(
                    "latency_seconds_bucket",
                    &[labels[0], labels[1], ("le", bound)],
                    row,
                );
            }
            let mut rest = rows.into_iter();
            self.add("latency_seconds_sum", &labels, rest.next().unwrap());
            self.add("latency_seconds_count", &labels, rest.next().unwrap());
        }
    }

    fn broken_histograms(&mut self) {
        let cases: [(&str, &[(&str, f64)]); 9] = [
            (
                "falling",
                &[("1", 10.0), ("2", 7.0), ("4", 12.5), ("+Inf", 11.0)],
            ),
            ("endless", &[("1", 1.0), ("2", 2.0), ("4", 3.0)]),
            (
                "nonsense",
                &[("one", 1.0), ("2", 2.0), ("", 3.0), ("+Inf", 4.0)],
            ),
            ("nan", &[("1", f64::NAN), ("2", 2.0), ("+Inf", f64::NAN)]),
            ("empty", &[("1", 0.0), ("2", 0.0), ("+Inf", 0.0)]),
            ("lonely", &[("+Inf", 5.0)]),
            (
                "below_zero",
                &[
                    ("-2", 1.0),
                    ("-1", 3.0),
                    ("0", 4.0),
                    ("1", 9.0),
                    ("+Inf", 10.0),
                ],
            ),
            (
                "doubled",
                &[
                    ("1", 1.0),
                    ("1.0", 2.0),
                    ("2", 5.0),
                    ("2e0", 5.5),
                    ("+Inf", 9.0),
                    ("Inf", 1.0),
                ],
            ),
            (
                "nearly",
                &[
                    ("1", 3.0),
                    ("2", 2.999_999_999_999_999),
                    ("+Inf", 3.000_000_000_000_001),
                ],
            ),
        ];
        for (case, buckets) in cases {
            for (bound, count) in buckets {
                self.add_with("broken_bucket", &[("case", case), ("le", bound)], |t_ms| {
                    count * (1 + (t_ms - START_MS) / 600_000) as f64
                });
            }
        }
    }

    fn gauges(&mut self) {
        for (index, (room, floor)) in [
            ("attic", "3"),
            ("bath", "2"),
            ("cellar", "0"),
            ("den", "2"),
            ("entry", "1"),
        ]
        .into_iter()
        .enumerate()
        {
            let mut value = 20.0 - 8.0 * index as f64;
            let mut samples = Vec::new();
            for t_ms in times() {
                value += self.dice.unit() - 0.5;
                if self.dice.below(25) > 0 {
                    samples.push(Sample { t_ms, value });
                }
            }
            self.add(
                "temperature_celsius",
                &[("room", room), ("floor", floor)],
                samples,
            );
            self.add_with(
                "room_info",
                &[
                    ("room", room),
                    ("floor", floor),
                    ("owner", ["ann", "bob"][index % 2]),
                ],
                |_| 1.0,
            );
        }
        for (job, instance) in [
            ("api", "a:80"),
            ("api", "b:80"),
            ("web", "a:80"),
            ("web", "c:80"),
            ("db", "d:80"),
        ] {
            let down_at = self.dice.below(400) as i64;
            self.add_with("up", &[("job", job), ("instance", instance)], |t_ms| {
                let at = (t_ms - START_MS) / STEP_MS;
                f64::from(u8::from(!(down_at..down_at + 20).contains(&at)))
            });
            let version = if job == "web" { "2.0" } else { "1.9" };
            self.add_with(
                "build_info",
                &[("job", job), ("instance", instance), ("version", version)],
                |_| 1.0,
            );
        }
    }

    /// Times that are no multiples of anything, seldom samples, series that begin late or end early.
    fn irregular(&mut self) {
        for zone in ["x", "y", "z"] {
            let mut t_ms = START_MS + self.dice.below(9000) as i64;
            let mut samples = Vec::new();
            while t_ms <= END_MS {
                samples.push(Sample {
                    t_ms,
                    value: self.dice.unit() * 1e9,
                });
                t_ms += 1 + self.dice.below(40_000) as i64;
            }
            self.add("memory_bytes", &[("zone", zone)], samples);
        }
        for (kind, every_ms) in [
            ("minute", 60_000),
            ("seldom", 420_000),
            ("twice", 3_600_000),
        ] {
            let samples = (START_MS..=END_MS)
                .step_by(every_ms as usize)
                .enumerate()
                .map(|(index, t_ms)| Sample {
                    t_ms,
                    value: (index * index) as f64,
                })
                .collect();
            self.add("sparse", &[("kind", kind)], samples);
        }
        let spans = [
            ("late", 3_000_000, 7_200_000),
            ("early", 0, 2_400_000),
            ("short", 3_600_000, 3_660_000),
            ("once", 3_600_000, 3_600_000),
        ];
        for (kind, from, to) in spans {
            for ends in ["marked", "silent"] {
                let mut samples: Vec<Sample> = (START_MS + from..=START_MS + to)
                    .step_by(STEP_MS as usize)
                    .map(|t_ms| Sample {
                        t_ms,
                        value: 5.0 + ((t_ms - START_MS) / 1000) as f64,
                    })
                    .collect();
                let end_ms = START_MS + to + STEP_MS;
                if ends == "marked" && end_ms <= END_MS {
                    samples.push(Sample {
                        t_ms: end_ms,
                        value: stale(),
                    });
                }
                self.add("span_total", &[("kind", kind), ("ends", ends)], samples);
            }
        }
    }

    fn special_values(&mut self) {
        let values = [
            ("nan", f64::NAN),
            ("inf", f64::INFINITY),
            ("minus_inf", f64::NEG_INFINITY),
            ("zero", 0.0),
            ("minus_zero", -0.0),
            ("max", f64::MAX),
            ("min", f64::MIN),
            ("tiny", 5e-324),
            ("one", 1.0),
            ("huge_integer", 9_007_199_254_740_993.0),
        ];
        for (kind, value) in values {
            self.add_with("special", &[("kind", kind)], |_| value);
        }
        let mixed = [
            1.0,
            f64::NAN,
            3.0,
            f64::INFINITY,
            -2.0,
            f64::NEG_INFINITY,
            -0.0,
            0.0,
            1e300,
            1e-300,
            2.0,
            2.0,
        ];
        for shift in 0..3 {
            self.add_with("mixed", &[("shift", &shift.to_string())], |t_ms| {
                mixed[((t_ms - START_MS) / STEP_MS + shift) as usize % mixed.len()]
            });
        }
        self.add_with("cancelling", &[("part", "a")], |t_ms| {
            if t_ms / STEP_MS % 2 == 0 {
                1e100
            } else {
                -1e100
            }
        });
        self.add_with("cancelling", &[("part", "b")], |_| 1.0);
        self.add_with("cancelling", &[("part", "c")], |t_ms| {
            if t_ms / STEP_MS % 2 == 0 {
                -1e100
            } else {
                1e100
            }
        });
        self.add_with("overflowing", &[("part", "a")], |_| 1.5e308);
        self.add_with("overflowing", &[("part", "b")], |_| 1.6e308);
        self.add_with("overflowing", &[("part", "c")], |_| -1.7e308);
        self.add_with("large_total", &[], |t_ms| 1e15 + (t_ms - START_MS) as f64);
    }

    fn shapes(&mut self) {
        self.add_with("constant", &[], |_| 7.0);
        self.add_with("ramp", &[], |t_ms| ((t_ms - START_MS) / 1000) as f64);
        self.add_with("wave", &[("axis", "x")], |t_ms| phase(t_ms, 900.0).sin());
        self.add_with("wave", &[("axis", "y")], |t_ms| {
            phase(t_ms, 600.0).cos() * 1.5
        });
        self.add_with("clock", &[], |t_ms| t_ms as f64 / 1000.0);
        self.add_with("date", &[("of", "leap")], |t_ms| {
            951_782_399.0 + ((t_ms - START_MS) / 1000) as f64
        });
        self.add_with("date", &[("of", "before")], |t_ms| {
            -86_401.5 - ((t_ms - START_MS) / 1000) as f64
        });
        for n in ["a", "b", "c", "d", "e", "f"] {
            self.add_with("tied", &[("n", n)], |t_ms| {
                if n < "c" {
                    1.0
                } else {
                    1.0 + (t_ms / 600_000 % 3) as f64
                }
            });
        }
        for n in 0..20 {
            let name = format!("n{n:02}");
            self.add_with(
                "many",
                &[("n", &name), ("even", &(n % 2).to_string())],
                |t_ms| ((n * 7919 + (t_ms - START_MS) / STEP_MS * 31) % 17) as f64,
            );
        }
        // One series after the other with the same labels but the name.
        self.add_with("twin_a", &[("x", "1")], |_| 1.0);
        self.add_with("twin_b", &[("x", "1")], |_| 2.0);
        self.add_with("twin_b", &[("x", "2")], |_| 3.0);
        let half = |from: i64, to: i64| {
            (from..to)
                .step_by(STEP_MS as usize)
                .map(|t_ms| Sample { t_ms, value: 4.0 })
                .collect::<Vec<_>>()
        };
        self.add(
            "half_a",
            &[("x", "1")],
            half(START_MS, START_MS + 3_000_000),
        );
        self.add("half_b", &[("x", "1")], half(START_MS + 4_000_000, END_MS));
        // Sorts after names that begin with an underscore, and before.
        self.add_with(
            "labelled",
            &[
                ("Upper", "1"),
                ("_low", "2"),
                ("__hidden__", "3"),
                ("z", "ü\n\"\\"),
            ],
            |_| 1.0,
        );
        self.add_with(
            "dotted.name",
            &[("dotted.label", "päth"), ("job", "api")],
            |_| 11.0,
        );
        self.add_with(
            "typed",
            &[("__type__", "gauge"), ("__unit__", "bytes"), ("x", "1")],
            |_| 12.0,
        );
    }
}
