//! A webhook that writes down what it is told, by path, and answers as the test wants.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    time::{Instant, sleep},
};

const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);

#[derive(Clone)]
pub(crate) struct Sink {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// By path, in the order of arrival, whatever was answered.
    requests: HashMap<String, Vec<Request>>,
    /// By path: answers to give before 200. 0 is none at all.
    answers: HashMap<String, Vec<u16>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub answer: u16,
    pub headers: Vec<String>,
    pub body: Value,
}

impl Sink {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sink = Self {
            address: listener.local_addr().unwrap(),
            state: Arc::default(),
        };
        let serving = sink.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serving.clone().serve(stream));
            }
        });
        sink
    }

    /// The next requests to this path get these answers, then 200.
    pub(crate) fn answer(&self, path: &str, answers: &[u16]) {
        let mut state = self.state.lock().unwrap();
        state.answers.insert(path.to_owned(), answers.to_vec());
    }

    pub(crate) fn requests(&self, path: &str) -> Vec<Request> {
        let state = self.state.lock().unwrap();
        state.requests.get(path).cloned().unwrap_or_default()
    }

    pub(crate) async fn wait_for(&self, path: &str, requests: usize) {
        let until = Instant::now() + PATIENCE;
        while self.requests(path).len() < requests {
            assert!(
                Instant::now() < until,
                "{path} has not been told {requests} times"
            );
            sleep(POLL).await;
        }
    }

    async fn serve(self, stream: TcpStream) {
        let (reader, mut writer) = stream.into_split();
        let mut reader = BufReader::new(reader);
        while let Some((path, headers)) = head(&mut reader).await {
            let length = headers.iter().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length")
                    .then(|| value.trim().parse().unwrap())
            });
            let mut body = vec![0; length.unwrap_or(0)];
            if reader.read_exact(&mut body).await.is_err() {
                return;
            }
            let answer = self.take(path, headers, &body);
            if answer == 0 {
                // Never, as long as the peer waits.
                let _ = reader.read_u8().await;
                return;
            }
            let text = format!("HTTP/1.1 {answer} X\r\nContent-Length: 0\r\n\r\n");
            if writer.write_all(text.as_bytes()).await.is_err() {
                return;
            }
        }
    }

    fn take(&self, path: String, headers: Vec<String>, body: &[u8]) -> u16 {
        let mut state = self.state.lock().unwrap();
        let answer = match state.answers.get_mut(&path) {
            Some(answers) if !answers.is_empty() => answers.remove(0),
            _ => 200,
        };
        let body = serde_json::from_slice(body).unwrap();
        let request = Request {
            answer,
            headers,
            body,
        };
        state.requests.entry(path).or_default().push(request);
        answer
    }
}

async fn head(
    reader: &mut BufReader<tokio::net::tcp::OwnedReadHalf>,
) -> Option<(String, Vec<String>)> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let path = lines.first()?.split(' ').nth(1)?.to_owned();
    Some((path, lines.split_off(1)))
}
