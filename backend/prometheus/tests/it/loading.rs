//! Configurations that cannot be used, at the start and at a reload.

use crate::world::{Alertmanager, Target, World, config, value};

const GOOD: &str = "groups: [{name: g, rules: [{record: one, expr: 1}]}]\n";

#[tokio::test]
async fn a_bad_configuration_is_refused_with_its_file_and_line() {
    for (config, rules, words) in [
        (
            "global: {scrape_interval: soon}\n",
            GOOD,
            &["prometheus.yml: 1:"][..],
        ),
        ("globl: {}\n", GOOD, &["prometheus.yml", "globl"]),
        (
            "rule_files: [rules.yml]\n",
            "groups: [{name: g}\n",
            &["rules.yml"],
        ),
        (
            "rule_files: [rules.yml]\n",
            "groups:\n- name: g\n  rules:\n  - {record: one, expr: 'sum('}\n",
            &["rules.yml", "4", "parse error"],
        ),
    ] {
        let world = World::new();
        world.write("prometheus.yml", config);
        world.write("rules.yml", rules);
        let Err(error) = world.try_start().await else {
            panic!("{config} was taken");
        };
        let error = chain(&error);
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
    }
}

#[tokio::test]
async fn a_reload_that_fails_changes_nothing() {
    let world = World::new();
    let (target, alertmanager) = (Target::start().await, Alertmanager::start().await);
    let good = config(
        target.address,
        alertmanager.address,
        &world.path("rules.yml"),
    );
    world.write("prometheus.yml", &good);
    world.write("rules.yml", GOOD);
    let prometheus = world.start().await;
    world.run(&prometheus, 0, 15).await;
    assert_eq!(value(&prometheus, "one", 15), Some(1.0));

    // The configuration is good and would drop the target, but a rule is bad.
    world.write("prometheus.yml", "rule_files: [rules.yml]\n");
    world.write(
        "rules.yml",
        "groups: [{name: g, rules: [{record: one, expr: '1 +'}]}]\n",
    );
    let error = chain(&prometheus.reload().await.unwrap_err());
    assert!(error.contains("rules.yml"), "{error}");
    assert!(!prometheus.last_reload().is_good);
    assert_eq!(prometheus.config_text(), good);
    world.run(&prometheus, 30, 30).await;
    assert_eq!(value(&prometheus, "one", 30), Some(1.0));
    assert_eq!(prometheus.targets().active.len(), 1);

    world.write(
        "rules.yml",
        "groups: [{name: g, rules: [{record: two, expr: 2}]}]\n",
    );
    prometheus.reload().await.unwrap();
    assert!(prometheus.last_reload().is_good);
    world.run(&prometheus, 45, 45).await;
    assert_eq!(value(&prometheus, "two", 45), Some(2.0));
    // What no rule makes any more ends at once.
    assert_eq!(value(&prometheus, "one", 45), None);
    assert_eq!(prometheus.targets().active.len(), 0);
    assert_eq!(prometheus.alertmanagers().len(), 0);
    prometheus.stop().await;
}

fn chain(error: &dyn std::error::Error) -> String {
    let source = error.source().map(chain).unwrap_or_default();
    format!("{error}: {source}")
}
