//! Opening: lock the directory, open blocks, replay logs. What is damaged is set aside and said.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, RwLock};

use super::appender::Appender;
use super::{Inner, Options, PAGE_CACHE_BYTES_MAX, Recovery, View};
use crate::block::{self, Block, PageCache};
use crate::exemplars::Exemplars;
use crate::head::Head;
use crate::wal::{self, Item, Log, OldLog};
use crate::{Error, ExemplarOutcome, Labels, Sample};

pub(super) fn open(dir: &Path, options: Options) -> Result<(Inner, Recovery), Error> {
    fs::create_dir_all(dir).map_err(Error::io("create", dir))?;
    let lock = lock(dir)?;
    let mut files = Files::list(dir)?;
    let mut recovery = Recovery::default();
    let cache = Arc::new(PageCache::new(PAGE_CACHE_BYTES_MAX));
    let blocks = open_blocks(&files.blocks, &cache, &mut recovery)?;
    let valid_from = blocks.iter().map(|block| block.footer.end_ms).max();
    let next = files.logs.last().map_or(1, |(number, _)| number + 1);
    let mut replay = Replay {
        appender: Appender::new(Log::create(dir, next)?, Vec::new(), valid_from),
        head: Head::default(),
        exemplars: Exemplars::new(options.exemplars_max),
        recovery,
        places: HashMap::new(),
        t_max: i64::MIN,
    };
    replay.head.valid_from = valid_from;
    for (_, path) in files.logs.drain(..) {
        replay.file(path)?;
    }
    let Replay {
        mut appender,
        head,
        exemplars,
        mut recovery,
        ..
    } = replay;
    appender.t_min = head.t_min();
    appender.is_due = appender.due().is_some();
    recovery.head_series = appender.series() as u64;
    recovery.exemplars = exemplars.len() as u64;
    let inner = Inner {
        dir: dir.to_owned(),
        options,
        cache,
        appender: Mutex::new(appender),
        view: RwLock::new(View {
            head,
            blocks: Arc::new(blocks),
        }),
        changed: Condvar::new(),
        cutting: Mutex::default(),
        exemplars: Mutex::new(exemplars),
        metadata: Mutex::default(),
        lock,
    };
    Ok((inner, recovery))
}

fn lock(dir: &Path) -> Result<File, Error> {
    let path = dir.join("lock");
    let file = File::create(&path).map_err(Error::io("create", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::InUse {
            path: dir.to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(Error::io("lock", &path)(error)),
    }
}

/// In the order of their names.
#[derive(Default)]
struct Files {
    blocks: Vec<PathBuf>,
    logs: Vec<(u64, PathBuf)>,
}

impl Files {
    /// Removes unfinished blocks on the way: their samples are in the logs.
    fn list(dir: &Path) -> Result<Self, Error> {
        let mut files = Self::default();
        for entry in fs::read_dir(dir).map_err(Error::io("list", dir))? {
            let path = entry.map_err(Error::io("list", dir))?.path();
            match path.extension().and_then(OsStr::to_str) {
                Some("block") => files.blocks.push(path),
                Some("log") => files
                    .logs
                    .extend(number(&path).map(|number| (number, path))),
                Some("tmp") => fs::remove_file(&path).map_err(Error::io("delete", &path))?,
                _ => {}
            }
        }
        files.blocks.sort();
        files.logs.sort();
        Ok(files)
    }
}

fn number(path: &Path) -> Option<u64> {
    path.file_stem()?.to_str()?.parse().ok()
}

fn open_blocks(
    paths: &[PathBuf],
    cache: &Arc<PageCache>,
    recovery: &mut Recovery,
) -> Result<Vec<Arc<Block>>, Error> {
    let mut blocks = Vec::with_capacity(paths.len());
    for path in paths {
        match Block::open(path, cache) {
            Ok(block) => {
                recovery.blocks += 1;
                recovery.block_samples += block.footer.samples;
                blocks.push(Arc::new(block));
            }
            Err(Error::Damaged { .. }) => recovery.damaged.push(block::set_aside(path)),
            Err(error) => return Err(error),
        }
    }
    blocks.sort_by_key(|block| block.footer.end_ms);
    Ok(blocks)
}

struct Replay {
    appender: Appender,
    head: Head,
    exemplars: Exemplars,
    recovery: Recovery,
    /// Series by their places in the file that is read.
    places: HashMap<u32, Named>,
    /// Of the file that is read.
    t_max: i64,
}

/// A series of a log file.
struct Named {
    labels: Labels,
    /// Its place in the head, since the first sample that is not in a block.
    place: Option<u32>,
}

impl Replay {
    fn file(&mut self, path: PathBuf) -> Result<(), Error> {
        self.places.clear();
        self.t_max = i64::MIN;
        let replayed = wal::replay(&path, &mut |item| self.item(item));
        let replayed = match replayed {
            Ok(replayed) => replayed,
            Err(Error::Damaged { path, .. }) => {
                self.recovery.damaged.push(block::set_aside(&path));
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        self.recovery.torn_bytes += replayed.torn_bytes;
        self.recovery.damaged_bytes += replayed.damaged_bytes;
        if replayed.bytes > 0 {
            self.appender.old_logs.push(OldLog {
                path,
                bytes: replayed.bytes,
                t_max: self.t_max,
            });
        }
        Ok(())
    }

    fn item(&mut self, item: Item) {
        match item {
            Item::Series(place, labels) => {
                let named = Named {
                    labels,
                    place: None,
                };
                self.places.insert(place, named);
            }
            Item::Sample(place, sample) => self.sample(place, sample),
            Item::Exemplar(place, exemplar) => {
                if let Some(named) = self.places.get(&place) {
                    let _: ExemplarOutcome = self.exemplars.push(&named.labels, &exemplar);
                }
            }
        }
    }

    fn sample(&mut self, place: u32, sample: Sample) {
        self.t_max = self.t_max.max(sample.t_ms);
        if Some(sample.t_ms) < self.head.valid_from {
            return;
        }
        let Some(named) = self.places.get_mut(&place) else {
            self.recovery.lost_samples += 1;
            return;
        };
        let place = *named.place.get_or_insert_with(|| {
            let (place, is_new) = self.appender.restore_series(&named.labels);
            if is_new {
                self.head.insert(place, named.labels.clone());
            }
            place
        });
        if self.appender.restore_sample(place, sample) {
            self.head.push(place, sample);
            self.recovery.head_samples += 1;
        }
    }
}
