//! What every surface does, whatever API it speaks.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{Arc, OnceLock},
    thread,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Bytes,
    routing::{get, post},
};
use server::{MetricsPage, Options, Surface};
use telemetry::metrics::{MetricsHandle, RecorderBuilder};
use tokio::{runtime::Runtime, sync::Semaphore};

use crate::client::{Answer, Client};

const DEADLINE: Duration = Duration::from_secs(20);

struct Started {
    address: SocketAddr,
    surface: Option<Surface>,
    runtime: Runtime,
}

impl Started {
    fn new(routes: Router, options: Options) -> Self {
        let runtime = Runtime::new().unwrap();
        let surface = Surface::bind("a test", ([127, 0, 0, 1], 0).into(), routes, options);
        let surface = runtime.block_on(surface).unwrap();
        Self {
            address: surface.address(),
            surface: Some(surface),
            runtime,
        }
    }

    fn get(&self, path: &str) -> Answer {
        Client::new(self.address).get(path)
    }
}

/// The recorder of this process: there can be only one.
fn metrics() -> &'static MetricsHandle {
    static HANDLE: OnceLock<MetricsHandle> = OnceLock::new();
    HANDLE.get_or_init(|| {
        let recorder = RecorderBuilder::new("test").build().unwrap();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).unwrap();
        handle
    })
}

fn wait_until(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(
            Instant::now() < deadline,
            "what is waited for does not come"
        );
        thread::yield_now();
    }
}

#[test]
fn a_panic_is_answered_and_does_not_end_the_connection() {
    let routes = Router::new()
        .route("/panic", get(|| async { panic!("on purpose") as &str }))
        .route("/fine", get(|| async { "fine" }));
    let started = Started::new(routes, Options::default());
    let mut client = Client::new(started.address);
    assert_eq!(client.get("/panic").status, 500);
    assert_eq!(client.get("/fine").text(), "fine");
}

#[test]
fn requests_beyond_the_bound_are_refused_at_once_and_later_ones_served() {
    let gate = Arc::new(Semaphore::new(0));
    let wait = Arc::clone(&gate);
    let slow = move || async move {
        wait.acquire().await.unwrap().forget();
        "slow"
    };
    let options = Options {
        requests_in_flight_max: 2,
        ..Options::default()
    };
    let routes = Router::new()
        .route("/slow", get(slow))
        .route("/fine", get(|| async { "fine" }));
    let started = Started::new(routes, options);
    let address = started.address;
    let waiting: Vec<_> = (0..2)
        .map(|_| thread::spawn(move || Client::new(address).get("/slow")))
        .collect();
    wait_until(|| started.get("/fine").status == 503);
    gate.add_permits(2);
    for waiting in waiting {
        assert_eq!(waiting.join().unwrap().text(), "slow");
    }
    wait_until(|| started.get("/fine").status == 200);
}

#[test]
fn a_handler_that_takes_too_long_is_given_up() {
    let routes = Router::new().route(
        "/never",
        get(|| async {
            std::future::pending::<()>().await;
        }),
    );
    let options = Options {
        request_timeout: Duration::from_millis(50),
        ..Options::default()
    };
    assert_eq!(Started::new(routes, options).get("/never").status, 504);
}

#[test]
fn a_handler_ends_when_its_client_leaves() {
    let (dropped, ended) = std::sync::mpsc::channel();
    let (begin, begun) = std::sync::mpsc::channel();
    let handler = move || {
        let (dropped, begin) = (dropped.clone(), begin.clone());
        async move {
            struct Tell(std::sync::mpsc::Sender<()>);
            impl Drop for Tell {
                fn drop(&mut self) {
                    let _ = self.0.send(());
                }
            }
            let _tell = Tell(dropped);
            begin.send(()).unwrap();
            std::future::pending::<()>().await;
        }
    };
    let started = Started::new(
        Router::new().route("/never", get(handler)),
        Options::default(),
    );
    let mut stream = TcpStream::connect(started.address).unwrap();
    stream
        .write_all(b"GET /never HTTP/1.1\r\nhost: x\r\n\r\n")
        .unwrap();
    begun.recv_timeout(DEADLINE).unwrap();
    drop(stream);
    ended.recv_timeout(DEADLINE).unwrap();
}

#[test]
fn bodies_and_headers_have_bounds() {
    let options = Options {
        body_bytes_max: 100,
        ..Options::default()
    };
    let echo = |body: Bytes| async move { body };
    let started = Started::new(Router::new().route("/echo", post(echo)), options);
    let mut client = Client::new(started.address);
    assert_eq!(client.ask("POST", "/echo", &[], &[b'x'; 100]).status, 200);
    assert_eq!(client.ask("POST", "/echo", &[], &[b'x'; 101]).status, 413);
    let long = "x".repeat(70 << 10);
    assert_eq!(started.get(&format!("/{long}")).status, 414);
    let headers = ["a", "b", "c", "d"].map(|name| (name, long.as_str()));
    assert_eq!(
        Client::new(started.address)
            .ask("GET", "/echo", &headers, &[])
            .status,
        431
    );
    assert_eq!(client.ask("POST", "/echo", &[], b"x").status, 200);
}

#[test]
fn what_is_no_http_gets_400_and_the_surface_goes_on() {
    let started = Started::new(
        Router::new().route("/", get(|| async { "fine" })),
        Options::default(),
    );
    for garbage in [
        &b"\0\0\0\0\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(started.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.write_all(garbage).unwrap();
        let mut answer = Vec::new();
        // Reset instead of a graceful end is fine, too.
        let _ = stream.read_to_end(&mut answer);
        assert!(
            answer.is_empty() || answer.starts_with(b"HTTP/1.1 400"),
            "{answer:?}"
        );
    }
    assert_eq!(started.get("/").text(), "fine");
}

#[test]
fn a_stop_lets_requests_in_progress_end_and_takes_no_others() {
    let gate = Arc::new(Semaphore::new(0));
    let wait = Arc::clone(&gate);
    let (begin, begun) = std::sync::mpsc::channel();
    let handler = move || {
        begin.send(()).unwrap();
        async move {
            wait.acquire().await.unwrap().forget();
            "late"
        }
    };
    let mut started = Started::new(
        Router::new().route("/slow", get(handler)),
        Options::default(),
    );
    let address = started.address;
    let waiting = thread::spawn(move || Client::new(address).get("/slow"));
    begun.recv_timeout(DEADLINE).unwrap();
    let surface = started.surface.take().unwrap();
    let stopping = started.runtime.spawn(surface.stop());
    wait_until(|| TcpStream::connect(address).is_err());
    gate.add_permits(1);
    assert_eq!(waiting.join().unwrap().text(), "late");
    started.runtime.block_on(stopping).unwrap();
}

#[test]
fn a_taken_address_is_an_error_that_names_the_surface() {
    let started = Started::new(Router::new(), Options::default());
    let second = Surface::bind(
        "the Tempo API",
        started.address,
        Router::new(),
        Options::default(),
    );
    let error = started.runtime.block_on(second).unwrap_err();
    let expected = format!("the Tempo API cannot listen on {}", started.address);
    assert_eq!(error.to_string(), expected);
}

#[test]
fn metrics_are_rendered_for_what_the_client_accepts() {
    let options = Options {
        metrics: Some(Arc::new(|accept: Option<&str>| MetricsPage {
            content_type: "text/x-test",
            body: format!("{accept:?}").into(),
        })),
        ..Options::default()
    };
    let started = Started::new(Router::new(), options);
    let mut client = Client::new(started.address);
    let answer = client.ask(
        "GET",
        "/metrics",
        &[("accept", "a"), ("accept", "b;q=0.5")],
        &[],
    );
    assert_eq!(answer.text(), "Some(\"a, b;q=0.5\")");
    assert_eq!(answer.content_type, "text/x-test");
    assert_eq!(client.get("/metrics").text(), "None");
    let without = Started::new(Router::new(), Options::default());
    assert_eq!(without.get("/metrics").status, 404);
}

#[test]
fn requests_are_counted_by_route_and_status() {
    let handle = metrics();
    let routes = Router::new().route("/counted/{id}", get(|| async { "fine" }));
    let started = Started::new(routes, Options::default());
    for path in ["/counted/1", "/counted/2", "/not-counted-as-itself"] {
        started.get(path);
    }
    let page = handle.render(None).body;
    let count = "http_server_request_duration_seconds_count{";
    let of = |labels: &[&str]| {
        let has_all = |line: &&str| labels.iter().all(|label| line.contains(label));
        page.lines()
            .filter(|line| line.starts_with(count))
            .find(has_all)
            .map(str::to_owned)
    };
    let labels = [
        "http_route=\"/counted/{id}\"",
        "http_request_method=\"GET\"",
        "http_response_status_code=\"200\"",
    ];
    let line = of(&labels).unwrap_or_else(|| panic!("no such series in {page}"));
    assert!(line.ends_with(" 2"), "{line}");
    let unmatched = [
        "http_route=\"unmatched\"",
        "http_response_status_code=\"404\"",
    ];
    assert!(of(&unmatched).is_some(), "{page}");
    assert!(page.contains("http_server_active_requests{"), "{page}");
}
