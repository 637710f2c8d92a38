//! When who is told what: grouping, repeats, ends, inhibition, silences and time intervals, to the second.

use alertmanager::{
    alert::InvalidAlert,
    machine::{ALERTS_MAX, Filter, Options},
    view::AlertState,
};

use crate::world::{START_MS, World, alert, config, silence};

const CONFIG: &str = "
route:
  receiver: all
  group_by: [g]
  group_wait: 10s
  group_interval: 60s
  repeat_interval: 10m
receivers: [{name: all, webhook_configs: [{url: 'http://127.0.0.1:1'}]}]
";

fn with(more: &str) -> World {
    World::new(&format!("{CONFIG}{more}"))
}

#[test]
fn a_group_waits_collects_and_repeats() {
    let mut world = with("");
    world.fire("g=x n=1", 9_999);
    world.at(5).fire("g=x n=2", 9_999);
    world.at(20).fire("g=x n=3", 9_999);
    world.at(30).fire("g=y n=4", 9_999);
    world.at(1_400);
    assert_eq!(
        world.sent(),
        [
            "10 all x: 1 2",
            "40 all y: 4",
            "70 all x: 1 2 3",
            // The first interval after the repeat interval, of each group.
            "700 all y: 4",
            "730 all x: 1 2 3",
            "1360 all y: 4",
            "1390 all x: 1 2 3",
        ]
    );
}

#[test]
fn an_end_is_told_with_the_next_interval_and_once() {
    let mut world = with("");
    world.fire("g=x n=1", 9_999).fire("g=x n=2", 9_999);
    world.at(30).resolve("g=x n=1");
    world.at(100).resolve("g=x n=2");
    world.at(2_000);
    assert_eq!(
        world.sent(),
        ["10 all x: 1 2", "70 all x: -1 2", "130 all x: -2"]
    );
}

#[test]
fn an_alert_that_is_not_posted_again_ends_by_itself() {
    let mut world = with("global: {resolve_timeout: 2m}");
    world.post(alert("g=x n=1", None, None));
    world.at(60).post(alert("g=x n=1", None, None));
    world.at(1_000);
    assert_eq!(world.sent(), ["10 all x: 1", "190 all x: -1"]);
}

#[test]
fn what_began_and_ended_between_two_messages_is_not_told_alone() {
    let mut world = with("");
    world.fire("g=x n=1", 9_999);
    world.at(5).resolve("g=x n=1");
    world.at(1_000);
    assert_eq!(world.sent(), [""; 0]);
}

#[test]
fn a_group_that_ended_waits_again_only_after_it_was_dropped() {
    let mut world = with("");
    world.fire("g=x n=1", 9_999);
    world.at(20).resolve("g=x n=1");
    // Told at 70, dropped at 90; until then the interval goes on.
    world.at(80).fire("g=x n=2", 9_999);
    world.at(140).resolve("g=x n=2");
    world.at(230).fire("g=x n=3", 9_999);
    world.at(300);
    assert_eq!(
        world.sent(),
        [
            "10 all x: 1",
            "70 all x: -1",
            "130 all x: 2",
            "190 all x: -2",
            "240 all x: 3"
        ]
    );
}

#[test]
fn what_fires_for_longer_than_the_wait_is_told_at_once() {
    let mut world = with("");
    world.at(100).post(alert("g=x n=1", Some(50), None));
    world.at(101);
    assert_eq!(world.sent(), ["100 all x: 1"]);
}

#[test]
fn what_was_lost_is_told_with_the_next_interval() {
    let mut world = with("");
    world.down = vec!["all"];
    world.fire("g=x n=1", 9_999);
    world.at(100).resolve("g=x n=1");
    world.down.clear();
    world.fire("g=x n=2", 9_999).at(200);
    assert_eq!(
        world.sent(),
        [
            "10 all x: 1 (lost)",
            "70 all x: 1 (lost)",
            "130 all x: -1 2"
        ]
    );
    // An end that was lost is told as well.
    world.down = vec!["all"];
    world.resolve("g=x n=2").at(260);
    world.down.clear();
    world.at(400);
    assert_eq!(world.sent(), ["250 all x: -2 (lost)", "310 all x: -2"]);
}

#[test]
fn an_alert_that_fires_again_while_its_end_is_told_is_kept() {
    let mut world = with("");
    world.fire("g=x n=1", 9_999).at(20);
    world.resolve("g=x n=1");
    // The message of the end is on its way for ten seconds.
    world.now_ms = START_MS + 70_000;
    let told = world.machine.tick(world.now_ms);
    world.now_ms += 5_000;
    world.fire("g=x n=1", 9_999);
    world.now_ms += 5_000;
    world.machine.delivered(told[0].id, true, world.now_ms);
    world.at(300);
    assert_eq!(world.sent(), ["10 all x: 1", "130 all x: 1"]);
}

#[test]
fn each_webhook_of_a_receiver_is_told_for_itself() {
    let mut world = World::new(&CONFIG.replace(
        "[{url: 'http://127.0.0.1:1'}]",
        "[{url: 'http://127.0.0.1:1', max_alerts: 1}, {url: 'http://127.0.0.1:2', send_resolved: false}]",
    ));
    world.fire("g=x n=1", 9_999).fire("g=x n=2", 9_999);
    world.at(20).resolve("g=x n=1");
    world.at(80).resolve("g=x n=2");
    world.at(140).fire("g=x n=1", 9_999);
    world.at(200);
    assert_eq!(
        world.sent(),
        [
            "10 all x: 1",
            "10 all x: 1 2",
            "70 all x: -1",
            "130 all x: -2",
            "190 all x: 1",
            "190 all x: 1",
        ]
    );
    let truncated = |index: usize| world.notifications[index].1.message.truncated_alerts;
    assert_eq!((truncated(0), truncated(1), truncated(2)), (1, 0, 1));
}

#[test]
fn a_source_that_fires_mutes_its_targets() {
    let mut world = with(
        "inhibit_rules: [{source_matchers: [s=page], target_matchers: [s=ticket], equal: [service, slo]}]",
    );
    world.fire("g=x n=1 s=page service=a slo=1", 9_999);
    for other in [
        "2 s=ticket service=a slo=1",
        "3 s=ticket service=b slo=1",
        "4 s=ticket service=a",
    ] {
        world.fire(&format!("g=x n={other}"), 9_999);
    }
    world.at(20).resolve("g=x n=1 s=page service=a slo=1");
    world.at(100);
    assert_eq!(world.sent(), ["10 all x: 4 1 3", "70 all x: 4 -1 2 3"]);
}

#[test]
fn two_alerts_on_both_sides_of_a_rule_do_not_mute_each_other() {
    let mut world =
        with("inhibit_rules: [{source_matchers: ['a=~1|2'], target_matchers: ['a=~2|3']}]");
    world.fire("g=x n=2 a=2", 9_999).fire("g=x n=3 a=3", 9_999);
    world.at(20);
    // The first is source and target, the second only target.
    assert_eq!(world.sent(), ["10 all x: 2"]);
    world.fire("g=x n=1 a=1", 9_999).at(80);
    assert_eq!(world.sent(), ["70 all x: 1"]);
}

#[test]
fn a_silence_mutes_from_its_start_to_its_end() {
    let mut world = with("");
    world.fire("g=x n=1", 9_999).fire("g=y n=2", 9_999);
    let id = world.silence(silence("g", "x", 0, 100));
    world.at(50);
    assert_eq!(world.sent(), ["10 all y: 2"]);
    let alerts = world.machine.alerts(&Filter::default(), world.now_ms);
    let silenced: Vec<_> = alerts
        .iter()
        .map(|alert| &alert.status.silenced_by)
        .collect();
    assert!(silenced.contains(&&vec![id]) && silenced.contains(&&vec![]));
    world.at(200);
    assert_eq!(world.sent(), ["130 all x: 1"]);
    // Ended early.
    let id = world.silence(silence("n", "3", 200, 9_000));
    world.fire("g=x n=3", 9_999).at(260);
    assert_eq!(world.sent(), [""; 0]);
    world.machine.expire_silence(id, world.now_ms).unwrap();
    world.at(320);
    assert_eq!(world.sent(), ["310 all x: 1 3"]);
}

#[test]
fn the_end_of_what_is_muted_is_not_told() {
    let mut world = with("");
    world.fire("g=x n=1", 9_999).at(20);
    world.silence(silence("g", "x", 20, 200));
    world.at(30).resolve("g=x n=1");
    world.at(1_000);
    // So it is in the real one: the group forgets the alert while it is muted.
    assert_eq!(world.sent(), ["10 all x: 1"]);
}

#[test]
fn a_change_of_a_silence_that_rewrites_the_past_makes_another() {
    let mut world = with("");
    let id = world.silence(silence("g", "x", 0, 1_000));
    world.at(100);
    let change = |world: &mut World, end_s, value: &str| {
        let mut change = silence("g", value, 0, end_s);
        change.id = Some(id.to_string());
        world.silence(change)
    };
    assert_eq!(change(&mut world, 2_000, "x"), id);
    let other = change(&mut world, 2_000, "y");
    assert_ne!(other, id);
    let states: Vec<_> = world
        .machine
        .silences(&[], world.now_ms + 1)
        .into_iter()
        .collect();
    let of = |id| states.iter().find(|silence| silence.id == id).unwrap();
    assert_eq!(of(id).ends_at_ms, world.now_ms);
    assert_eq!(of(other).starts_at_ms, world.now_ms);
    assert_eq!(
        format!("{:?} {:?}", of(id).status.state, of(other).status.state),
        "Expired Active"
    );
}

#[test]
fn routes_are_muted_and_active_by_time() {
    let mut world = World::new(
        "
route:
  receiver: all
  group_wait: 10s
  group_interval: 60s
  routes:
    - {matchers: [a=mute], mute_time_intervals: [early]}
    - {matchers: [a=active], active_time_intervals: [late]}
receivers: [{name: all, webhook_configs: [{url: 'http://127.0.0.1:1'}]}]
time_intervals:
  - {name: early, time_intervals: [{times: [{start_time: '09:00', end_time: '09:05'}], location: Europe/Berlin, weekdays: ['monday:friday']}]}
  - {name: late, time_intervals: [{times: [{start_time: '08:02', end_time: '24:00'}], days_of_month: ['-31:-22'], months: ['january'], years: ['2026']}]}
",
    );
    world.fire("a=mute n=1", 9_999).fire("a=active n=2", 9_999);
    world.at(50);
    assert_eq!(world.sent(), [""; 0]);
    let groups = world.machine.alert_groups(&Filter::default(), world.now_ms);
    let muted: Vec<_> = groups.iter().map(|group| &group.alerts[0].status).collect();
    assert!(
        muted
            .iter()
            .all(|status| status.state == AlertState::Suppressed)
    );
    assert!(muted.iter().any(|status| status.muted_by == ["early"]));
    let unmuted = Filter {
        muted: false,
        ..Filter::default()
    };
    assert!(
        world
            .machine
            .alert_groups(&unmuted, world.now_ms)
            .is_empty()
    );
    world.at(400);
    assert_eq!(world.sent(), ["130 all : 2", "310 all : 1"]);
}

#[test]
fn another_configuration_forgets_groups_and_remembers_what_was_told() {
    let mut world = with("");
    world.fire("g=x n=1", 9_999).at(20);
    world.machine.reload(config(CONFIG), world.now_ms);
    world.at(21).fire("g=x n=2", 9_999).at(30);
    // The first alert has waited already, and was told.
    assert_eq!(world.sent(), ["10 all x: 1"]);
    world.at(200);
    assert_eq!(world.sent(), ["80 all x: 1 2"]);
}

#[test]
fn what_was_told_is_known_after_a_restart() {
    let mut world = with("");
    world.fire("g=x n=1", 9_999).at(20);
    let id = world.silence(silence("n", "2", 0, 9_000));
    let records = world.machine.take_records();
    let mut again = with("");
    again.machine =
        alertmanager::machine::Machine::new(config(CONFIG), Options::default(), world.now_ms);
    again.machine.restore(records);
    again.now_ms = world.now_ms;
    for alert in [
        alert("g=x n=1", Some(0), Some(9_999)),
        alert("g=x n=2", Some(0), Some(9_999)),
    ] {
        again.post(alert);
    }
    again.at(500);
    assert_eq!(again.sent(), [""; 0]);
    assert!(again.machine.silence(id, again.now_ms).is_some());
    again.at(700);
    assert_eq!(again.sent(), ["620 all x: 1"]);
}

#[test]
fn a_clock_that_goes_back_holds_up_no_group() {
    let mut world = with("");
    world.fire("g=x n=1", 9_999).at(20);
    world.now_ms = START_MS - 3_600_000;
    world.fire("g=x n=2", 9_999).at(-3_600 + 70);
    assert_eq!(world.sent(), ["10 all x: 1", "-3540 all x: 1 2"]);
}

#[test]
fn what_is_too_many_is_refused_and_the_rest_goes_on() {
    let mut world = with("");
    let alerts = |numbers: std::ops::Range<usize>| {
        let alert = |number: usize| alert(&format!("g=x n={number}"), None, Some(9_999));
        numbers.map(alert).collect()
    };
    let before = world.machine.receive(alerts(0..ALERTS_MAX), world.now_ms);
    assert_eq!(before, []);
    // One that is known is still taken.
    let beyond = world
        .machine
        .receive(alerts(ALERTS_MAX - 1..ALERTS_MAX + 1), world.now_ms);
    assert_eq!(beyond, [InvalidAlert::TooMany]);
    assert_eq!(world.machine.counts().received_invalid, 1);
    world.at(10);
    assert_eq!(world.notifications[0].1.message.alerts.len(), ALERTS_MAX);
}
