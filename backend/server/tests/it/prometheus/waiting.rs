//! Queries that are slow: those behind them wait within their timeouts, and nobody's place is held for ever.

use std::{
    io::Write,
    net::{Shutdown, TcpStream},
    thread,
    time::{Duration, Instant},
};

use ::prometheus::{Configuration, Drive};
use server::prometheus::Options;

use super::world::Ours;
use crate::client::{Client, target};

const NOW_MS: i64 = 1_795_431_600_000;
const PATIENCE: Duration = Duration::from_secs(60);
const QUICK: &str = "/api/v1/query?query=1&timeout=50ms";
const QUEUE: &str =
    "{\"status\":\"error\",\"errorType\":\"timeout\",\"error\":\"query timed out in query queue\"}";

/// Room for one query at a time.
fn start() -> Ours {
    let configuration = Configuration::BuiltIn {
        path: "prometheus.yml".into(),
        config: "",
        rules: Vec::new(),
    };
    let options = Options {
        queries_max: 1,
        ..Options::default()
    };
    Ours::start(configuration, options, Drive::Calls, || NOW_MS)
}

/// A hundred times: sorts twenty thousand values five hundred times. It gets as far as its timeout allows.
fn slow(timeout: &str) -> String {
    let term = "quantile_over_time(0.5, vector(time())[20000s:1s])";
    let query = vec![term; 100].join(" + ");
    let parameters = [
        ("query", query.as_str()),
        ("start", "1795420000"),
        ("end", "1795420500"),
        ("step", "1"),
        ("timeout", timeout),
    ];
    target("/api/v1/query_range", &parameters)
}

/// Asks until the answer is as wanted.
fn wait_for(client: &mut Client, status: u16) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = client.get(QUICK);
        if answer.status == status {
            return answer.text().to_owned();
        }
        assert!(Instant::now() < deadline, "{}", answer.text());
    }
}

#[test]
fn who_waits_too_long_is_told_so_and_so_is_who_takes_too_long() {
    let ours = start();
    let mut client = Client::new(ours.address);
    let address = ours.address;
    let slow = thread::spawn(move || Client::new(address).get(&slow("2s")));
    assert_eq!(wait_for(&mut client, 503), QUEUE);
    let answer = slow.join().unwrap();
    assert_eq!(answer.status, 503);
    assert_eq!(
        answer.text(),
        QUEUE.replace("query queue", "expression evaluation")
    );
    assert!(wait_for(&mut client, 200).contains("scalar"));
}

#[test]
fn a_client_that_hangs_up_does_not_hold_its_place_for_ever() {
    let ours = start();
    let mut client = Client::new(ours.address);
    let mut gone = TcpStream::connect(ours.address).unwrap();
    let request = format!("GET {} HTTP/1.1\r\nhost: localhost\r\n\r\n", slow("2s"));
    gone.write_all(request.as_bytes()).unwrap();
    assert_eq!(wait_for(&mut client, 503), QUEUE);
    gone.shutdown(Shutdown::Both).unwrap();
    drop(gone);
    assert!(wait_for(&mut client, 200).contains("scalar"));
}
