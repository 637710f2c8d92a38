//! Tags of the messages that are read twice: by `check` when the walk passes, and later by whoever asks for what is in them.

pub(super) mod key_value {
    use crate::wire::cursor::{LEN, tag};

    pub(crate) const KEY: u32 = tag(1, LEN);
    pub(crate) const VALUE: u32 = tag(2, LEN);
}

pub(super) mod any_value {
    use crate::wire::cursor::{FIXED64, LEN, VARINT, tag};

    pub(crate) const STRING: u32 = tag(1, LEN);
    pub(crate) const BOOL: u32 = tag(2, VARINT);
    pub(crate) const INT: u32 = tag(3, VARINT);
    pub(crate) const DOUBLE: u32 = tag(4, FIXED64);
    pub(crate) const ARRAY: u32 = tag(5, LEN);
    pub(crate) const KEY_VALUES: u32 = tag(6, LEN);
    pub(crate) const BYTES: u32 = tag(7, LEN);

    /// The elements, in an `ArrayValue` as in a `KeyValueList`.
    pub(crate) const VALUES: u32 = tag(1, LEN);
}

pub(super) mod event {
    use crate::wire::cursor::{FIXED64, LEN, VARINT, tag};

    pub(crate) const TIME: u32 = tag(1, FIXED64);
    pub(crate) const NAME: u32 = tag(2, LEN);
    pub(crate) const ATTRIBUTE: u32 = tag(3, LEN);
    pub(crate) const DROPPED: u32 = tag(4, VARINT);
}

pub(super) mod link {
    use crate::wire::cursor::{FIXED32, LEN, VARINT, tag};

    pub(crate) const TRACE_ID: u32 = tag(1, LEN);
    pub(crate) const SPAN_ID: u32 = tag(2, LEN);
    pub(crate) const TRACE_STATE: u32 = tag(3, LEN);
    pub(crate) const ATTRIBUTE: u32 = tag(4, LEN);
    pub(crate) const DROPPED: u32 = tag(5, VARINT);
    pub(crate) const FLAGS: u32 = tag(6, FIXED32);
}
