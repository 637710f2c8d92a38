//! Every limit of the HTTP contract. Characters are Unicode scalar values; sizes are bytes.

/// A request body. The largest valid task is about 45 KB (10,000 four-byte characters and its labels), escaped twice that.
pub const BODY_BYTES_MAX: usize = 256 * 1024;
pub const TITLE_CHARS_MAX: usize = 200;
pub const DESCRIPTION_CHARS_MAX: usize = 10_000;
pub const LABELS_MAX: usize = 20;
pub const LABEL_CHARS_MAX: usize = 50;
pub const ASSIGNEE_CHARS_MAX: usize = 100;
pub const COMMENT_CHARS_MAX: usize = 10_000;
pub const IDEMPOTENCY_KEY_CHARS_MAX: usize = 200;
pub const CURSOR_CHARS_MAX: usize = 1_024;
pub const PAGE_ITEMS_MAX: u32 = 100;
pub const PAGE_ITEMS_DEFAULT: u32 = 25;
/// How long a repeated POST with the same `Idempotency-Key` gets the first answer again.
pub const IDEMPOTENCY_HOURS: i64 = 24;
