//! From a page over rules to an Alertmanager, and over a restart.

use crate::world::{Alertmanager, START_MS, Target, World, config, value};

const RULES: &str = "\
groups:
- name: shop
  rules:
  - record: service:sold:rate1m
    expr: sum by (service) (rate(sold_total[1m]))
  - alert: NothingSold
    expr: service:sold:rate1m == 0
    for: 1m
    labels: {severity: page}
    annotations: {summary: '{{ $labels.service }} of {{ $externalLabels.cluster }} sells nothing'}
";

struct Shop {
    world: World,
    target: Target,
    alertmanager: Alertmanager,
}

async fn shop() -> Shop {
    let world = World::new();
    let (target, alertmanager) = (Target::start().await, Alertmanager::start().await);
    let rules = world.path("rules.yml");
    world.write("rules.yml", RULES);
    world.write(
        "prometheus.yml",
        &config(target.address, alertmanager.address, &rules),
    );
    Shop {
        world,
        target,
        alertmanager,
    }
}

#[tokio::test]
async fn what_a_target_shows_is_recorded_and_alerted_on_and_the_alertmanager_is_told() {
    let shop = shop().await;
    let prometheus = shop.world.start().await;
    shop.target.show(
        "# TYPE sold counter\nsold_total 7 # {trace_id=\"4bf92f3577b34da6a3ce929d0e0e4736\"} 1",
    );
    shop.world.run(&prometheus, 0, 135).await;
    assert_eq!(value(&prometheus, "up", 135), Some(1.0));
    assert_eq!(value(&prometheus, "service:sold:rate1m", 135), Some(0.0));
    let exemplars = prometheus.store().exemplars(&[], i64::MIN..=i64::MAX);
    assert_eq!(
        exemplars[0].1[0].labels.get("trace_id"),
        "4bf92f3577b34da6a3ce929d0e0e4736"
    );

    let told = shop.alertmanager.wait_for(1).await;
    assert_eq!(told[0]["labels"]["alertname"], "NothingSold");
    // A label of the alert wins over one of the system; one that it lacks is added.
    assert_eq!(told[0]["labels"]["severity"], "page");
    assert_eq!(told[0]["labels"]["cluster"], "test");
    assert_eq!(
        told[0]["annotations"]["summary"],
        "shop of test sells nothing"
    );
    assert!(
        told[0]["generatorURL"]
            .as_str()
            .unwrap()
            .starts_with("http://prometheus.test/graph?g0.expr=")
    );
    // The rate needs two scrapes; the alert is pending from then on for a minute.
    let fired = jiff_ms(told[0]["startsAt"].as_str().unwrap());
    assert_eq!(fired - START_MS, 75_000);
    prometheus.stop().await;
}

#[tokio::test]
async fn an_alert_that_was_pending_goes_on_after_a_restart() {
    let shop = shop().await;
    // What fires within ten minutes is not restored, as in Prometheus: it is soon there again.
    let rules = RULES.replace("for: 1m", "for: 30m");
    shop.world.write("rules.yml", &rules);
    let prometheus = shop.world.start().await;
    shop.target.show("# TYPE sold counter\nsold_total 7");
    shop.world.run(&prometheus, 0, 600).await;
    let pending = |prometheus: &prometheus::Prometheus| {
        prometheus.with_groups(|groups| {
            groups[0].rules()[1]
                .alerts()
                .map(|alert| (alert.state, alert.active_at_ms))
                .collect::<Vec<_>>()
        })
    };
    let before = pending(&prometheus);
    assert_eq!(before.len(), 1, "{before:?}");
    prometheus.stop().await;
    drop(prometheus);

    let prometheus = shop.world.start().await;
    shop.world.run(&prometheus, 615, 660).await;
    let after = pending(&prometheus);
    assert_eq!(after.len(), 1);
    // The time for which nothing was evaluated does not count.
    assert!(
        (0..=60_000).contains(&(after[0].1 - before[0].1)),
        "{before:?} became {after:?}"
    );
    prometheus.stop().await;
}

#[tokio::test]
async fn after_a_restart_rules_find_what_was_there_before() {
    let shop = shop().await;
    let prometheus = shop.world.start().await;
    shop.target.show("# TYPE sold counter\nsold_total 7");
    shop.world.run(&prometheus, 0, 30).await;
    prometheus.stop().await;
    drop(prometheus);
    let prometheus = shop.world.start().await;
    assert_eq!(value(&prometheus, "sold_total", 46), Some(7.0));
    prometheus.stop().await;
}

#[tokio::test]
async fn an_alertmanager_that_is_not_there_holds_up_nothing() {
    let shop = shop().await;
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = gone.local_addr().unwrap();
    drop(gone);
    shop.world.write(
        "prometheus.yml",
        &config(shop.target.address, address, &shop.world.path("rules.yml")),
    );
    let prometheus = shop.world.start().await;
    shop.target.show("# TYPE sold counter\nsold_total 7");
    shop.world.run(&prometheus, 0, 300).await;
    assert_eq!(
        value(&prometheus, "ALERTS{alertstate=\"firing\"}", 300),
        Some(1.0)
    );
    prometheus.stop().await;
}

fn jiff_ms(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>().unwrap().as_millisecond()
}
