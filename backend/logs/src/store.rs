//! The store: open, append, subscribe, retire. Synchronous; a caller on a runtime uses its blocking threads.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use blocks::{Record, Retired, Stats};
use tokio::sync::broadcast;
use tsdb::Labels;

use crate::{Error, Refused, Rules, own_metrics, record, scan, streams::Streams, terms};

/// Bytes of lines in one record: several fit into a page, and a record without a text is passed over as a whole.
const RECORD_BYTES: usize = 16 << 10;
/// Pushes that a subscriber may be behind; it is told how many it missed.
const SUBSCRIBER_PUSHES_MAX: usize = 1_024;

/// How much is kept, and by whose rules.
#[derive(Clone, Debug)]
pub struct Options {
    /// What metrics call this store.
    pub name: &'static str,
    /// A block whose newest line is older is deleted.
    pub retention: Duration,
    /// The oldest blocks are deleted while all files together are larger.
    pub disk_bytes_max: u64,
    pub rules: Rules,
    /// Further streams are refused.
    pub streams_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: "loki",
            retention: Duration::from_hours(31 * 24),
            disk_bytes_max: 20 << 30,
            rules: Rules::default(),
            streams_max: 10_000,
        }
    }
}

/// What was found when a store was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    pub blocks: u64,
    /// Groups of lines, in blocks and in the write-ahead log.
    pub records: u64,
    pub streams: u64,
    /// Bytes of an unfinished append, cut off: it was not acknowledged.
    pub torn_bytes: u64,
    /// Bytes of the log that were changed after they were written, left out.
    pub damaged_bytes: u64,
    /// Files that cannot be read, renamed so that they are not tried again. The one of streams is made anew of the others.
    pub damaged: Vec<PathBuf>,
}

/// Lines of one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push {
    pub labels: Labels,
    pub entries: Vec<NewEntry>,
}

/// A line to store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEntry {
    /// Unix nanoseconds.
    pub t_ns: i64,
    pub line: String,
    /// Structured metadata. Of several with one name the last counts.
    pub metadata: Vec<(String, String)>,
}

/// What became of an append.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Appended {
    pub stored: u64,
    /// Of lines and metadata that were stored.
    pub bytes: u64,
    /// The number of the push, the number of the entry in it, and why; in order.
    pub refused: Vec<(usize, usize, Refused)>,
}

/// Lines in the files of one directory. All methods may be called from several threads.
pub struct Store {
    pub(crate) blocks: blocks::Store,
    pub(crate) rules: Rules,
    state: Mutex<State>,
    options: Options,
    subscribers: broadcast::Sender<Arc<Push>>,
}

struct State {
    streams: Streams,
    /// Of the last record: what arrived later has a higher one. Over a restart that is because it follows the clock; if the clock
    /// was set back meanwhile, lines of the same nanosecond may change places.
    sequence: u64,
    /// Appends that failed since the last that did not.
    failures: u64,
}

impl Store {
    /// Opens the store of a directory, which is created when it is missing.
    ///
    /// # Errors
    /// Another process has it open, or files cannot be read or written.
    pub fn open(dir: &Path, options: Options) -> Result<(Self, Recovery), Error> {
        own_metrics::describe();
        fs::create_dir_all(dir).map_err(|source| Error::Io {
            path: dir.to_owned(),
            source,
        })?;
        let (blocks, found) = blocks::Store::open(
            &dir.join("blocks"),
            blocks::Options {
                retention: options.retention,
                disk_bytes_max: options.disk_bytes_max,
                ..blocks::Options::default()
            },
        )?;
        let (streams, aside) = Streams::open(dir, || scan::hours(&blocks))?;
        let recovery = Recovery {
            blocks: found.blocks,
            records: found.block_records + found.head_records,
            streams: streams.len() as u64,
            torn_bytes: found.torn_bytes,
            damaged_bytes: found.damaged_bytes,
            damaged: found.damaged.into_iter().chain(aside).collect(),
        };
        let store = Self {
            blocks,
            rules: options.rules,
            state: Mutex::new(State {
                streams,
                sequence: 0,
                failures: 0,
            }),
            options,
            subscribers: broadcast::channel(SUBSCRIBER_PUSHES_MAX).0,
        };
        Ok((store, recovery))
    }

    /// Stores the lines that may be, and says why others may not. What it says is stored survives a kill of the process.
    ///
    /// # Errors
    /// Nothing was stored.
    pub fn append(&self, pushes: Vec<Push>, now_ns: i64) -> Result<Appended, Error> {
        let begun = Instant::now();
        let mut state = self.state();
        let appended = self.try_append(&mut state, pushes, now_ns);
        state.say(&appended);
        drop(state);
        own_metrics::appended(self.options.name, &appended, begun.elapsed());
        appended
    }

    /// Every push from now on, as it was stored.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Push>> {
        self.subscribers.subscribe()
    }

    /// Deletes what is too old or too much. To be called about once a minute.
    ///
    /// # Errors
    /// A file cannot be deleted; the store no longer reads it all the same.
    pub fn retain(&self, now_ns: u64) -> Result<Retired, Error> {
        let retention_ns = i64::try_from(self.options.retention.as_nanos()).unwrap_or(i64::MAX);
        let now = i64::try_from(now_ns).unwrap_or(i64::MAX);
        self.state()
            .streams
            .forget(now.saturating_sub(retention_ns));
        let retired = self.blocks.retain(now_ns);
        own_metrics::measured(
            self.options.name,
            self.state().streams.len(),
            &self.blocks.stats(),
        );
        let retired = retired?;
        own_metrics::retired(self.options.name, &retired);
        Ok(retired)
    }

    pub fn stats(&self) -> Stats {
        self.blocks.stats()
    }

    /// Makes a block of what is in memory, and waits for it. Readers see no difference.
    ///
    /// # Errors
    /// The block cannot be written now.
    pub fn seal(&self) -> Result<(), Error> {
        Ok(self.blocks.seal()?)
    }

    fn try_append(
        &self,
        state: &mut State,
        pushes: Vec<Push>,
        now_ns: i64,
    ) -> Result<Appended, Error> {
        let mut appended = Appended::default();
        let mut taken = Vec::with_capacity(pushes.len());
        for (number, push) in pushes.into_iter().enumerate() {
            let push = self.judge(&state.streams, number, push, now_ns, &mut appended);
            if !push.entries.is_empty() {
                taken.push(push);
            }
        }
        let mut records = Vec::new();
        for push in &taken {
            let times = push.entries.iter().map(|entry| entry.t_ns);
            state.streams.note(&push.labels, times)?;
            let clock = u64::try_from(now_ns).unwrap_or(0);
            state.sequence = clock.max(state.sequence + 1);
            let mut entries = &push.entries[..];
            while !entries.is_empty() {
                let (part, rest) = entries.split_at(record_length(entries));
                records.push(Stored::new(&push.labels, state.sequence, part));
                state.sequence += 1;
                entries = rest;
            }
        }
        let records: Vec<Record<'_>> = records.iter().map(Stored::record).collect();
        self.blocks.append(&records)?;
        for push in taken {
            appended.stored += push.entries.len() as u64;
            appended.bytes += push.entries.iter().map(bytes).sum::<u64>();
            if let Some(newest) = push.entries.last() {
                state.streams.stored(&push.labels, newest.t_ns);
            }
            // Without subscribers there is nobody to tell.
            let _ = self.subscribers.send(Arc::new(push));
        }
        Ok(appended)
    }

    /// What may be stored of a push, in the order of time.
    fn judge(
        &self,
        streams: &Streams,
        number: usize,
        push: Push,
        now_ns: i64,
        appended: &mut Appended,
    ) -> Push {
        let mut refused = self.rules.labels(&push.labels);
        if refused.is_none()
            && !streams.has(&push.labels)
            && streams.len() >= self.options.streams_max
        {
            refused = Some(Refused::StreamLimit);
        }
        let mut newest_ns = streams.newest_ns(&push.labels);
        let mut entries = Vec::with_capacity(push.entries.len());
        for (index, mut entry) in push.entries.into_iter().enumerate() {
            if let Some(reason) = refused.or_else(|| self.rules.entry(&entry, newest_ns, now_ns)) {
                appended.refused.push((number, index, reason));
                continue;
            }
            newest_ns = newest_ns.max(Some(entry.t_ns));
            normalise(&mut entry.metadata);
            entries.push(entry);
        }
        entries.sort_by_key(|entry| entry.t_ns);
        Push {
            labels: push.labels,
            entries,
        }
    }

    pub(crate) fn state_streams<T>(&self, look: impl FnOnce(&Streams) -> T) -> T {
        look(&self.state().streams)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The first of several failures is logged, and that they are over.
    fn say(&mut self, appended: &Result<Appended, Error>) {
        match appended {
            Err(error) => {
                if self.failures == 0 {
                    tracing::error!(
                        error = error as &dyn std::error::Error,
                        "lines cannot be stored"
                    );
                }
                self.failures += 1;
            }
            Ok(_) if self.failures > 0 => {
                tracing::info!(failures = self.failures, "lines are stored again");
                self.failures = 0;
            }
            Ok(_) => {}
        }
    }
}

/// A record and what it borrows.
struct Stored {
    key: u64,
    time_ns: (u64, u64),
    terms: Vec<u64>,
    payload: Vec<u8>,
}

impl Stored {
    fn new(labels: &Labels, sequence: u64, entries: &[NewEntry]) -> Self {
        let of_labels = labels.iter().map(|(name, value)| terms::label(name, value));
        let metadata = entries.iter().flat_map(|entry| &entry.metadata);
        let of_metadata = metadata.map(|(name, value)| terms::metadata(name, value));
        let mut terms: Vec<u64> = of_labels.chain(of_metadata).collect();
        terms.sort_unstable();
        terms.dedup();
        let time = |entry: Option<&NewEntry>| entry.map_or(0, |entry| entry.t_ns.max(0) as u64);
        Self {
            // Nothing is looked up by it.
            key: blocks::hash(&sequence.to_le_bytes()),
            time_ns: (time(entries.first()), time(entries.last())),
            terms,
            payload: record::encode(labels, sequence, entries),
        }
    }

    fn record(&self) -> Record<'_> {
        Record {
            key: self.key,
            time_min_ns: self.time_ns.0,
            time_max_ns: self.time_ns.1,
            terms: &self.terms,
            payload: &self.payload,
        }
    }
}

/// How many entries make the first record: at least one.
fn record_length(entries: &[NewEntry]) -> usize {
    let mut size = 0;
    let fit = entries.iter().take_while(|entry| {
        let is_room = size < RECORD_BYTES;
        size += bytes(entry) as usize;
        is_room
    });
    fit.count().max(1)
}

fn bytes(entry: &NewEntry) -> u64 {
    let metadata = entry.metadata.iter();
    let metadata: usize = metadata.map(|(name, value)| name.len() + value.len()).sum();
    (entry.line.len() + metadata) as u64
}

/// By name, each once: the last of several.
fn normalise(metadata: &mut Vec<(String, String)>) {
    metadata.reverse();
    metadata.sort_by(|one, two| one.0.cmp(&two.0));
    metadata.dedup_by(|later, first| later.0 == first.0);
}
