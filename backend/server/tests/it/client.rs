//! The plainest HTTP client: one connection that is kept, so that a bench measures the server. Used by tests and benches.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// Longest wait for an answer that must come.
const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) struct Client {
    pub address: SocketAddr,
    connection: Option<BufReader<TcpStream>>,
}

/// What a server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub status: u16,
    pub content_type: String,
    /// All others, names in small letters.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            connection: None,
        }
    }

    pub(crate) fn get(&mut self, target: &str) -> Answer {
        self.ask("GET", target, &[], &[])
    }

    pub(crate) fn ask(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        // The server may have ended a connection that was idle for long.
        for _ in 0..2 {
            let mut connection = self
                .connection
                .take()
                .unwrap_or_else(|| connect(self.address));
            let Ok(answer) = exchange(&mut connection, method, target, headers, body) else {
                continue;
            };
            if !answer.closes {
                self.connection = Some(connection);
            }
            return answer.answer;
        }
        panic!("no answer to {method} {target}");
    }
}

/// A path with parameters.
pub(crate) fn target(path: &str, parameters: &[(&str, &str)]) -> String {
    let mut target = path.to_owned();
    for (index, (name, value)) in parameters.iter().enumerate() {
        target.push(if index == 0 { '?' } else { '&' });
        target.push_str(name);
        target.push('=');
        target.extend(utf8_percent_encode(value, NON_ALPHANUMERIC));
    }
    target
}

fn connect(address: SocketAddr) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    BufReader::new(stream)
}

struct Exchanged {
    answer: Answer,
    closes: bool,
}

fn exchange(
    connection: &mut BufReader<TcpStream>,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> std::io::Result<Exchanged> {
    let mut request = format!("{method} {target} HTTP/1.1\r\nhost: localhost\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        request.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    request.push_str("\r\n");
    connection.get_mut().write_all(request.as_bytes())?;
    connection.get_mut().write_all(body)?;
    read_answer(connection, method)
}

fn read_answer(connection: &mut BufReader<TcpStream>, method: &str) -> std::io::Result<Exchanged> {
    let status = line(connection)?;
    let status = status
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let status = status.ok_or(std::io::ErrorKind::UnexpectedEof)?;
    let (mut length, mut chunked, mut closes, mut content_type) = (0, false, false, String::new());
    let mut headers = Vec::new();
    loop {
        let header = line(connection)?;
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(':').unwrap();
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap(),
            "content-type" => content_type = value.to_owned(),
            "transfer-encoding" => chunked = value == "chunked",
            "connection" => closes = value == "close",
            other => headers.push((other.to_owned(), value.to_owned())),
        }
    }
    let mut body = Vec::new();
    if chunked {
        loop {
            let size = usize::from_str_radix(&line(connection)?, 16).unwrap();
            let start = body.len();
            body.resize(start + size, 0);
            connection.read_exact(&mut body[start..])?;
            line(connection)?;
            if size == 0 {
                break;
            }
        }
    } else if method != "HEAD" {
        body.resize(length, 0);
        connection.read_exact(&mut body)?;
    }
    Ok(Exchanged {
        answer: Answer {
            status,
            content_type,
            headers,
            body,
        },
        closes,
    })
}

fn line(connection: &mut BufReader<TcpStream>) -> std::io::Result<String> {
    let mut line = String::new();
    connection.read_line(&mut line)?;
    match line.pop() {
        Some('\n') => Ok(line.trim_end_matches('\r').to_owned()),
        _ => Err(std::io::ErrorKind::UnexpectedEof.into()),
    }
}
