//! Arbitrary bytes as the body of a frame whose checksum is right.
#![no_main]

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    let dir = fuzz::log_of(body);
    let (store, recovery) = blocks::Store::open(dir.path(), fuzz::small_blocks())
        .expect("whatever is in a log, the store opens");
    assert_eq!(fuzz::read_everything(&store), recovery.head_records);
    // The same out of a block.
    store.seal().expect("a block can be written");
    assert_eq!(fuzz::read_everything(&store), recovery.head_records);
});
