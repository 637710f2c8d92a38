//! What changes when the configuration or a discovery file does: what stays goes on, what goes ends, once.

use std::fs;

use scrape::manager::Health;

use crate::world::{Server, World, config};

fn job(name: &str, options: &str, server: &Server) -> String {
    format!(
        "- job_name: {name}\n  {options}\n  static_configs: [{{targets: ['{}']}}]\n",
        server.address
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stays_goes_on_and_what_goes_ends() {
    let (server, _) = Server::page("a 1\nb 1\n").await;
    let yaml = |jobs: &[String]| format!("scrape_configs:\n{}", jobs.concat());
    let kept = job("kept", "honor_labels: true", &server);
    let world = World::driven(&yaml(&[
        kept.clone(),
        job("gone", "honor_labels: true", &server),
        job("changed", "honor_labels: true", &server),
    ]))
    .await;
    world.scrape(1000).await;
    world
        .now_ms
        .store(1500, std::sync::atomic::Ordering::SeqCst);
    let without_b = "metric_relabel_configs: [{action: drop, source_labels: [__name__], regex: b}]";
    world
        .manager
        .apply(config(&yaml(&[kept, job("changed", without_b, &server)])))
        .await;
    world.scrape(2000).await;
    let expect = |name, expected: &[(&str, &[&str])]| {
        let found = world.sink.of(name, "job");
        let found: Vec<(&str, Vec<&str>)> = found
            .iter()
            .map(|(job, samples)| (&**job, samples.iter().map(|text| &**text).collect()))
            .collect();
        assert_eq!(
            found,
            expected
                .iter()
                .map(|(job, samples)| (*job, samples.to_vec()))
                .collect::<Vec<_>>()
        );
    };
    expect(
        "a",
        &[
            ("changed", &["1000:1", "2000:1"]),
            ("gone", &["1000:1", "1500:stale"]),
            ("kept", &["1000:1", "2000:1"]),
        ],
    );
    expect(
        "b",
        &[
            ("changed", &["1000:1", "2000:stale"]),
            ("gone", &["1000:1", "1500:stale"]),
            ("kept", &["1000:1", "2000:1"]),
        ],
    );
    expect(
        "up",
        &[
            ("changed", &["1000:1", "2000:1"]),
            ("gone", &["1000:1", "1500:stale"]),
            ("kept", &["1000:1", "2000:1"]),
        ],
    );

    world
        .now_ms
        .store(2500, std::sync::atomic::Ordering::SeqCst);
    world.manager.stop().await;
    world.scrape(3000).await;
    expect(
        "a",
        &[
            ("changed", &["1000:1", "2000:1"]),
            ("gone", &["1000:1", "1500:stale"]),
            ("kept", &["1000:1", "2000:1"]),
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn discovery_files_are_read_again() {
    let (server, _) = Server::page("a 1\n").await;
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    let target = format!("targets: ['{}']", server.address);
    write(
        "one.yml",
        &format!("- {{{target}, labels: {{service: one}}}}"),
    );
    let yaml = format!(
        "scrape_configs:
- job_name: j
  file_sd_configs: [{{files: ['{folder}/*.yml']}}]
  relabel_configs: [{{action: drop, source_labels: [service], regex: unwanted}}]
",
        folder = folder.path().display()
    );
    let world = World::driven(&yaml).await;
    world.scrape(1000).await;
    let one = world.target("one");
    assert_eq!(one.health, Health::Up);
    let path = folder.path().join("one.yml").display().to_string();
    assert_eq!(one.target.discovered.get("__meta_filepath"), path);
    assert_eq!(one.target.labels.get("__meta_filepath"), "");

    write(
        "two.yml",
        &format!(
            "- {{{target}, labels: {{service: two}}}}\n- {{{target}, labels: {{service: unwanted}}}}"
        ),
    );
    write("one.yml", "- targets: [not closed");
    world.manager.discover().await;
    world.scrape(2000).await;
    assert_eq!(world.target("two").health, Health::Up);
    assert_eq!(
        world.target("one").last_scrape_ms,
        Some(2000),
        "an unreadable file keeps its targets"
    );
    let dropped = world.manager.targets().dropped;
    assert_eq!(
        (dropped[0].count, dropped[0].discovered[0].get("service")),
        (1, "unwanted")
    );

    fs::remove_file(folder.path().join("one.yml")).unwrap();
    world
        .now_ms
        .store(2500, std::sync::atomic::Ordering::SeqCst);
    world.manager.discover().await;
    let services: Vec<String> = world
        .manager
        .targets()
        .active
        .iter()
        .map(|status| status.target.labels.get("service").to_owned())
        .collect();
    assert_eq!(services, ["two"]);
    let ends = world.sink.of("a", "service");
    assert_eq!(
        ends[0],
        (
            "one".into(),
            vec!["1000:1".into(), "2000:1".into(), "2500:stale".into()]
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_with_too_many_targets_is_not_scraped() {
    let (server, _) = Server::page("a 1\n").await;
    let yaml = |limit: u64| {
        format!(
            "scrape_configs:\n- job_name: j\n  target_limit: {limit}\n  static_configs:\n  - {{targets: ['{0}'], labels: {{service: x}}}}\n  - {{targets: ['{0}'], labels: {{service: y}}}}\n  - {{targets: ['{0}'], labels: {{service: y}}}}\n",
            server.address
        )
    };
    let world = World::driven(&yaml(1)).await;
    world.scrape(1000).await;
    for service in ["x", "y"] {
        assert_eq!(
            world.target(service).last_error,
            "target_limit exceeded (number of targets: 2, limit: 1)"
        );
    }
    assert_eq!(server.requests.lock().unwrap().len(), 0);
    world.manager.apply(config(&yaml(2))).await;
    world.scrape(2000).await;
    assert_eq!(world.target("x").health, Health::Up);
    assert_eq!(
        server.requests.lock().unwrap().len(),
        2,
        "the same target is scraped once"
    );
}
