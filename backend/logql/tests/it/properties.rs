//! Whatever the text and whatever the line: no panic, and what is printed is read again.

use logql::{Direction, Engine, Entry, Expr, Hint, Pipeline, parse, pretty};
use proptest::prelude::*;
use tsdb::Labels;

use crate::{
    memory::Memory,
    world::{self, LENGTH_S, SECOND, START_NS},
};

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{1,4}", "[ -~]{0,8}", "\\PC{0,4}"]
        .prop_map(|text: String| text.replace(['\\', '"'], "'"))
}

fn name() -> impl Strategy<Value = String> {
    "[a-c]{1,2}".prop_map(|name: String| format!("l_{name}"))
}

fn quantity() -> impl Strategy<Value = String> {
    prop_oneof![
        (0_u32..2000).prop_map(|number| number.to_string()),
        (1_u32..2000).prop_map(|ms| format!("{ms}ms")),
        (1_u32..9).prop_map(|size| format!("{size}KB")),
        text().prop_map(|text| format!("\"{text}\"")),
    ]
}

fn label_filter() -> impl Strategy<Value = String> {
    let one = (name(), prop_oneof!["=", "!="], quantity())
        .prop_map(|(name, op, value)| format!("{name}{op}{value}"));
    one.prop_recursive(3, 8, 2, |inner| {
        (
            inner.clone(),
            prop_oneof![" and ", " or ", ", ", " "],
            inner,
            any::<bool>(),
        )
            .prop_map(|(left, between, right, parens)| {
                if parens {
                    format!("({left}{between}{right})")
                } else {
                    format!("{left}{between}{right}")
                }
            })
    })
}

fn stage() -> impl Strategy<Value = String> {
    prop_oneof![
        (prop_oneof!["\\|=", "!="], text()).prop_map(|(op, text)| format!("{op} \"{text}\"")),
        (text(), text()).prop_map(|(a, b)| format!("|= \"{a}\" or \"{b}\"")),
        label_filter().prop_map(|filter| format!("| {filter}")),
        Just("| json".to_owned()),
        Just("| logfmt --strict".to_owned()),
        Just("| unpack".to_owned()),
        Just("| decolorize".to_owned()),
        name().prop_map(|name| format!("| json {name}=\"a.b[0]\"")),
        name().prop_map(|name| format!("| logfmt {name}")),
        name().prop_map(|name| format!("| pattern \"<_> <{name}> \"")),
        name().prop_map(|name| format!("| line_format \"{{{{.{name}}}}} x\"")),
        (name(), name()).prop_map(|(a, b)| format!("| label_format {a}={b}")),
        (name(), name()).prop_map(|(a, b)| format!("| drop {a}, {b}=\"x\"")),
        name().prop_map(|a| format!("| keep {a}")),
    ]
}

fn log() -> impl Strategy<Value = String> {
    (text(), prop::collection::vec(stage(), 0..5))
        .prop_map(|(value, stages)| format!("{{app=\"a{value}\"}} {}", stages.join(" ")))
}

fn metric() -> impl Strategy<Value = String> {
    let range = prop_oneof![
        log().prop_map(|log| format!("count_over_time({log}[5m])")),
        log().prop_map(|log| format!("rate({log}[90s] offset 1h)")),
        (log(), name()).prop_map(|(log, name)| {
            format!("quantile_over_time(0.5, {log} | unwrap duration({name}) [1d]) by ({name})")
        }),
        Just("vector(1)".to_owned()),
        Just("-2.5".to_owned()),
    ];
    range.prop_recursive(3, 8, 2, |inner| {
        prop_oneof![
            (inner.clone(), name()).prop_map(|(inner, name)| format!("sum by ({name}) ({inner})")),
            (inner.clone(), name())
                .prop_map(|(inner, name)| format!("topk(3, {inner}) without ({name})")),
            (
                inner.clone(),
                prop_oneof!["\\+", "\\^", "> bool", "/ on\\(x\\) group_left\\(y\\)"],
                inner.clone()
            )
                .prop_map(|(left, op, right)| format!("{left} {op} {right}")),
            inner.prop_map(|inner| format!("label_replace({inner}, \"a\", \"b\", \"c\", \"d.*\")")),
        ]
    })
}

fn any_line() -> impl Strategy<Value = String> {
    let of_world: Vec<String> = world::lines()
        .into_iter()
        .map(|line| line.text)
        .take(60)
        .collect();
    prop_oneof![
        "\\PC{0,40}",
        "[{}\\[\\]\":,\\\\a-c0-9= ]{0,40}",
        (prop::sample::select(of_world), 0_usize..60)
            .prop_map(|(line, cut)| { line.chars().take(cut).collect() }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_is_printed_is_read_again(text in prop_oneof![log(), metric()]) {
        let Ok(expr) = parse(&text) else {
            return Ok(());
        };
        let written = expr.to_string();
        // What is no finite number is no literal.
        prop_assume!(!written.contains("NaN") && !written.contains("Inf"));
        let again = parse(&written);
        prop_assert!(again.is_ok(), "{}: {}", written, again.unwrap_err());
        prop_assert_eq!(again.unwrap().to_string(), &*written);
        let pretty = pretty(&expr);
        let again = parse(&pretty);
        prop_assert!(again.is_ok(), "{}: {}", pretty, again.unwrap_err());
        prop_assert_eq!(again.unwrap().to_string(), written);
    }

    #[test]
    fn any_text_is_parsed_or_refused(text in prop_oneof![
        "\\PC{0,60}",
        "[{}()\\[\\]|=!~<>a-e\"`0-9., +*/^%-]{0,60}",
        (metric(), 0_usize..200).prop_map(|(text, cut)| text.chars().take(cut).collect::<String>()),
    ]) {
        let _ = parse(&text);
    }

    #[test]
    fn any_template_is_rendered_or_refused(
        template in "(\\{\\{-? ?(if|range|with|end|else|\\$x :=|\\.a|\\.|__line__|fromJson|printf|\"%d\"|'a'|1|\\||\\(|\\)| ){0,6} ?-?\\}\\}|x){0,4}",
        line in any_line(),
    ) {
        let query = format!("{{app=\"a\"}} | line_format `{}`", template.replace('`', ""));
        if let Ok(Expr::Log(log)) = parse(&query) {
            let entry = Entry { t_ns: 0, line: &line, metadata: &[] };
            let _ = Pipeline::new(&log).process(&Labels::default(), entry);
        }
    }

    #[test]
    fn any_line_passes_or_is_dropped(query in log(), line in any_line()) {
        if let Ok(Expr::Log(log)) = parse(&query) {
            let mut pipeline = Pipeline::new(&log);
            let stream = Labels::new([("app", "a"), ("l_a", "5")]);
            let entry = Entry { t_ns: 0, line: &line, metadata: &[("l_b", "x"), ("l_a", "y")] };
            let _ = pipeline.process(&stream, entry).map(|processed| processed.labels());
        }
    }

    #[test]
    fn hints_skip_nothing_that_passes(query in log(), seed in 0_usize..60) {
        let Ok(Expr::Log(log)) = parse(&query) else {
            return Ok(());
        };
        let lines = world::lines();
        let mut pipeline = Pipeline::new(&log);
        let hints = pipeline.hints();
        for line in lines.iter().skip(seed).step_by(60) {
            let metadata: Vec<(&str, &str)> = line.metadata.iter().map(|(n, v)| (&**n, &**v)).collect();
            let entry = Entry { t_ns: line.t_ns, line: &line.text, metadata: &metadata };
            let passes = pipeline.process(&line.stream, entry).is_some();
            for hint in &hints {
                let holds = match hint {
                    Hint::Contains(text) => line.text.contains(&**text),
                    Hint::Field { name, value } => {
                        let of_line = metadata.iter().find(|(key, _)| **key == **name).map(|(_, v)| *v);
                        let of_stream = Some(line.stream.get(name)).filter(|value| !value.is_empty());
                        of_stream.or(of_line) == Some(&**value)
                    }
                };
                prop_assert!(holds || !passes, "{:?} skips {:?}", hint, line.text);
            }
        }
    }
}

#[test]
fn both_directions_give_the_same_lines() {
    let memory = Memory::new(world::lines());
    let Expr::Log(log) = parse("{app=~\".+\"} | json | __error__=\"\"").unwrap() else {
        panic!("a query of lines");
    };
    let ask = |direction| {
        let range = START_NS..START_NS + LENGTH_S * SECOND;
        Engine::default()
            .log_query(&memory, &log, range, direction, 5000)
            .unwrap()
            .value
    };
    let (forward, mut backward) = (ask(Direction::Forward), ask(Direction::Backward));
    assert!(forward.len() > 10);
    for stream in &mut backward {
        stream.entries.reverse();
    }
    assert_eq!(forward, backward);
}
