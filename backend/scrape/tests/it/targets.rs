//! Targets over real TCP: good ones, and those that are slow, huge, broken or hostile. None harms another.

use std::{
    io::Write,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use flate2::{Compression, write::GzEncoder};
use scrape::manager::Health;

use conventions::metrics as names;

use crate::recorder::counted;
use crate::world::{OPENMETRICS, Reply, Server, TEXT, World, ok, status, wait_until};

const CHUNKED_HEAD: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn gzipped(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {TEXT}\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// One job for all, each target a service.
fn yaml(options: &str, targets: &[(&str, &Server)]) -> String {
    let groups: Vec<String> = targets
        .iter()
        .map(|(service, server)| {
            format!(
                "  - {{targets: ['{}'], labels: {{service: {service}}}}}",
                server.address
            )
        })
        .collect();
    format!(
        "scrape_configs:\n- job_name: j\n  {options}\n  static_configs:\n{}\n",
        groups.join("\n")
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_is_asked_as_prometheus_asks_over_one_connection() {
    let page = "# TYPE a counter\na_total 1 # {trace_id=\"t\"} 1\n# EOF\n";
    let server = Server::start(|_| Reply::Bytes(ok(OPENMETRICS, page.as_bytes()))).await;
    let world = World::driven(&yaml("scrape_timeout: 2s", &[("s", &server)])).await;
    assert_eq!(world.target("s").health, Health::Unknown);
    world.scrape(1000).await;
    world.scrape(2000).await;
    assert_eq!(
        world.sink.of("a_total", "service"),
        [("s".into(), vec!["1000:1".into(), "2000:1".into()])]
    );
    assert_eq!(
        world.sink.of("up", "service"),
        [("s".into(), vec!["1000:1".into(), "2000:1".into()])]
    );
    assert_eq!(world.sink.exemplars.lock().unwrap().len(), 2);
    let status = world.target("s");
    assert_eq!(
        (
            status.health,
            status.last_error.as_str(),
            status.last_scrape_ms
        ),
        (Health::Up, "", Some(2000))
    );
    assert!(!status.last_duration.is_zero());
    assert_eq!(status.families.len(), 1);
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
    let requests = server.requests.lock().unwrap();
    let request = requests[0].to_lowercase();
    assert!(
        request.starts_with("get /metrics http/1.1\r\n"),
        "{request}"
    );
    assert!(
        request.contains(
            "\r\naccept: application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
        ),
        "{request}"
    );
    assert!(
        request.contains("\r\naccept-encoding: gzip\r\n"),
        "{request}"
    );
    assert!(
        request.contains("\r\nx-prometheus-scrape-timeout-seconds: 2\r\n"),
        "{request}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_target_is_its_own_affair() {
    let good = Server::start(|_| Reply::Bytes(gzipped(&gzip(b"a 1\n")))).await;
    let garbage = Server::start(|_| Reply::BytesAndEnd(vec![0xff; 5000])).await;
    let silent = Server::start(|_| Reply::Silence).await;
    let failing = Server::start(|_| Reply::Bytes(status("503 Service Unavailable"))).await;
    let broken = Server::start(|_| {
        Reply::BytesAndEnd(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\na 1\n".to_vec())
    })
    .await;
    let html = Server::start(|_| Reply::Bytes(ok("text/html", b"<html>"))).await;
    let no_metrics = Server::start(|_| Reply::Bytes(ok(TEXT, b"a 1\n<html>\n"))).await;
    let huge = Server::start(|_| Reply::Bytes(ok(TEXT, &b"a 1\n".repeat(30_000)))).await;
    let packed = gzipped(&gzip(&vec![b'#'; 50 << 20]));
    let bomb = Server::start(move |_| Reply::Bytes(packed.clone())).await;
    let no_gzip = Server::start(|_| Reply::Bytes(gzipped(b"a 1\n"))).await;
    let away = Server::start(|_| {
        Reply::Bytes(
            b"HTTP/1.1 302 Found\r\nLocation: /metrics\r\nContent-Length: 0\r\n\r\n".to_vec(),
        )
    })
    .await;
    let cut =
        Server::start(|_| Reply::BytesAndEnd([CHUNKED_HEAD, b"4\r\na 1\n\r\n"].concat())).await;
    let without_end = Server::start(|_| Reply::Bytes(ok(OPENMETRICS, b"a 1\n"))).await;
    let endless = Server::start(|_| Reply::Endless {
        head: CHUNKED_HEAD.to_vec(),
        chunk: [b"10000\r\n".as_slice(), &[b'#'; 0x10000], b"\r\n"].concat(),
        pause: Duration::ZERO,
    })
    .await;
    let dripping = Server::start(|_| Reply::Endless {
        head: CHUNKED_HEAD.to_vec(),
        chunk: b"1\r\n#\r\n".to_vec(),
        pause: Duration::from_millis(10),
    })
    .await;
    let closed = Server {
        address: peers::free_address(),
        requests: Default::default(),
        connections: Default::default(),
    };
    let targets = [
        ("good", &good),
        ("garbage", &garbage),
        ("silent", &silent),
        ("failing", &failing),
        ("broken", &broken),
        ("html", &html),
        ("no_metrics", &no_metrics),
        ("huge", &huge),
        ("bomb", &bomb),
        ("no_gzip", &no_gzip),
        ("away", &away),
        ("cut", &cut),
        ("without_end", &without_end),
        ("endless", &endless),
        ("dripping", &dripping),
        ("closed", &closed),
    ];
    let options = "scrape_timeout: 500ms\n  scrape_interval: 1s\n  body_size_limit: 100KB";
    let world = World::driven(&yaml(options, &targets)).await;
    world.scrape(1000).await;

    let check = |service: &str, reason: &str| {
        let status = world.target(service);
        assert_eq!(status.health, Health::Down, "{service}");
        assert!(
            status.last_error.contains(reason),
            "{service}: {}",
            status.last_error
        );
    };
    check("garbage", "Get \"http://127.0.0.1:");
    check("silent", "context deadline exceeded");
    check(
        "failing",
        "server returned HTTP status 503 Service Unavailable",
    );
    check("broken", "Get \"http://127.0.0.1:");
    check(
        "html",
        "target sends the Content-Type \"text/html\", which is not supported",
    );
    check("no_metrics", "line 2: expected a metric or a comment");
    check("huge", "body size limit exceeded");
    check("bomb", "body size limit exceeded");
    check("no_gzip", "body is not gzip");
    check("away", "too many redirects");
    check("cut", "Get \"http://127.0.0.1:");
    check("without_end", "line 2: the page does not end with # EOF");
    check("endless", "body size limit exceeded");
    check("dripping", "context deadline exceeded");
    check("closed", "refused");
    assert_eq!(world.target("good").health, Health::Up);
    assert_eq!(
        world.sink.of("a", "service"),
        [("good".into(), vec!["1000:1".into()])]
    );
    let ups = world.sink.of("up", "service");
    assert_eq!(ups.len(), targets.len());
    for (service, samples) in ups {
        let expected = if service == "good" {
            "1000:1"
        } else {
            "1000:0"
        };
        assert_eq!(samples, [expected], "{service}");
    }
}

/// A target that has suddenly a million series.
async fn exploded() -> Server {
    use std::fmt::Write;
    let mut page = String::new();
    for n in 0..1_000_000 {
        writeln!(page, "a{{n=\"{n}\"}} 1").unwrap();
    }
    let page = ok(TEXT, page.as_bytes());
    Server::start(move |_| Reply::Bytes(page.clone())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_million_series_are_refused_by_the_limit_and_counted() {
    let exploded = exploded().await;
    let (good, _) = Server::page("b 1\n").await;
    let options = "sample_limit: 1000\n  scrape_interval: 30s\n  scrape_timeout: 30s";
    let world = World::driven(&yaml(options, &[("exploded", &exploded), ("good", &good)])).await;
    let started = Instant::now();
    let counted_before = counted(names::PROMETHEUS_SCRAPES_OVER_SAMPLE_LIMIT);
    world.scrape(1000).await;
    world.scrape(2000).await;
    assert!(counted(names::PROMETHEUS_SCRAPES_OVER_SAMPLE_LIMIT) >= counted_before + 2);
    let status = world.target("exploded");
    assert_eq!(
        (status.health, status.last_error.as_str()),
        (Health::Down, "sample limit exceeded")
    );
    assert_eq!(world.sink.of("a", "n"), []);
    let of_both = |name: &str, exploded: &str, good: &str| {
        let samples = |value: &str| vec![format!("1000:{value}"), format!("2000:{value}")];
        let expected = [
            ("exploded".into(), samples(exploded)),
            ("good".into(), samples(good)),
        ];
        let mut found = world.sink.of(name, "service");
        found.sort();
        assert_eq!(found, expected, "{name}");
    };
    of_both("up", "0", "1");
    of_both("scrape_samples_scraped", "1000000", "1");
    assert_eq!(
        world.sink.of("b", "service"),
        [("good".into(), vec!["1000:1".into(), "2000:1".into()])]
    );
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn loops_keep_their_rhythm_beside_a_target_with_a_million_series() {
    let exploded = exploded().await;
    let (good, _) = Server::page("b 1\n").await;
    let job = |name: &str, interval: &str, server: &Server| {
        format!(
            "- job_name: {name}\n  sample_limit: 1000\n  scrape_interval: {interval}\n  scrape_timeout: {interval}\n  static_configs: [{{targets: ['{}']}}]\n",
            server.address
        )
    };
    let jobs = job("exploded", "10s", &exploded) + &job("good", "100ms", &good);
    let world = World::looping(&format!("scrape_configs:\n{jobs}")).await;
    let ups = |name: &str| {
        let found = world.sink.of("up", "job").into_iter();
        found
            .filter(|(job, _)| job == name)
            .flat_map(|(_, samples)| samples)
            .collect::<Vec<_>>()
    };
    let asked = || !exploded.requests.lock().unwrap().is_empty();
    wait_until("the exploded one is asked", asked).await;
    let before = ups("good").len();
    wait_until("its page is refused", || !ups("exploded").is_empty()).await;
    let meanwhile = ups("good").len() - before;
    assert!(ups("exploded").iter().all(|up| up.ends_with(":0")));
    assert!(ups("good").iter().all(|up| up.ends_with(":1")));
    let took = world.target_with("job", "exploded").last_duration;
    assert!(
        meanwhile >= 2,
        "{meanwhile} scrapes, the page came in {took:?}"
    );
    world.manager.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn loops_keep_their_rhythm_beside_a_stuck_target_and_end_without_markers() {
    let (good, _) = Server::page("a 1\n").await;
    let stuck = Server::start(|_| Reply::Silence).await;
    let options = "scrape_interval: 100ms\n  scrape_timeout: 100ms";
    let world = World::looping(&yaml(options, &[("good", &good), ("stuck", &stuck)])).await;
    let scrapes = |name: &str| {
        world
            .sink
            .of("up", "service")
            .into_iter()
            .find(|(service, _)| service == name)
            .map_or(0, |(_, samples)| samples.len())
    };
    wait_until("ten scrapes of the one and three of the other", || {
        scrapes("good") >= 10 && scrapes("stuck") >= 3
    })
    .await;
    let offset_ms = world.target("good").target.offset_ms();
    world.manager.stop().await;
    let stored = world.sink.series.lock().unwrap();
    for (labels, samples) in stored.iter() {
        assert!(
            samples.iter().all(|(_, value)| !tsdb::is_stale(*value)),
            "{labels:?}"
        );
        assert!(
            samples.windows(2).all(|pair| pair[0].0 < pair[1].0),
            "{labels:?}"
        );
        let on_time = samples
            .iter()
            .any(|(t_ms, _)| t_ms.rem_euclid(100) == offset_ms);
        assert!(
            on_time || labels.get("service") == "stuck",
            "{samples:?} at {offset_ms}"
        );
    }
    assert!(world.manager.targets().active.is_empty());
}
