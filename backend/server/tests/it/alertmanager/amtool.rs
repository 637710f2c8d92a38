//! `amtool` works on ours, unmodified.

use std::process::Command;

use peers::component;

use super::world::Ours;

#[test]
fn amtool_works_on_ours() {
    let Some(program) = component("amtool") else {
        return;
    };
    let ours = Ours::start();
    let url = format!("--alertmanager.url=http://{}", ours.address);
    let amtool = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        let output = command.arg(&url).args(arguments).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {text}{errors}");
        text
    };
    amtool(&[
        "alert",
        "add",
        "Broken",
        "service=x",
        "--annotation=summary=It is broken",
    ]);
    let alerts = amtool(&["alert", "query"]);
    assert!(
        alerts.contains("Broken") && alerts.contains("It is broken"),
        "{alerts}"
    );
    let id = amtool(&[
        "silence",
        "add",
        "service=x",
        "--comment=known",
        "--author=me",
    ]);
    let id = id.trim();
    assert!(!amtool(&["alert", "query"]).contains("Broken"));
    assert!(amtool(&["alert", "query", "--silenced"]).contains("Broken"));
    assert!(amtool(&["silence", "query"]).contains("known"));
    amtool(&["silence", "expire", id]);
    assert!(!amtool(&["silence", "query"]).contains("known"));
    assert!(amtool(&["alert", "query"]).contains("Broken"));
    let config = amtool(&["config", "show"]);
    assert!(config.contains("team.a"), "{config}");
}
