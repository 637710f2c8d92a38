//! Alerts on a simulated clock: pending, firing, kept firing, resolved, said again, restored.

use alerting::{Health, Notification, State};
use tsdb::{Labels, is_stale};

use crate::storage::World;

const STEP_MS: i64 = 15_000;
const MINUTE_MS: i64 = 60_000;

fn rule(more: &str) -> String {
    format!(
        "groups:\n  - name: g\n    rules:\n      - {{alert: A, expr: x > 0, {more} labels: {{severity: page, of: '{{{{ $labels.job }}}}'}}, annotations: {{text: 'is {{{{ $value }}}}'}}}}\n"
    )
}

fn x(job: &str) -> Labels {
    Labels::new([("__name__", "x"), ("job", job)])
}

/// Evaluates every 15 s until `end_ms`, with the value of `x` at each time; what was said, with its time.
fn run(
    world: &mut World,
    from_ms: i64,
    end_ms: i64,
    value: impl Fn(i64) -> f64,
) -> Vec<(i64, Notification)> {
    let mut said = Vec::new();
    for t_ms in (from_ms..=end_ms).step_by(STEP_MS as usize) {
        world.memory.add(x("j"), t_ms, value(t_ms));
        said.extend(
            world
                .at(t_ms)
                .into_iter()
                .map(|notification| (t_ms, notification)),
        );
    }
    said
}

fn state(world: &World) -> State {
    world.rules.groups()[0].rules()[0].state()
}

#[test]
fn an_alert_waits_fires_and_resolves_with_prometheus_timing() {
    let mut world = World::new(&rule("for: 5m,"));
    let broken = 60_000..600_000;
    let value = |t_ms: i64| f64::from(u8::from(broken.contains(&t_ms)));
    let said = run(&mut world, 0, 30_000, value);
    assert!(said.is_empty() && state(&world) == State::Inactive);
    let said = run(&mut world, 45_000, 345_000, value);
    assert!(said.is_empty() && state(&world) == State::Pending);
    let said = run(&mut world, 360_000, 585_000, value);
    assert_eq!(state(&world), State::Firing);
    // Said when it fires, and then whenever more than a minute has passed.
    assert_eq!(
        said.iter().map(|(t_ms, _)| *t_ms).collect::<Vec<_>>(),
        [360_000, 435_000, 510_000, 585_000]
    );
    let (_, first) = &said[0];
    assert_eq!(
        first.labels,
        Labels::new([
            ("alertname", "A"),
            ("job", "j"),
            ("of", "j"),
            ("severity", "page")
        ])
    );
    assert_eq!(first.annotations.get("text"), "is 1");
    assert_eq!(
        (first.starts_at_ms, first.ends_at_ms),
        (360_000, 360_000 + 4 * MINUTE_MS)
    );
    assert_eq!(
        first.generator_url,
        "http://prometheus/graph?g0.expr=x+%3E+0&g0.tab=1"
    );
    let said = run(&mut world, 600_000, 600_000 + 17 * MINUTE_MS, value);
    assert_eq!(state(&world), State::Inactive);
    assert!(
        said.iter()
            .all(|(_, notification)| notification.ends_at_ms == 600_000),
        "resolved, and said so"
    );
    assert_eq!(said[0].0, 600_000);
    // For a quarter of an hour, so that none is missed.
    let last_ms = said.last().unwrap().0;
    assert!(
        (600_000 + 13 * MINUTE_MS..=600_000 + 15 * MINUTE_MS).contains(&last_ms),
        "{last_ms}"
    );
}

#[test]
fn a_pending_alert_that_ends_says_nothing_and_begins_anew() {
    let mut world = World::new(&rule("for: 1m,"));
    let said = run(&mut world, 0, 600_000, |t_ms| {
        f64::from(u8::from(t_ms % 60_000 != 0))
    });
    assert!(said.is_empty());
}

#[test]
fn keep_firing_for_bridges_gaps() {
    let mut world = World::new(&rule("keep_firing_for: 2m,"));
    let gap = 60_000..150_000;
    let said = run(&mut world, 0, 240_000, |t_ms| {
        f64::from(u8::from(!gap.contains(&t_ms)))
    });
    assert!(
        said.iter()
            .all(|(t_ms, notification)| notification.ends_at_ms > *t_ms),
        "never resolved"
    );
    run(&mut world, 255_000, 255_000 + 105_000, |_| 0.0);
    assert_eq!(state(&world), State::Firing);
    run(&mut world, 375_000, 375_000, |_| 0.0);
    assert_eq!(state(&world), State::Inactive);
}

#[test]
fn the_state_is_recorded_and_series_that_end_are_marked() {
    let mut world = World::new(&rule("for: 1m,"));
    run(&mut world, 0, 300_000, |t_ms| {
        f64::from(u8::from(t_ms < 200_000))
    });
    let alerts = world.memory.of("ALERTS");
    let states: Vec<&str> = alerts
        .iter()
        .map(|(labels, _)| labels.get("alertstate"))
        .collect();
    assert_eq!(states, ["firing", "pending"]);
    for (labels, samples) in alerts.iter().chain(&world.memory.of("ALERTS_FOR_STATE")) {
        assert!(is_stale(samples.last().unwrap().value), "{labels:?}");
    }
}

#[test]
fn a_long_alert_is_restored_after_a_restart() {
    let yaml = rule("for: 30m,");
    let mut world = World::new(&yaml);
    run(&mut world, 0, 20 * MINUTE_MS, |_| 1.0);
    assert_eq!(state(&world), State::Pending);
    // Ten minutes of nothing, then the same rules over the same samples.
    let mut again = World::over(world.memory, &yaml);
    let from_ms = 30 * MINUTE_MS;
    run(&mut again, from_ms, from_ms + 15_000, |_| 1.0);
    let active_at_ms = again.rules.groups()[0].rules()[0]
        .alerts()
        .next()
        .unwrap()
        .active_at_ms;
    // Ten minutes were left of thirty; the ten of the outage do not count.
    assert_eq!(active_at_ms, 10 * MINUTE_MS + 15_000);
    run(
        &mut again,
        from_ms + 30_000,
        from_ms + 10 * MINUTE_MS,
        |_| 1.0,
    );
    assert_eq!(state(&again), State::Pending);
    run(
        &mut again,
        from_ms + 10 * MINUTE_MS + 15_000,
        from_ms + 10 * MINUTE_MS + 15_000,
        |_| 1.0,
    );
    assert_eq!(state(&again), State::Firing);
}

#[test]
fn recordings_are_seen_by_the_rules_behind_them_and_errors_are_told() {
    let mut world = World::new(
        "groups:\n  - name: g\n    labels: {from: group}\n    rules:\n      - {record: 'a:x', expr: x * 2, labels: {more: y}}\n      - {record: 'a:a:x', expr: 'a:x + 1'}\n      - {record: same, expr: x, labels: {job: one}}\n      - {record: limited, expr: x}\n    limit: 1\n",
    );
    world.memory.add(x("j"), 0, 3.0);
    world.memory.add(x("k"), 0, 4.0);
    world.at(0);
    let health: Vec<bool> = world.rules.groups()[0]
        .rules()
        .iter()
        .map(|rule| *rule.health() == Health::Good)
        .collect();
    assert_eq!(
        health,
        [false, true, false, false],
        "two series where one is allowed, and nothing to add to"
    );
    let Health::Bad(error) = world.rules.groups()[0].rules()[3].health() else {
        panic!()
    };
    assert_eq!(error, "exceeded limit of 1 with 2 series");

    let mut world = World::new(
        "groups:\n  - name: g\n    labels: {from: group}\n    rules:\n      - {record: 'a:x', expr: x * 2, labels: {more: y}}\n      - {record: 'a:a:x', expr: 'a:x + 1'}\n      - {record: same, expr: x, labels: {job: one}}\n",
    );
    world.memory.add(x("j"), 0, 3.0);
    world.memory.add(x("k"), 0, 4.0);
    world.at(0);
    let found = world.memory.of("a:a:x");
    assert_eq!(
        found[0].0,
        Labels::new([
            ("__name__", "a:a:x"),
            ("from", "group"),
            ("job", "j"),
            ("more", "y")
        ])
    );
    assert_eq!(found[0].1[0].value, 7.0);
    let Health::Bad(error) = world.rules.groups()[0].rules()[2].health() else {
        panic!()
    };
    assert_eq!(
        error,
        "vector contains metrics with the same labelset after applying rule labels"
    );
}

#[test]
fn a_reload_keeps_the_state_of_rules_that_stay_and_ends_the_series_of_those_that_go() {
    let two = "groups:\n  - name: g\n    rules:\n      - {alert: A, expr: x > 0, for: 10m}\n      - {record: 'r:x', expr: x}\n";
    let mut world = World::new(two);
    run(&mut world, 0, 120_000, |_| 1.0);
    world.apply("groups:\n  - name: g\n    rules:\n      - {alert: A, expr: x > 0, for: 1m}\n");
    run(&mut world, 135_000, 135_000, |_| 1.0);
    assert_eq!(state(&world), State::Firing, "active since the start");
    world.tick(150_000);
    let recorded = world.memory.of("r:x");
    assert!(is_stale(recorded[0].1.last().unwrap().value));
}

#[test]
fn groups_are_evaluated_once_an_interval_at_their_own_place() {
    let mut world = World::new(
        "groups:\n  - name: one\n    rules: [{record: one, expr: vector(1)}]\n  - name: two\n    interval: 1m\n    rules: [{record: two, expr: vector(1)}]\n",
    );
    let begin_ms = 1_700_000_000_000;
    for now_ms in (begin_ms..begin_ms + 10 * MINUTE_MS).step_by(500) {
        let due_ms = world.rules.next_due_ms(now_ms).unwrap();
        assert!(due_ms > now_ms && due_ms <= now_ms + 15_000);
        world.tick(now_ms);
    }
    for (name, interval_ms) in [("one", 15_000), ("two", 60_000)] {
        let times: Vec<i64> = world.memory.of(name)[0]
            .1
            .iter()
            .map(|sample| sample.t_ms)
            .collect();
        assert!(
            times
                .windows(2)
                .all(|pair| pair[1] - pair[0] == interval_ms),
            "{name}: {times:?}"
        );
        assert!(
            (10 * MINUTE_MS / interval_ms - times.len() as i64).abs() <= 1,
            "{name}: {}",
            times.len()
        );
    }
}
