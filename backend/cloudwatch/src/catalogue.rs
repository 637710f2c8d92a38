//! Which groups and streams there are, and what is known of each: in memory, with every change in a journal.
//!
//! Events are not here. Time comes from outside, and so does the order of changes: a caller holds the one lock.

mod journal;

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use conventions::fields;
use serde::{Deserialize, Serialize};

use journal::{Journal, Record};

/// Groups at a time.
pub const GROUPS_MAX: usize = 10_000;
/// Streams at a time, of all groups together: about 300 bytes of memory each.
pub const STREAMS_MAX: usize = 100_000;
/// Bytes that the service adds to each event's message when it counts.
pub const EVENT_OVERHEAD_BYTES: u64 = 26;
/// Numbers of events that are left out at each start: as many as one request has, whose events may have been stored without a
/// record of it here.
const SEQUENCE_MARGIN: u64 = 10_000;

/// What is known of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) created_ms: i64,
    pub(crate) retention_days: Option<u32>,
}

/// What is known of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stream {
    pub(crate) group: String,
    pub(crate) name: String,
    /// Never given twice: a stream that is made again under its old name does not find its old events.
    pub(crate) id: u64,
    pub(crate) created_ms: i64,
    /// The number that the next event gets.
    pub(crate) sequence: u64,
    pub(crate) stored_bytes: u64,
    pub(crate) ingested: Option<Ingested>,
}

/// When a stream has events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ingested {
    pub(crate) first_event_ms: i64,
    pub(crate) last_event_ms: i64,
    pub(crate) last_ingestion_ms: i64,
}

/// Events that a stream has taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    pub(crate) events: u64,
    /// The number that the next event gets.
    pub(crate) sequence: u64,
    pub(crate) message_bytes: u64,
    pub(crate) times: Ingested,
}

/// Why a change is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChangeError {
    #[error("it exists")]
    Exists,
    #[error("it does not exist")]
    Missing,
    #[error("there are too many")]
    Full,
    #[error("cannot write the catalogue at {}", path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// All groups with their streams.
#[derive(Debug)]
pub(crate) struct Catalogue {
    dir: PathBuf,
    known: Known,
    journal: Journal,
}

/// What all records of a journal, one after the other, come to.
#[derive(Debug)]
struct Known {
    groups: BTreeMap<String, Entry>,
    /// Of all groups.
    streams: usize,
    next_id: u64,
}

#[derive(Debug)]
struct Entry {
    group: Group,
    streams: BTreeMap<String, Stream>,
}

/// What was found at opening.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CatalogueRecovery {
    /// Bytes after the last whole record, which were cut off.
    pub cut_bytes: u64,
}

impl Catalogue {
    /// Reads the journal in `dir`, or begins one.
    pub(crate) fn open(dir: &Path) -> io::Result<(Self, CatalogueRecovery)> {
        let (records, recovery) = journal::read(dir)?;
        let mut known = Known {
            groups: BTreeMap::new(),
            streams: 0,
            next_id: 1,
        };
        for record in records {
            known.apply(record);
        }
        for entry in known.groups.values_mut() {
            for stream in entry.streams.values_mut() {
                stream.sequence += SEQUENCE_MARGIN;
            }
        }
        // The margins are written too; outdated records and what is not whole are dropped.
        let catalogue = Self {
            dir: dir.to_owned(),
            journal: Journal::create(dir, known.records())?,
            known,
        };
        Ok((catalogue, recovery))
    }

    pub(crate) fn create_group(&mut self, name: &str, now_ms: i64) -> Result<(), ChangeError> {
        if self.known.groups.contains_key(name) {
            return Err(ChangeError::Exists);
        }
        if self.known.groups.len() >= GROUPS_MAX {
            return Err(ChangeError::Full);
        }
        self.change(Record::Group(Group {
            name: name.to_owned(),
            created_ms: now_ms,
            retention_days: None,
        }))
    }

    pub(crate) fn delete_group(&mut self, name: &str) -> Result<(), ChangeError> {
        self.group(name).ok_or(ChangeError::Missing)?;
        self.change(Record::GroupGone {
            name: name.to_owned(),
        })
    }

    pub(crate) fn set_retention(
        &mut self,
        name: &str,
        retention_days: Option<u32>,
    ) -> Result<(), ChangeError> {
        let group = self.group(name).ok_or(ChangeError::Missing)?;
        self.change(Record::Group(Group {
            retention_days,
            ..group.clone()
        }))
    }

    /// The group is there.
    pub(crate) fn create_stream(
        &mut self,
        group: &str,
        name: &str,
        now_ms: i64,
    ) -> Result<(), ChangeError> {
        if self.stream(group, name).is_some() {
            return Err(ChangeError::Exists);
        }
        if self.known.streams >= STREAMS_MAX {
            return Err(ChangeError::Full);
        }
        self.change(Record::Stream(Stream {
            group: group.to_owned(),
            name: name.to_owned(),
            id: self.known.next_id,
            created_ms: now_ms,
            sequence: 0,
            stored_bytes: 0,
            ingested: None,
        }))
    }

    pub(crate) fn delete_stream(&mut self, group: &str, name: &str) -> Result<(), ChangeError> {
        self.stream(group, name).ok_or(ChangeError::Missing)?;
        self.change(Record::StreamGone {
            group: group.to_owned(),
            name: name.to_owned(),
        })
    }

    /// Counts events that the stream has taken. They are stored: when this cannot be written they are counted all the same, so that
    /// no other event gets their numbers.
    pub(crate) fn count(
        &mut self,
        group: &str,
        name: &str,
        taken: Taken,
    ) -> Result<(), ChangeError> {
        let mut stream = self
            .stream(group, name)
            .ok_or(ChangeError::Missing)?
            .clone();
        stream.sequence = taken.sequence;
        stream.stored_bytes += taken.message_bytes + EVENT_OVERHEAD_BYTES * taken.events;
        let times = taken.times;
        stream.ingested = Some(stream.ingested.map_or(times, |known| Ingested {
            first_event_ms: known.first_event_ms.min(times.first_event_ms),
            last_event_ms: known.last_event_ms.max(times.last_event_ms),
            last_ingestion_ms: known.last_ingestion_ms.max(times.last_ingestion_ms),
        }));
        let record = Record::Stream(stream);
        let written = self.write(&record);
        self.known.apply(record);
        self.shorten();
        written
    }

    pub(crate) fn group(&self, name: &str) -> Option<&Group> {
        self.known.groups.get(name).map(|entry| &entry.group)
    }

    pub(crate) fn stream(&self, group: &str, name: &str) -> Option<&Stream> {
        self.known.groups.get(group)?.streams.get(name)
    }

    /// By name.
    pub(crate) fn groups(&self) -> impl Iterator<Item = &Group> {
        self.known.groups.values().map(|entry| &entry.group)
    }

    /// By name; none when there is no such group.
    pub(crate) fn streams(&self, group: &str) -> impl Iterator<Item = &Stream> {
        let entry = self.known.groups.get(group);
        entry.into_iter().flat_map(|entry| entry.streams.values())
    }

    /// On disk first: what cannot be written does not happen.
    fn change(&mut self, record: Record) -> Result<(), ChangeError> {
        self.write(&record)?;
        self.known.apply(record);
        self.shorten();
        Ok(())
    }

    fn write(&mut self, record: &Record) -> Result<(), ChangeError> {
        let written = self.journal.append(record);
        written.map_err(|source| ChangeError::Write {
            path: self.journal.path().to_owned(),
            source,
        })
    }

    /// A journal that cannot be written anew now is long until the next change.
    fn shorten(&mut self) {
        let living = self.known.groups.len() + self.known.streams;
        if !self.journal.is_long(living) {
            return;
        }
        match Journal::create(&self.dir, self.known.records()) {
            Ok(journal) => self.journal = journal,
            Err(error) => {
                tracing::warn!({ fields::ERROR } = %error, "the catalogue of log groups cannot be written anew");
            }
        }
    }
}

impl Known {
    fn apply(&mut self, record: Record) {
        match record {
            Record::NextId { id } => self.next_id = self.next_id.max(id),
            Record::Group(group) => match self.groups.get_mut(&group.name) {
                Some(entry) => entry.group = group,
                None => {
                    let name = group.name.clone();
                    let streams = BTreeMap::new();
                    self.groups.insert(name, Entry { group, streams });
                }
            },
            Record::GroupGone { name } => {
                let gone = self.groups.remove(&name);
                self.streams -= gone.map_or(0, |entry| entry.streams.len());
            }
            Record::Stream(stream) => {
                self.next_id = self.next_id.max(stream.id.saturating_add(1));
                if let Some(entry) = self.groups.get_mut(&stream.group) {
                    let known = entry.streams.insert(stream.name.clone(), stream);
                    self.streams += usize::from(known.is_none());
                }
            }
            Record::StreamGone { group, name } => {
                let entry = self.groups.get_mut(&group);
                let gone = entry.and_then(|entry| entry.streams.remove(&name));
                self.streams -= usize::from(gone.is_some());
            }
        }
    }

    /// The records that come to the same, without any that is outdated.
    fn records(&self) -> impl Iterator<Item = Record> {
        let next_id = Record::NextId { id: self.next_id };
        let entries = self.groups.values().flat_map(|entry| {
            let group = Record::Group(entry.group.clone());
            let streams = entry.streams.values().cloned().map(Record::Stream);
            std::iter::once(group).chain(streams)
        });
        std::iter::once(next_id).chain(entries)
    }
}
