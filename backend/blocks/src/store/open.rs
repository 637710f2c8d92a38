//! Opening a directory: what is whole is taken, what is unfinished cut off, what is damaged set aside.

use std::collections::HashSet;
use std::fs::{self, File, TryLockError};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, RwLock};

use super::files::{Files, Found};
use super::{Inner, Options, Recovery, State, in_blocks};
use crate::Error;
use crate::block::{self, Block};
use crate::head::Head;
use crate::snapshot::Shared;
use crate::wal::Log;

pub(super) fn open(dir: &Path, options: Options) -> Result<(Inner, Recovery), Error> {
    fs::create_dir_all(dir).map_err(Error::io("create", dir))?;
    let files = Files::new(dir);
    let lock = lock(&files.lock())?;
    let found = files.list()?;
    for path in &found.temporary {
        fs::remove_file(path).map_err(Error::io("delete", path))?;
    }
    let mut opening = Opening {
        files,
        recovery: Recovery::default(),
        blocks: Vec::new(),
    };
    opening.blocks(&found)?;
    let state = opening.logs(&found)?;
    let mut split = HashSet::new();
    for block in state.blocks.iter() {
        split.extend(block.split()?);
    }
    let readers = Shared {
        split: RwLock::new(split),
        ..Shared::default()
    };
    let inner = Inner {
        files: opening.files,
        options,
        readers: Arc::new(readers),
        state: Mutex::new(state),
        changed: Condvar::new(),
        lock,
    };
    Ok((inner, opening.recovery))
}

/// One process at a time.
fn lock(path: &Path) -> Result<File, Error> {
    let file = File::create(path).map_err(Error::io("create", path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::InUse {
            path: path.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(Error::io("lock", path)(source)),
    }
}

struct Opening {
    files: Files,
    recovery: Recovery,
    blocks: Vec<Arc<Block>>,
}

impl Opening {
    fn blocks(&mut self, found: &Found) -> Result<(), Error> {
        for number in &found.blocks {
            let path = self.files.block(*number);
            // Its list of split keys is read once here, so that a damaged one is found now.
            match Block::open(&path, *number).and_then(|block| block.split().map(|_| block)) {
                Ok(block) => {
                    self.recovery.block_records += block.records();
                    self.blocks.push(Arc::new(block));
                }
                Err(Error::Damaged { .. }) => {
                    let aside = self.files.set_aside(&path)?;
                    self.recovery.damaged.push(aside);
                }
                Err(error) => return Err(error),
            }
        }
        self.recovery.blocks = self.blocks.len() as u64;
        Ok(())
    }

    /// All logs but the last become blocks, the last goes on.
    fn logs(&mut self, found: &Found) -> Result<State, Error> {
        let mut open: Option<(u64, Log, Head)> = None;
        for number in &found.logs {
            let path = self.files.log(*number);
            if self.blocks.iter().any(|block| block.number == *number) {
                fs::remove_file(&path).map_err(Error::io("delete", &path))?;
                continue;
            }
            if let Some((before, log, head)) = open.take() {
                self.seal(before, &log, head)?;
            }
            open = self
                .replay(*number)?
                .map(|(log, head)| (*number, log, head));
        }
        let (number, log, head) = match open {
            Some(open) => open,
            None => self.begin(found)?,
        };
        Ok(State {
            log,
            number,
            head,
            head_seen_ns: None,
            sealing: None,
            has_failed_to_roll: false,
            blocks: Arc::new(std::mem::take(&mut self.blocks)),
            is_closing: false,
        })
    }

    fn begin(&self, found: &Found) -> Result<(u64, Log, Head), Error> {
        let last = found.logs.iter().chain(&found.blocks).max();
        let number = last.map_or(1, |last| last + 1);
        Ok((
            number,
            Log::create(self.files.log(number))?,
            Head::default(),
        ))
    }

    fn seal(&mut self, number: u64, log: &Log, head: Head) -> Result<(), Error> {
        let path = self.files.block(number);
        if head.records() > 0 {
            block::write(&head.freeze(), &self.files.temporary(number), &path)?;
            self.blocks.push(Arc::new(Block::open(&path, number)?));
        }
        fs::remove_file(log.path()).map_err(Error::io("delete", log.path()))
    }

    /// `None` when the file is no log at all; it is set aside then.
    fn replay(&mut self, number: u64) -> Result<Option<(Log, Head)>, Error> {
        let path = self.files.log(number);
        let mut head = Head::default();
        let blocks = &self.blocks;
        let replayed = Log::replay(path.clone(), |record| {
            let is_older = in_blocks(blocks, record.key);
            head.push(record, is_older);
        });
        match replayed {
            Ok((log, replayed)) => {
                self.recovery.head_records += u64::from(head.records());
                self.recovery.torn_bytes += replayed.torn_bytes;
                self.recovery.damaged_bytes += replayed.damaged_bytes;
                Ok(Some((log, head)))
            }
            Err(Error::Damaged { .. }) => {
                let aside = self.files.set_aside(&path)?;
                self.recovery.damaged.push(aside);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}
