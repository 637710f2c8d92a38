//! Whatever happens, in whatever order: nobody is told the same twice within the repeat interval, and in the end everybody
//! knows what fires.

use std::collections::{BTreeMap, BTreeSet};

use alertmanager::message::Status;
use proptest::{collection::vec, prelude::*};

use crate::world::World;

const REPEAT_S: i64 = 600;
const GROUP_INTERVAL_S: i64 = 60;
/// An entry of the log is kept for two repeat intervals: whoever takes nothing for longer is not told of an end.
const DOWN_S_MAX: i64 = 400;

const CONFIG: &str = "
route:
  receiver: all
  group_by: [g]
  group_wait: 10s
  group_interval: 60s
  repeat_interval: 10m
receivers:
  - {name: all, webhook_configs: [{url: 'http://127.0.0.1:1'}]}
";

#[derive(Clone, Debug)]
enum Event {
    Fire(u8),
    Resolve(u8),
    Reload,
    Down(bool),
    Pass(i64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..8_u8).prop_map(Event::Fire),
        4 => (0..8_u8).prop_map(Event::Resolve),
        1 => Just(Event::Reload),
        2 => any::<bool>().prop_map(Event::Down),
        6 => (1..400_i64).prop_map(Event::Pass),
    ]
}

/// Two groups.
fn labels(alert: u8) -> String {
    format!("g={} n={alert}", alert % 2)
}

/// What one message said.
#[derive(Debug, PartialEq)]
struct Told {
    time_ms: i64,
    firing: BTreeSet<String>,
    resolved: BTreeSet<String>,
}

/// Messages that were taken, by group.
fn told(world: &World) -> BTreeMap<String, Vec<Told>> {
    let mut groups: BTreeMap<String, Vec<Told>> = BTreeMap::new();
    for ((time_ms, notification), line) in world.notifications.iter().zip(&world.sent) {
        if line.ends_with("(lost)") {
            continue;
        }
        let of = |status: Status| {
            let alerts = notification.message.alerts.iter();
            let alerts = alerts.filter(|alert| alert.status == status);
            alerts
                .map(|alert| alert.labels.get("n").to_owned())
                .collect()
        };
        let group = notification.message.group_labels.get("g").to_owned();
        groups.entry(group).or_default().push(Told {
            time_ms: *time_ms,
            firing: of(Status::Firing),
            resolved: of(Status::Resolved),
        });
    }
    groups
}

/// The alert itself is forgotten half an hour after the start, when it is over; the group that has not told it is made anew.
#[test]
fn an_end_that_nobody_took_is_told_after_a_reload() {
    let mut world = World::new(CONFIG);
    world.fire(&labels(5), 10_000_000);
    world.at(1_518);
    world.down = vec!["all"];
    world.resolve(&labels(5));
    world.at(1_800);
    let config = world.machine.config().clone();
    world.machine.reload(config, world.now_ms);
    world.down.clear();
    world.at(1_800 + 3 * GROUP_INTERVAL_S);
    let told = told(&world);
    let last = told["1"].last().unwrap();
    assert!(
        last.firing.is_empty() && last.resolved.contains("5"),
        "{told:?}"
    );
}

proptest! {
    #[test]
    fn nothing_is_told_twice_and_nothing_is_lost(events in vec(event(), 1..60)) {
        let mut world = World::new(CONFIG);
        let mut firing = BTreeSet::new();
        let (mut now_s, mut down_since_s) = (0, 0);
        for event in &events {
            match event {
                Event::Fire(alert) => {
                    if firing.insert(*alert) {
                        world.fire(&labels(*alert), 10_000_000);
                    }
                }
                Event::Resolve(alert) => {
                    if firing.remove(alert) {
                        world.resolve(&labels(*alert));
                    }
                }
                Event::Reload => {
                    let config = world.machine.config().clone();
                    world.machine.reload(config, world.now_ms);
                }
                Event::Down(true) => {
                    if world.down.is_empty() {
                        down_since_s = now_s;
                    }
                    world.down = vec!["all"];
                }
                Event::Down(false) => world.down.clear(),
                Event::Pass(seconds) => {
                    now_s += seconds;
                    if now_s - down_since_s > DOWN_S_MAX {
                        world.down.clear();
                    }
                }
            }
            world.at(now_s);
        }
        world.down.clear();
        world.at(now_s + 3 * GROUP_INTERVAL_S);
        let told = told(&world);
        for messages in told.values() {
            for pair in messages.windows(2) {
                let [before, after] = pair else { unreachable!("windows of two") };
                let is_known = after.firing.is_subset(&before.firing)
                    && after.resolved.is_subset(&before.resolved);
                if is_known {
                    let repeats = after.time_ms - before.time_ms > REPEAT_S * 1_000;
                    let ends = after.firing.is_empty() && !before.firing.is_empty();
                    prop_assert!(repeats || ends, "{before:?} {after:?}");
                }
            }
        }
        for group in ["0", "1"] {
            let fires: BTreeSet<String> = firing.iter()
                .filter(|alert| (*alert % 2).to_string() == group)
                .map(u8::to_string)
                .collect();
            let last = told.get(group).and_then(|messages| messages.last());
            let known = last.map(|message| message.firing.clone()).unwrap_or_default();
            prop_assert_eq!(known, fires, "{:?}", told);
        }
    }
}
