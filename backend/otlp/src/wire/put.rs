//! Fields of a protobuf message, written one after the other. The counterpart of `cursor`.

use super::cursor::{FIXED32, FIXED64, LEN, VARINT, tag};

pub(crate) fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

pub(crate) fn number_field(out: &mut Vec<u8>, field: u32, number: u64) {
    varint(out, tag(field, VARINT).into());
    varint(out, number);
}

pub(crate) fn fixed64_field(out: &mut Vec<u8>, field: u32, number: u64) {
    varint(out, tag(field, FIXED64).into());
    out.extend_from_slice(&number.to_le_bytes());
}

pub(crate) fn fixed32_field(out: &mut Vec<u8>, field: u32, number: u32) {
    varint(out, tag(field, FIXED32).into());
    out.extend_from_slice(&number.to_le_bytes());
}

pub(crate) fn bytes_field(out: &mut Vec<u8>, field: u32, bytes: &[u8]) {
    varint(out, tag(field, LEN).into());
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// A field whose content `write` appends. Its length is put in front of it at the end.
pub(crate) fn message_field<R>(
    out: &mut Vec<u8>,
    field: u32,
    write: impl FnOnce(&mut Vec<u8>) -> R,
) -> R {
    varint(out, tag(field, LEN).into());
    let start = out.len();
    let result = write(out);
    let mut length = Vec::new();
    varint(&mut length, (out.len() - start) as u64);
    out.splice(start..start, length);
    result
}
