//! The log files of one service, in the order in which they were written, kept until every destination has them.
//!
//! A file is known by its inode, so a rename is no change. Each is kept by a hard link of our own from the moment it is first seen:
//! when the log folder lets go of it, nothing is lost, also over a kill of this process, and no inode is met twice. The disk this may
//! take is bounded; what is let go beyond it is counted. What is read of the files, and how, is [`crate::tail`]'s matter.

use std::{
    collections::VecDeque,
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use crate::{
    names::{self, Named},
    tail::{self, Chunk, Cursor, Position},
};

/// Files of one service that are kept; each is held open.
const FILES_MAX: usize = 128;
/// Looks at a folder whose names are changing, before the next time.
const LOOKS_MAX: usize = 5;
/// Files that are linked but have no place yet.
const NEW_PREFIX: &str = "new-";

/// One service's files and where each destination is in them.
#[derive(Debug)]
pub(crate) struct Spool {
    pub(crate) service: String,
    logs: PathBuf,
    folder: PathBuf,
    bytes_max: u64,
    rules: tail::Rules,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// The oldest first.
    files: VecDeque<Held>,
    /// One for each destination.
    readers: Vec<Reader>,
    next: u64,
}

/// A file that is kept.
#[derive(Debug)]
pub(crate) struct Held {
    /// Its place in the order, counted from 1 and never used again.
    pub(crate) number: u64,
    inode: u64,
    pub(crate) file: File,
}

/// Files of the log folder that are not kept.
#[derive(Debug, PartialEq, Eq)]
struct Unknown {
    /// The newest first.
    files: Vec<Named>,
    /// Whether they come right behind those that are kept.
    follows: bool,
}

#[derive(Debug)]
struct Reader {
    cursor: Cursor,
    /// Everything before it was taken by the destination, durably.
    taken: Position,
    lost: Lost,
}

/// What was let go before a destination had it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) lines: u64,
    pub(crate) bytes: u64,
}

impl Spool {
    /// Files of `service` in `logs`, kept in `folder`. `taken` has the position of each destination; from the oldest file on where
    /// it is the default.
    pub(crate) fn open(
        service: &str,
        logs: &Path,
        folder: PathBuf,
        taken: impl Iterator<Item = Position>,
        bytes_max: u64,
        rules: tail::Rules,
    ) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        let files = kept(&folder)?;
        let readers = taken.map(Reader::at).collect::<Vec<_>>();
        // After the files that are gone, too.
        let seen = readers.iter().map(|reader| reader.taken.file);
        let next = seen.chain(files.iter().map(|held| held.number)).max();
        let inner = Inner {
            next: next.unwrap_or(0) + 1,
            files,
            readers,
        };
        Ok(Self {
            service: service.to_owned(),
            logs: logs.to_owned(),
            folder,
            bytes_max,
            rules,
            inner: Mutex::new(inner),
        })
    }

    /// The next lines for a destination; `None` if there are no whole ones yet.
    pub(crate) fn read(&self, destination: usize, now: SystemTime) -> io::Result<Option<Chunk>> {
        let mut inner = self.lock();
        let Inner { files, readers, .. } = &mut *inner;
        tail::read(files, &mut readers[destination].cursor, self.rules, now)
    }

    /// The destination has everything before `position`, and will not ask for it again even after a kill. Files that nobody needs
    /// any more are let go.
    pub(crate) fn taken(&self, destination: usize, position: Position) -> io::Result<()> {
        let mut inner = self.lock();
        inner.readers[destination].taken = position;
        let needed = inner.readers.iter().map(|reader| reader.taken.file).min();
        let needed = needed.unwrap_or(0);
        while inner.files.len() > 1 && inner.files[0].number < needed {
            let oldest = inner.files[0].number;
            remove(&self.path(oldest))?;
            inner.files.pop_front();
        }
        Ok(())
    }

    /// What a destination lost since this was asked last.
    pub(crate) fn lost(&self, destination: usize) -> Lost {
        std::mem::take(&mut self.lock().readers[destination].lost)
    }

    /// Bytes that a destination has not read.
    pub(crate) fn waiting(&self, destination: usize) -> u64 {
        let inner = self.lock();
        let position = inner.readers[destination].cursor.position;
        let waits = inner.files.iter().map(|held| match held.number {
            number if number > position.file => held.bytes(),
            number if number == position.file => held.bytes().saturating_sub(position.offset),
            _ => 0,
        });
        waits.sum()
    }

    /// Takes files that are new, and lets go the oldest when there is too much. To be called more often than files are deleted,
    /// whatever destinations do.
    pub(crate) fn look(&self) -> io::Result<()> {
        let mut inner = self.lock();
        let taken = self.take_new(&mut inner);
        // On a disk that is full nothing new can be linked, and the old must go all the more.
        self.bound(&mut inner).and(taken)
    }

    fn take_new(&self, inner: &mut Inner) -> io::Result<()> {
        for _ in 0..LOOKS_MAX {
            let unknown = self.unknown(inner)?;
            if unknown.files.is_empty() {
                break;
            }
            self.link(&unknown.files)?;
            // Their order is known only if no name has moved since.
            if self.unknown(inner)? == unknown {
                return self.adopt(inner, &unknown);
            }
        }
        Ok(())
    }

    fn unknown(&self, inner: &Inner) -> io::Result<Unknown> {
        let mut files = names::of_service(&self.logs, &self.service)?;
        let is_known = |named: &Named| inner.files.iter().any(|held| held.inode == named.inode);
        let known = files.iter().position(is_known);
        // What is older than one that is kept was let go: every destination has it.
        files.truncate(known.unwrap_or(files.len()));
        let follows = known.is_some() || inner.files.is_empty();
        Ok(Unknown { files, follows })
    }

    fn link(&self, found: &[Named]) -> io::Result<()> {
        for named in found {
            let link = self.new_path(named.inode);
            if link.exists() {
                continue;
            }
            match fs::hard_link(&named.path, &link) {
                Ok(()) => {}
                // The name has moved on, unless it is our folder that is gone.
                Err(error) if error.kind() == io::ErrorKind::NotFound && self.folder.exists() => {
                    continue;
                }
                Err(error) => return Err(error),
            }
            // The name may have moved to another file meanwhile.
            if fs::metadata(&link)?.ino() != named.inode {
                remove(&link)?;
            }
        }
        Ok(())
    }

    fn adopt(&self, inner: &mut Inner, unknown: &Unknown) -> io::Result<()> {
        if !unknown.follows {
            tracing::warn!(
                service = self.service,
                "log files were rotated away before they were seen, or moved by hand; lines may be missing"
            );
        }
        for named in unknown.files.iter().rev() {
            let link = self.new_path(named.inode);
            if !link.exists() {
                continue;
            }
            let number = inner.next;
            let path = self.path(number);
            fs::rename(&link, &path)?;
            inner.next += 1;
            inner.files.push_back(Held {
                number,
                inode: named.inode,
                file: File::open(&path)?,
            });
        }
        Ok(())
    }

    fn bound(&self, inner: &mut Inner) -> io::Result<()> {
        let mut bytes: u64 = inner.files.iter().map(Held::bytes).sum();
        while inner.files.len() > 1 && (bytes > self.bytes_max || inner.files.len() > FILES_MAX) {
            let Some(oldest) = inner.files.pop_front() else {
                break;
            };
            bytes -= oldest.bytes().min(bytes);
            for reader in &mut inner.readers {
                reader.pass(&oldest)?;
            }
            remove(&self.path(oldest.number))?;
        }
        Ok(())
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:016}"))
    }

    fn new_path(&self, inode: u64) -> PathBuf {
        self.folder.join(format!("{NEW_PREFIX}{inode}"))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    pub(crate) fn bytes(&self) -> u64 {
        // An open file has a length; should it not be told, nothing is taken for there.
        self.file.metadata().map_or(0, |file| file.len())
    }
}

impl Reader {
    fn at(taken: Position) -> Self {
        Self {
            cursor: Cursor::at(taken),
            taken,
            lost: Lost::default(),
        }
    }

    /// Counts what it has not read of a file that is let go.
    fn pass(&mut self, gone: &Held) -> io::Result<()> {
        let position = self.cursor.position;
        if position.file > gone.number {
            return Ok(());
        }
        let offset = match position.file == gone.number {
            true => position.offset,
            false => 0,
        };
        self.lost.bytes += gone.bytes().saturating_sub(offset);
        self.lost.lines += tail::count_lines(&gone.file, offset)?;
        self.cursor = Cursor::at(Position {
            file: gone.number + 1,
            ..Position::default()
        });
        Ok(())
    }
}

/// The files in a spool's folder. Those that have no place yet are seen anew in the log folder, and what is no file of ours stays.
fn kept(folder: &Path) -> io::Result<VecDeque<Held>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        if name.starts_with(NEW_PREFIX) {
            remove(&path)?;
        } else if let Ok(number) = name.parse() {
            let file = File::open(&path)?;
            let inode = file.metadata()?.ino();
            files.push(Held {
                number,
                inode,
                file,
            });
        }
    }
    files.sort_by_key(|held| held.number);
    Ok(files.into())
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests;
