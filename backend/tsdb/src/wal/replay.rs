//! Reading a log file after a restart: what is whole is given away, what is not is cut off or left out, and said.

use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, Read as _};
use std::path::Path;

use super::{FRAME_BYTES_MAX, FRAME_HEAD_BYTES, Item, MAGIC, frame};
use crate::Error;
use crate::bytes::Reader;

/// What a replay found besides items.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Replayed {
    /// Of the file, after the cut.
    pub(crate) bytes: u64,
    /// Bytes of an unfinished frame at the end, cut off.
    pub(crate) torn_bytes: u64,
    /// Bytes of frames in the middle whose checksum is wrong, left out.
    pub(crate) damaged_bytes: u64,
}

/// Gives every item of a file to `each` and cuts what is unfinished.
pub(crate) fn replay(path: &Path, each: &mut dyn FnMut(Item)) -> Result<Replayed, Error> {
    let file = OpenOptions::new().read(true).write(true).open(path);
    let file = file.map_err(Error::io("open", path))?;
    let length = file.metadata().map_err(Error::io("read", path))?.len();
    if length < MAGIC.len() as u64 {
        // Killed before the first bytes were there: nothing was acknowledged.
        fs::remove_file(path).map_err(Error::io("delete", path))?;
        return Ok(Replayed {
            torn_bytes: length,
            ..Replayed::default()
        });
    }
    let mut frames = Frames {
        reader: BufReader::with_capacity(1 << 20, &file),
        left: length,
        damaged_bytes: 0,
    };
    if !frames.magic().map_err(Error::io("read", path))? {
        return Err(Error::damaged(path, "it does not begin as a log"));
    }
    let mut body = Vec::new();
    while frames
        .next(&mut body, each)
        .map_err(Error::io("read", path))?
    {}
    let (torn_bytes, damaged_bytes) = (frames.left, frames.damaged_bytes);
    if torn_bytes > 0 {
        file.set_len(length - torn_bytes)
            .map_err(Error::io("cut", path))?;
    }
    Ok(Replayed {
        bytes: length - torn_bytes,
        torn_bytes,
        damaged_bytes,
    })
}

struct Frames<'f> {
    reader: BufReader<&'f File>,
    /// Bytes of the file after the last whole frame.
    left: u64,
    damaged_bytes: u64,
}

impl Frames<'_> {
    fn magic(&mut self) -> std::io::Result<bool> {
        let mut magic = [0; MAGIC.len()];
        self.reader.read_exact(&mut magic)?;
        self.left -= magic.len() as u64;
        Ok(magic == *MAGIC)
    }

    /// False when no whole frame is left.
    fn next(&mut self, body: &mut Vec<u8>, each: &mut dyn FnMut(Item)) -> std::io::Result<bool> {
        let Some(after_head) = self.left.checked_sub(FRAME_HEAD_BYTES as u64) else {
            return Ok(false);
        };
        let mut head = [0; FRAME_HEAD_BYTES];
        self.reader.read_exact(&mut head)?;
        let mut head = Reader(&head);
        let (Some(bytes), Some(checksum)) = (head.u32(), head.u32()) else {
            return Ok(false);
        };
        if bytes as usize > FRAME_BYTES_MAX || u64::from(bytes) > after_head {
            return Ok(false);
        }
        body.resize(bytes as usize, 0);
        self.reader.read_exact(body)?;
        let is_last = u64::from(bytes) == after_head;
        let is_whole = crc32fast::hash(body) == checksum;
        if !is_whole && is_last {
            return Ok(false);
        }
        if !is_whole || frame::read(body, each).is_none() {
            self.damaged_bytes += FRAME_HEAD_BYTES as u64 + u64::from(bytes);
        }
        self.left = after_head - u64::from(bytes);
        Ok(true)
    }
}
