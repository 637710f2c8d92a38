//! The plainest HTTP to speak with a collector. Also used by the benches.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

/// One connection that is kept.
pub(crate) struct Connection {
    address: SocketAddr,
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            address,
            stream,
            answer: Vec::new(),
        }
    }

    /// Posts protobuf and returns the status.
    pub(crate) fn post(&mut self, path: &str, body: &[u8]) -> u16 {
        let Self {
            address,
            stream,
            answer,
        } = self;
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/x-protobuf\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        read_answer(stream, answer);
        String::from_utf8_lossy(answer)
            .split(' ')
            .nth(1)
            .unwrap()
            .parse()
            .unwrap()
    }
}

/// Reads one answer whole, so that the connection can be used again.
fn read_answer(stream: &mut TcpStream, answer: &mut Vec<u8>) {
    answer.clear();
    let mut buffer = [0; 4096];
    loop {
        if let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
            if answer.len() >= end + 4 + length.unwrap_or(0) {
                return;
            }
        }
        let read = stream.read(&mut buffer).unwrap();
        assert!(read > 0, "the collector closed the connection");
        answer.extend_from_slice(&buffer[..read]);
    }
}

/// A small page.
pub(crate) fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    page
}
