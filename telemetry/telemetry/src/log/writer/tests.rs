//! The account of lines, and outputs that are slow, full, closed or broken in the middle of a line.
#![allow(clippy::unwrap_used)]

use std::sync::mpsc::{self, Receiver, Sender};

use super::*;

const LONG: Duration = Duration::from_secs(20);

/// An output whose every call is answered by the test.
struct Scripted<F> {
    answer: F,
    written: Sender<Vec<u8>>,
}

impl<F: FnMut(usize) -> io::Result<usize>> Write for Scripted<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = (self.answer)(bytes.len())?;
        let _ = self.written.send(bytes[..count].to_vec());
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn start(
    bytes_max: usize,
    answer: impl FnMut(usize) -> io::Result<usize> + Send + 'static,
) -> (Writer, Receiver<Vec<u8>>) {
    let (written, receiver) = mpsc::channel();
    let output = LogOutput::Writer(Box::new(Scripted { answer, written }));
    (Writer::start(output, bytes_max).unwrap(), receiver)
}

fn flushed(writer: &Writer) -> [u64; 3] {
    assert!(writer.flush(Instant::now() + LONG));
    let LogLines {
        written,
        failed,
        dropped,
    } = writer.totals();
    [written, failed, dropped]
}

fn text(receiver: &Receiver<Vec<u8>>) -> String {
    let bytes: Vec<u8> = receiver.try_iter().flatten().collect();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn lines_of_many_threads_arrive_whole_and_are_counted() {
    let (writer, receiver) = start(usize::MAX, Ok);
    thread::scope(|scope| {
        for number in 0..4 {
            let writer = writer.clone();
            scope.spawn(move || {
                for line in 0..500 {
                    assert!(writer.push(format!("{number} {line}\n").as_bytes()));
                }
            });
        }
    });
    assert_eq!(flushed(&writer), [2_000, 0, 0]);
    let text = text(&receiver);
    for number in 0..4 {
        let own = text
            .lines()
            .filter_map(|line| line.strip_prefix(&format!("{number} ")));
        assert!(own.map(|line| line.parse::<u32>().unwrap()).eq(0..500));
    }
}

#[test]
fn an_output_that_takes_a_byte_at_a_time_gets_everything() {
    let (writer, receiver) = start(usize::MAX, |_| Ok(1));
    writer.push(b"one\n");
    writer.push(b"two\n");
    assert_eq!(flushed(&writer), [2, 0, 0]);
    assert_eq!(text(&receiver), "one\ntwo\n");
}

#[test]
fn a_stalled_output_makes_the_queue_drop_and_nobody_wait() {
    let (release, released) = mpsc::channel::<()>();
    let (started, has_started) = mpsc::channel();
    let (writer, receiver) = start(10, move |length| {
        let _ = started.send(());
        let _ = released.recv();
        Ok(length)
    });
    assert!(writer.push(b"aaaa\n"));
    has_started.recv_timeout(LONG).unwrap();
    // The line under way counts: five of ten bytes are taken.
    assert!(writer.push(b"bbbb\n"));
    assert!(!writer.push(b"c\n"));
    assert!(!writer.flush(Instant::now() + Duration::from_millis(20)));
    drop(release);
    assert_eq!(flushed(&writer), [2, 0, 1]);
    assert_eq!(text(&receiver), "aaaa\nbbbb\n");
}

#[test]
fn lines_an_output_refuses_have_failed_and_later_ones_are_written() {
    let mut calls = 0;
    let (writer, receiver) = start(usize::MAX, move |length| {
        calls += 1;
        match calls {
            1 | 2 => Err(ErrorKind::StorageFull.into()),
            _ => Ok(length),
        }
    });
    writer.push(b"lost\n");
    assert_eq!(flushed(&writer), [0, 1, 0]);
    writer.push(b"lost too\n");
    assert_eq!(flushed(&writer), [0, 2, 0]);
    writer.push(b"written\n");
    assert_eq!(flushed(&writer), [1, 2, 0]);
    assert_eq!(text(&receiver), "written\n");
}

#[test]
fn a_line_that_was_cut_does_not_spoil_the_next_one() {
    let mut calls = 0;
    let (writer, receiver) = start(usize::MAX, move |length| {
        calls += 1;
        match calls {
            1 => Ok(7),
            2 => Err(ErrorKind::StorageFull.into()),
            _ => Ok(length),
        }
    });
    // Three lines in one push are surely one batch.
    writer.push(b"whole\ncut\nnever\n");
    assert!(writer.flush(Instant::now() + LONG));
    writer.push(b"next\n");
    assert!(writer.flush(Instant::now() + LONG));
    assert_eq!(text(&receiver), "whole\nc\nnext\n");
}

#[test]
fn interrupted_and_full_pipes_are_tried_again() {
    let mut calls = 0;
    let (writer, receiver) = start(usize::MAX, move |length| {
        calls += 1;
        match calls {
            1 => Err(ErrorKind::Interrupted.into()),
            2 => Err(ErrorKind::WouldBlock.into()),
            _ => Ok(length),
        }
    });
    writer.push(b"patience\n");
    assert_eq!(flushed(&writer), [1, 0, 0]);
    assert_eq!(text(&receiver), "patience\n");
}

#[test]
fn an_output_that_takes_nothing_is_a_failure_not_a_loop() {
    let (writer, _receiver) = start(usize::MAX, |_| Ok(0));
    writer.push(b"nowhere\n");
    assert_eq!(flushed(&writer), [0, 1, 0]);
}

#[test]
fn a_closed_pipe_is_a_failure_not_a_panic() {
    let (reader, output) = io::pipe().unwrap();
    drop(reader);
    let writer = Writer::start(LogOutput::Writer(Box::new(output)), usize::MAX).unwrap();
    writer.push(b"nobody reads\n");
    assert_eq!(flushed(&writer), [0, 1, 0]);
    writer.push(b"still nobody\n");
    assert_eq!(flushed(&writer), [0, 2, 0]);
}

#[test]
fn a_flush_of_nothing_returns_at_once() {
    let (writer, _receiver) = start(usize::MAX, Ok);
    assert!(writer.flush(Instant::now()));
}
