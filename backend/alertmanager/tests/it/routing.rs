//! Which receivers an alert reaches: what `amtool config routes test` says of the same file and labels.

use std::{path::Path, process::Command};

use alertmanager::config::Config;
use peers::component;

use crate::world::labels;

const CONFIG: &str = r#"
route:
  receiver: root
  routes:
    - receiver: page
      matchers: [severity="page"]
      routes:
        - {receiver: gateway, matchers: ['service=gateway'], continue: true}
        - {receiver: not-gateway, matchers: ['service!~"gate.*"', slo!=""]}
        - {receiver: availability, match: {slo: availability}, continue: true}
        - matchers: ['route=~"/api/.+"']
    - receiver: everything
      continue: true
    - {receiver: ticket, match_re: {severity: 'tick.t|info'}, continue: true}
    - receiver: ticket
      match: {service: worker}
      routes:
        - {receiver: deep, matchers: ['{slo=~"a.*|l.*",severity!=page}']}
receivers:
  - {name: root}
  - {name: page}
  - {name: gateway}
  - {name: not-gateway}
  - {name: availability}
  - {name: everything}
  - {name: ticket}
  - {name: deep}
"#;

#[test]
fn routes_are_those_of_amtool() {
    let Some(amtool) = component("amtool") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("alertmanager.yml");
    std::fs::write(&file, CONFIG).unwrap();
    let config = Config::read(&file).unwrap();
    let sets = label_sets();
    assert!(sets.len() >= 50);
    for set in &sets {
        assert_eq!(receivers(&config, set), asked(&amtool, &file, set), "{set}");
    }
}

#[test]
fn the_projects_alerts_reach_their_receivers() {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/alertmanager/alertmanager.yml");
    let config = Config::read(&file).unwrap();
    let check = |set: &str, expected: &str| assert_eq!(receivers(&config, set), expected, "{set}");
    check(
        "alertname=HighErrorRate severity=page service=gateway",
        "pager",
    );
    check(
        "alertname=SlowBudgetBurn severity=ticket service=gateway slo=availability",
        "ticket",
    );
    check("alertname=Watchdog severity=none", "watchdog");
    check("alertname=Other", "ticket");
    if let Some(amtool) = component("amtool") {
        let output = Command::new(&amtool)
            .arg("check-config")
            .arg(&file)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}

fn label_sets() -> Vec<String> {
    let mut sets = Vec::new();
    for severity in ["page", "ticket", "info", "none"] {
        for service in ["gateway", "gate", "worker", ""] {
            for rest in [
                "slo=availability",
                "slo=latency route=/api/v1",
                "route=/api/",
                "x=y",
            ] {
                let service = match service {
                    "" => String::new(),
                    service => format!("service={service} "),
                };
                sets.push(format!("severity={severity} {service}{rest}"));
            }
        }
    }
    sets
}

fn receivers(config: &Config, set: &str) -> String {
    let routes = config.routes.matching(&labels(set)).into_iter();
    let names = routes.map(|route| config.routes.get(route).options.receiver.clone());
    names.collect::<Vec<_>>().join(",")
}

fn asked(amtool: &Path, file: &Path, set: &str) -> String {
    let mut command = Command::new(amtool);
    command
        .args(["config", "routes", "test", "--config.file"])
        .arg(file);
    let output = command.args(set.split(' ')).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
