//! The store as its users see it: a model beside it, kills, damage, retention, concurrency.
#![allow(clippy::unwrap_used, missing_docs)]

mod concurrent;
mod damage;
mod full;
mod killed;
mod model;
mod retention;

use std::path::Path;

use blocks::{Options, Record, Recovery, Scan, Snapshot, Store};

/// A record that a test owns.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Owned {
    key: u64,
    time_min_ns: u64,
    time_max_ns: u64,
    terms: Vec<u64>,
    payload: Vec<u8>,
}

impl Owned {
    fn record(&self) -> Record<'_> {
        Record {
            key: self.key,
            time_min_ns: self.time_min_ns,
            time_max_ns: self.time_max_ns,
            terms: &self.terms,
            payload: &self.payload,
        }
    }
}

/// The record with this number: 1 µs long, at its number in microseconds, with a term of its own and one that ten share.
fn numbered(number: u64, bytes: usize) -> Owned {
    let mut payload = number.to_le_bytes().to_vec();
    payload.extend((8..bytes.max(8)).map(|at| (number as usize * 31 + at * at) as u8));
    Owned {
        key: blocks::hash(&number.to_le_bytes()),
        time_min_ns: number * 1_000,
        time_max_ns: number * 1_000 + 1_000,
        terms: vec![number, 1_000_000 + number / 10],
        payload,
    }
}

fn number(payload: &[u8]) -> u64 {
    u64::from_le_bytes(payload[..8].try_into().unwrap())
}

fn append(store: &Store, records: &[Owned]) {
    let records: Vec<Record<'_>> = records.iter().map(Owned::record).collect();
    store.append(&records).unwrap();
}

/// Blocks of 100 kB, so that a test makes some.
fn small() -> Options {
    Options {
        block_bytes: 100_000,
        ..Options::default()
    }
}

fn open(dir: &Path) -> (Store, Recovery) {
    Store::open(dir, small()).unwrap()
}

fn everything() -> Scan {
    Scan {
        time_ns: 0..u64::MAX,
        ..Scan::default()
    }
}

/// Numbers of the records that a scan gives, sorted.
fn numbers(snapshot: &Snapshot, scan: &Scan) -> Vec<u64> {
    let mut found = Vec::new();
    for page in snapshot.scan(scan) {
        found.extend(page.unwrap().records().map(|stored| number(stored.payload)));
    }
    found.sort_unstable();
    found
}

fn files(dir: &Path, extension: &str) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = entries
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    found.sort();
    found
}
