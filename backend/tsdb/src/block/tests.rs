//! What is written is read; bytes that make no sense are an error whatever their checksums say.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::chunk::{self, Chunk, OpenChunk};
use crate::postings::{self, Index as _};
use crate::{Labels, Match, Matcher, Sample};

const ALL: RangeInclusive<i64> = i64::MIN..=i64::MAX;

fn chunk(t_min: i64, samples: i64) -> Chunk {
    let at = |t_ms: i64| Sample {
        t_ms,
        value: t_ms as f64 * 1.1,
    };
    let mut open = OpenChunk::new(at(t_min));
    (1..samples).for_each(|step| open.push(at(t_min + step * 15_000)));
    open.sealed()
}

/// In label order; enough for strings, entries and chunks to reach over the ends of pages.
fn series(count: usize) -> Vec<(Labels, Vec<Chunk>)> {
    let one = |number: usize| {
        let labels = Labels::new([
            ("__name__", format!("metric_{:03}", number / 10)),
            ("long", format!("{number:0>40}")),
            ("n", number.to_string()),
        ]);
        let chunks = (0..2).map(|index| chunk(index * 2_000_000, 1 + (number % 100) as i64));
        (labels, chunks.collect())
    };
    (0..count).map(one).collect()
}

fn written(dir: &Path, count: usize) -> (PathBuf, Vec<(Labels, Vec<Chunk>)>) {
    let path = dir.join("1.block");
    let mut series = series(count);
    series.sort_by(|(a, _), (b, _)| a.cmp(b));
    write(&path, 7_200_000, &series).unwrap();
    (path, series)
}

fn open(path: &Path) -> Result<Block, Error> {
    Block::open(path, &Arc::new(PageCache::new(1 << 20)))
}

fn samples(chunks: &[Chunk]) -> Vec<Sample> {
    let mut samples = Vec::new();
    for chunk in chunks {
        chunk::read(&chunk.bits, chunk.samples, &ALL, &mut samples).unwrap();
    }
    samples
}

#[test]
fn a_block_has_what_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let (path, series) = written(dir.path(), 2000);
    let block = open(&path).unwrap();
    assert!(block.checksums.len() > 4, "over several pages");
    assert_eq!(block.footer.series, 2000);
    assert_eq!((block.footer.t_min, block.footer.end_ms), (0, 7_200_000));
    let mut query = Query::new(&block);
    for (number, (labels, chunks)) in (0..).zip(&series) {
        let found = query.series(number, &ALL).unwrap();
        assert_eq!(found.labels, *labels);
        let mut read = Vec::new();
        query.samples(&found, &ALL, &mut read).unwrap();
        assert_eq!(read, samples(chunks));
        let of_pair = query.pair("n", labels.get("n")).unwrap();
        assert_eq!(of_pair, [number]);
    }
    assert_eq!(query.pair("__name__", "metric_007").unwrap().len(), 10);
    assert!(query.pair("__name__", "metric").unwrap().is_empty());
    assert!(query.pair("zzz", "1").unwrap().is_empty());
    assert_eq!(
        (
            query.values("__name__").unwrap(),
            query.values("n").unwrap()
        ),
        (200, 2000)
    );
    assert_eq!(query.all().unwrap().len(), 2000);
}

#[test]
fn only_chunks_of_the_range_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let (path, _) = written(dir.path(), 20);
    let block = open(&path).unwrap();
    let mut query = Query::new(&block);
    assert!(query.series(0, &(-10..=-1)).unwrap().is_empty());
    let series = query.series(0, &(2_000_000..=2_000_000)).unwrap();
    let mut read = Vec::new();
    query.samples(&series, &ALL, &mut read).unwrap();
    assert_eq!(read[0].t_ms, 2_000_000);
    assert!(block.overlaps(&(0..=0)) && !block.overlaps(&(-5..=-1)));
}

#[test]
fn every_cut_and_every_changed_byte_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let (path, _) = written(dir.path(), 20);
    let bytes = fs::read(&path).unwrap();
    for length in (0..bytes.len()).step_by(37) {
        fs::write(&path, &bytes[..length]).unwrap();
        assert!(
            matches!(open(&path), Err(Error::Damaged { .. })),
            "{length}"
        );
    }
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        fs::write(&path, changed).unwrap();
        let read = open(&path).and_then(|block| block.page(0).map(drop));
        assert!(matches!(read, Err(Error::Damaged { .. })), "{at}");
    }
}

/// With checksums that are right for what is there now.
fn signed(mut bytes: Vec<u8>, footer: &Footer) -> Vec<u8> {
    let pages = &bytes[..footer.pages_end as usize];
    let sums = pages.chunks(PAGE_BYTES).map(crc32fast::hash);
    let table: Vec<u8> = sums.flat_map(u32::to_le_bytes).collect();
    let footer = Footer {
        table_checksum: crc32fast::hash(&table),
        ..*footer
    };
    bytes.truncate(footer.pages_end as usize);
    bytes.extend(table);
    bytes.extend(footer.bytes());
    bytes
}

proptest! {
    #[test]
    fn no_content_makes_a_query_fail_otherwise_than_by_an_error(
        changes in prop::collection::vec((0.0_f64..1.0, any::<u8>()), 1..8),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let (path, _) = written(dir.path(), 30);
        let footer = open(&path).unwrap().footer;
        let mut bytes = fs::read(&path).unwrap();
        let index = footer.symbols_at as usize..footer.pages_end as usize;
        for (at, byte) in changes {
            bytes[index.start + (at * index.len() as f64) as usize] = byte;
        }
        fs::write(&path, signed(bytes, &footer)).unwrap();
        let block = open(&path).unwrap();
        let mut query = Query::new(&block);
        for matches in [
            Match::Equal("metric_001".into()),
            Match::NotEqual("metric_001".into()),
            Match::Regex(regex::Regex::new("^(?s:.+1)$").unwrap()),
        ] {
            let matcher = Matcher { name: "__name__".into(), matches };
            let Ok(found) = postings::select(&mut query, &[matcher]) else { continue };
            for number in found {
                if let Ok(series) = query.series(number, &ALL) {
                    let _ = query.samples(&series, &ALL, &mut Vec::new());
                }
            }
        }
        let _ = query.names(&mut |_| {});
    }
}
