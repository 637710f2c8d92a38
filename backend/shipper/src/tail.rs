//! What comes next in the files of a service: whole lines, wherever files are rotated, truncated, or end in the middle of a line.
//!
//! A state machine over files that are held open and a time that is given to it. It knows nothing of names and destinations.

use std::{
    collections::VecDeque,
    fs::File,
    io,
    os::unix::fs::FileExt,
    time::{Duration, SystemTime},
};

use crate::spool::Held;

/// Bytes that are looked at together when lines are only counted.
const COUNT_BYTES: usize = 64 << 10;

/// Behind so many bytes of that file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Position {
    pub(crate) file: u64,
    pub(crate) offset: u64,
    /// In the rest of a line whose beginning was read and was too long.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_skipping: bool,
}

/// Where one destination reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) position: Position,
    /// The length of the file when it ended in the middle of a line, and since when it has that length.
    unfinished: Option<(u64, SystemTime)>,
}

/// How much is read, and how long is waited for more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// Bytes that are read together.
    pub(crate) bytes_max: usize,
    /// A line that does not end is taken as it is after this.
    pub(crate) unfinished_max: Duration,
    /// A file that was rotated away is left when nobody has written to it for this long.
    pub(crate) quiet_min: Duration,
}

/// Lines that were read, each with its line break but perhaps the last, and how far.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(crate) bytes: Vec<u8>,
    pub(crate) end: Position,
}

impl Cursor {
    pub(crate) fn at(position: Position) -> Self {
        Self {
            position,
            unfinished: None,
        }
    }
}

/// The next lines, as many as may be read together. Of a line that is longer the beginning is read and the rest passed over.
pub(crate) fn read(
    files: &VecDeque<Held>,
    cursor: &mut Cursor,
    rules: Rules,
    now: SystemTime,
) -> io::Result<Option<Chunk>> {
    let first = files.partition_point(|held| held.number < cursor.position.file);
    for (at, held) in files.iter().enumerate().skip(first) {
        if held.number != cursor.position.file {
            *cursor = Cursor::at(Position {
                file: held.number,
                ..Position::default()
            });
        }
        let is_over = at + 1 < files.len() && is_quiet(&held.file, rules, now)?;
        let chunk = read_file(&held.file, cursor, is_over, rules, now)?;
        if chunk.is_some() || !is_over {
            return Ok(chunk);
        }
    }
    Ok(None)
}

/// The next lines of one file. Nothing more comes to one that is over, so its end is the end of a line.
fn read_file(
    file: &File,
    cursor: &mut Cursor,
    is_over: bool,
    rules: Rules,
    now: SystemTime,
) -> io::Result<Option<Chunk>> {
    let position = &mut cursor.position;
    let length = file.metadata()?.len();
    if length < position.offset {
        // Truncated: it is written anew.
        position.offset = 0;
        position.is_skipping = false;
    }
    let mut bytes = Vec::new();
    loop {
        let there = length.saturating_sub(position.offset);
        bytes.resize(there.min(rules.bytes_max as u64) as usize, 0);
        let read = read_at(file, &mut bytes, position.offset)?;
        bytes.truncate(read);
        if bytes.is_empty() {
            return Ok(None);
        }
        if !position.is_skipping {
            break;
        }
        let end = memchr::memchr(b'\n', &bytes).map(|at| at + 1);
        position.is_skipping = end.is_none();
        position.offset += end.unwrap_or(read) as u64;
    }
    let whole = memchr::memrchr(b'\n', &bytes).map(|at| at + 1);
    let end = match whole {
        Some(end) => end,
        None if bytes.len() == rules.bytes_max => {
            position.is_skipping = true;
            bytes.len()
        }
        None if is_over || has_waited(cursor, length, rules, now) => bytes.len(),
        None => return Ok(None),
    };
    bytes.truncate(end);
    cursor.unfinished = None;
    cursor.position.offset += end as u64;
    let end = cursor.position;
    Ok(Some(Chunk { bytes, end }))
}

/// Whether the file ends in the middle of a line for long enough.
fn has_waited(cursor: &mut Cursor, length: u64, rules: Rules, now: SystemTime) -> bool {
    match cursor.unfinished {
        Some((then, since)) if then == length => {
            // A clock that goes back begins the wait anew.
            match now.duration_since(since) {
                Ok(waited) => waited >= rules.unfinished_max,
                Err(_) => {
                    cursor.unfinished = Some((length, now));
                    false
                }
            }
        }
        _ => {
            cursor.unfinished = Some((length, now));
            false
        }
    }
}

/// Whoever still had the file open when it was renamed has written what was to be written. A time that is yet to come says nothing.
fn is_quiet(file: &File, rules: Rules, now: SystemTime) -> io::Result<bool> {
    let written = file.metadata()?.modified()?;
    Ok(now
        .duration_since(written)
        .map_or(true, |quiet| quiet >= rules.quiet_min))
}

/// Lines from `offset` on; an end in the middle of one is a line.
pub(crate) fn count_lines(file: &File, mut offset: u64) -> io::Result<u64> {
    let mut bytes = vec![0; COUNT_BYTES];
    let (mut lines, mut is_within) = (0, false);
    loop {
        let read = read_at(file, &mut bytes, offset)?;
        let Some(last) = bytes[..read].last() else {
            return Ok(lines + u64::from(is_within));
        };
        lines += memchr::memchr_iter(b'\n', &bytes[..read]).count() as u64;
        is_within = *last != b'\n';
        offset += read as u64;
    }
}

/// Fills as much as there is.
fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut read = 0;
    while read < bytes.len() {
        match file.read_at(&mut bytes[read..], offset + read as u64) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}
