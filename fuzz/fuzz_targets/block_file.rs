//! A block of which some bytes were changed: triples of offset from the end (2 bytes) and new value.
#![no_main]

use std::fs;
use std::sync::LazyLock;

/// A sound block.
static BLOCK: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let dir = tempfile::tempdir().expect("a folder can be made");
    let (store, _) =
        blocks::Store::open(dir.path(), fuzz::small_blocks()).expect("an empty folder is a store");
    for number in 0..300_u64 {
        let payload = number.to_string().repeat(40);
        let record = blocks::Record {
            key: blocks::hash(&(number / 2).to_le_bytes()),
            time_min_ns: number,
            time_max_ns: number + 10,
            terms: &[number, number % 7],
            payload: payload.as_bytes(),
        };
        store.append(&[record]).expect("a record can be appended");
    }
    store.seal().expect("a block can be written");
    fs::read(dir.path().join("00000001.blk")).expect("the first block has this name")
});

libfuzzer_sys::fuzz_target!(|edits: &[u8]| {
    let mut block = BLOCK.clone();
    for edit in edits.chunks_exact(3) {
        let from_end = usize::from(u16::from_le_bytes([edit[0], edit[1]])) % block.len();
        let at = block.len() - 1 - from_end;
        block[at] = edit[2];
    }
    let dir = tempfile::tempdir().expect("a folder can be made");
    fs::write(dir.path().join("00000001.blk"), &block).expect("a file can be written");
    let (store, recovery) = blocks::Store::open(dir.path(), fuzz::small_blocks())
        .expect("a damaged block is set aside");
    let read = fuzz::read_everything(&store);
    assert!(read <= recovery.block_records);
    if block == *BLOCK {
        assert_eq!(read, 300);
    }
});
