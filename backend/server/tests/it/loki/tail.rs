//! Tails: what is there before and what comes, as the real Loki says it; refusals; slow clients; the end of the surface.

use std::{
    io::{BufRead, BufReader},
    net::{SocketAddr, TcpStream},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use peers::component;
use serde_json::{Value, json};
use tungstenite::{Message, WebSocket, client, error::Error, protocol::frame::coding::CloseCode};

use super::world::{Ours, now_ns, push, real, wait_until_it_answers};
use crate::client::{Client, target};

const PATIENCE: Duration = Duration::from_secs(30);

type Tail = WebSocket<TcpStream>;

/// Shakes hands; the status and the text of a refusal.
fn tail(address: SocketAddr, parameters: &[(&str, &str)]) -> Result<Tail, (u16, String)> {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let path = target("/loki/api/v1/tail", parameters);
    match client(format!("ws://{address}{path}"), stream) {
        Ok((tail, _)) => Ok(tail),
        Err(tungstenite::HandshakeError::Failure(Error::Http(response))) => {
            let body = response.body().clone().unwrap_or_default();
            let text = String::from_utf8(body).unwrap();
            Err((response.status().as_u16(), text.trim().to_owned()))
        }
        Err(error) => panic!("{error}"),
    }
}

/// The next message with lines, or how it ended.
fn next(tail: &mut Tail) -> Result<Value, Option<(CloseCode, String)>> {
    loop {
        match tail.read() {
            Ok(Message::Text(text)) => return Ok(serde_json::from_str(&text).unwrap()),
            Ok(Message::Close(frame)) => {
                return Err(frame.map(|frame| (frame.code, frame.reason.to_string())));
            }
            Ok(_) => {}
            Err(_) => return Err(None),
        }
    }
}

/// Lines of messages until there are so many.
fn lines(tail: &mut Tail, count: usize) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    while lines.len() < count {
        let message = next(tail).unwrap();
        for stream in message["streams"].as_array().unwrap() {
            for value in stream["values"].as_array().unwrap() {
                let labels = stream["stream"].to_string();
                lines.push((labels, value[1].as_str().unwrap().to_owned()));
            }
        }
    }
    lines
}

fn pushed(client: &mut Client, service: &str, texts: &[&str]) {
    let values: Vec<Value> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| {
            let t_ns = now_ns() + index as i64;
            json!([t_ns.to_string(), text])
        })
        .collect();
    let body = json!({"streams": [{"stream": {"service": service}, "values": values}]});
    let deadline = Instant::now() + PATIENCE;
    // The real one needs a while before it takes anything.
    while push(client, &body).status != 204 {
        assert!(Instant::now() < deadline);
    }
}

/// What a client sees: lines from before and those that come, and every refusal.
fn seen(address: SocketAddr) -> Vec<String> {
    let mut client = Client::new(address);
    pushed(&mut client, "gateway", &["one", "two level=info", "three"]);
    let range = target(
        "/loki/api/v1/query_range",
        &[("query", r#"{service="gateway"}"#)],
    );
    wait_until_it_answers(&mut client, &range);
    let mut seen = Vec::new();
    for parameters in [
        &[("query", r#"{service="gateway"}"#), ("limit", "2")][..],
        &[("query", r#"{service="gateway"} |= "two""#)],
        &[(
            "query",
            r#"{service="gateway"} | logfmt | line_format "{{.level}}!""#,
        )],
        &[("query", r#"{service="gateway"}"#), ("delay_for", "1")],
    ] {
        // What is younger than `delay_for` comes later.
        thread::sleep(Duration::from_millis(1_200));
        let mut tail = tail(address, parameters).unwrap();
        let first = next(&mut tail).unwrap();
        let shown = first["streams"].as_array().unwrap().iter().map(|stream| {
            let stream: &Value = stream;
            format!("{} {}", stream["stream"], stream["values"][0][1])
        });
        seen.extend(shown);
        pushed(&mut client, "worker", &["of somebody else"]);
        pushed(&mut client, "gateway", &["four level=warn two"]);
        seen.extend(lines(&mut tail, 1).into_iter().map(|(_, line)| line));
    }
    let mut of_numbers = tail(address, &[("query", r#"rate({service="gateway"}[1m])"#)]).unwrap();
    seen.push(format!("{:?}", next(&mut of_numbers)));
    for parameters in [
        &[][..],
        &[("query", "{service=")],
        &[("query", r#"{service=~".*"}"#)],
        &[("query", r#"{service="gateway"}"#), ("limit", "x")],
        &[("query", r#"{service="gateway"}"#), ("limit", "0")],
        &[("query", r#"{service="gateway"}"#), ("delay_for", "6")],
        &[("query", r#"{service="gateway"}"#), ("delay_for", "x")],
    ] {
        seen.push(format!("{:?}", tail(address, parameters).err()));
    }
    let path = target("/loki/api/v1/tail", &[("query", r#"{service="gateway"}"#)]);
    let answer = client.get(&path);
    seen.push(format!("{} {}", answer.status, answer.text()));
    seen
}

#[test]
fn a_tail_is_that_of_the_real_loki() {
    let ours = Ours::start();
    let shown = seen(ours.address);
    for part in [
        "\"three\"",
        "info!",
        "only log selector is supported",
        "delay_for can't",
    ] {
        assert!(
            shown.iter().any(|line| line.contains(part)),
            "{part}: {shown:#?}"
        );
    }
    if let Some(real) = real() {
        assert_eq!(shown, seen(real.address));
    }
}

#[test]
fn a_client_too_many_is_refused_and_a_gone_one_makes_room() {
    let ours = Ours::start();
    let parameters = [("query", r#"{service="gateway"}"#)];
    let mut tails: Vec<Tail> = (0..10)
        .map(|_| tail(ours.address, &parameters).unwrap())
        .collect();
    let mut further = tail(ours.address, &parameters).unwrap();
    let (code, reason) = next(&mut further).unwrap_err().unwrap();
    assert_eq!(code, CloseCode::Error);
    assert!(reason.contains("max concurrent tail requests"), "{reason}");
    drop(tails.pop());
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut again = tail(ours.address, &parameters).unwrap();
        pushed(&mut Client::new(ours.address), "gateway", &["here"]);
        if next(&mut again).is_ok() {
            break;
        }
        assert!(Instant::now() < deadline, "there is no room again");
    }
}

#[test]
fn a_slow_client_is_told_what_it_missed_and_the_others_miss_nothing() {
    let ours = Ours::start();
    let parameters = [("query", r#"{service="gateway"}"#)];
    let mut slow = tail(ours.address, &parameters).unwrap();
    let mut quick = tail(ours.address, &parameters).unwrap();
    let mut client = Client::new(ours.address);
    let long = "x".repeat(100_000);
    let mut count = 0;
    // Sockets hold some megabytes, and the queue some messages.
    for _ in 0..300 {
        pushed(&mut client, "gateway", &[&long]);
        count += 1;
        assert_eq!(lines(&mut quick, 1).len(), 1);
    }
    let (mut read, mut dropped) = (0, 0);
    while read + dropped < count {
        // What is missed is told with the next message.
        pushed(&mut client, "gateway", &["next"]);
        count += 1;
        let message = next(&mut slow).unwrap();
        read += message["streams"].as_array().unwrap().len();
        let entries = message["dropped_entries"].as_array();
        dropped += entries.map_or(0, Vec::len);
        for entry in entries.into_iter().flatten() {
            assert_eq!(entry["labels"]["service"], "gateway");
        }
    }
    assert!(dropped > 0, "{read} read, none missed");
    assert_eq!(read + dropped, count);
}

#[test]
fn a_tail_ends_with_its_surface() {
    let ours = Ours::start();
    let mut tail = tail(ours.address, &[("query", r#"{service="gateway"}"#)]).unwrap();
    drop(ours);
    let ended = next(&mut tail).unwrap_err();
    assert!(ended.is_none_or(|(code, _)| code == CloseCode::Away));
}

#[test]
fn logcli_tails_ours() {
    let Some(program) = component("logcli") else {
        return;
    };
    let ours = Ours::start();
    let mut client = Client::new(ours.address);
    pushed(&mut client, "gateway", &["from before"]);
    let mut process = Command::new(program)
        .env("LOKI_ADDR", format!("http://{}", ours.address))
        .args([
            "query",
            "--tail",
            "--quiet",
            "--output=raw",
            r#"{service="gateway"}"#,
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut printed = BufReader::new(process.stdout.take().unwrap()).lines();
    assert_eq!(printed.next().unwrap().unwrap(), "from before");
    pushed(&mut client, "gateway", &["as it comes"]);
    assert_eq!(printed.next().unwrap().unwrap(), "as it comes");
    process.kill().unwrap();
    process.wait().unwrap();
}
