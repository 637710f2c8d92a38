//! The body of a frame: new series, samples, exemplars.

use super::{FRAME_BYTES_MAX, FRAME_HEAD_BYTES};
use crate::bytes::{Reader, push_string, push_varint, push_zigzag};
use crate::{Error, Exemplar, LABELS_MAX, Labels, Sample};

const SERIES: u8 = 1;
const SAMPLES: u8 = 2;
const EXEMPLAR: u8 = 3;

/// What a frame says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Item {
    /// From here to the end of the file, a place means this series.
    Series(u32, Labels),
    Sample(u32, Sample),
    Exemplar(u32, Exemplar),
}

/// A frame that is built. Reused for every append.
#[derive(Default)]
pub(crate) struct Frame(Vec<u8>);

impl Frame {
    pub(crate) fn clear(&mut self) {
        self.0.clear();
        self.0.extend_from_slice(&[0; FRAME_HEAD_BYTES]);
    }

    pub(crate) fn series(&mut self, place: u32, labels: &Labels) {
        self.0.push(SERIES);
        push_varint(&mut self.0, place.into());
        push_labels(&mut self.0, labels);
    }

    /// Samples in the order of the batch: places and times are near those before.
    pub(crate) fn samples(&mut self, samples: &[(u32, Sample)]) {
        let Some((_, first)) = samples.first() else {
            return;
        };
        self.0.push(SAMPLES);
        push_varint(&mut self.0, samples.len() as u64);
        self.0.extend_from_slice(&first.t_ms.to_le_bytes());
        let mut before = 0;
        for (place, sample) in samples {
            push_zigzag(&mut self.0, i64::from(*place) - before);
            push_zigzag(&mut self.0, sample.t_ms.wrapping_sub(first.t_ms));
            push_value(&mut self.0, sample.value.to_bits());
            before = i64::from(*place);
        }
    }

    pub(crate) fn exemplar(&mut self, place: u32, exemplar: &Exemplar) {
        self.0.push(EXEMPLAR);
        push_varint(&mut self.0, place.into());
        self.0.extend_from_slice(&exemplar.t_ms.to_le_bytes());
        push_value(&mut self.0, exemplar.value.to_bits());
        push_labels(&mut self.0, &exemplar.labels);
    }

    /// With length and checksum.
    pub(super) fn finish(&mut self) -> Result<&[u8], Error> {
        let bytes = self.0.len() - FRAME_HEAD_BYTES;
        if bytes > FRAME_BYTES_MAX {
            return Err(Error::TooLarge {
                bytes,
                max: FRAME_BYTES_MAX,
            });
        }
        let checksum = crc32fast::hash(&self.0[FRAME_HEAD_BYTES..]);
        self.0[..4].copy_from_slice(&(bytes as u32).to_le_bytes());
        self.0[4..8].copy_from_slice(&checksum.to_le_bytes());
        Ok(&self.0)
    }
}

/// Gives away what a body says. `None`, at the place where it does, when it makes no sense.
pub(super) fn read(body: &[u8], each: &mut dyn FnMut(Item)) -> Option<()> {
    let mut reader = Reader(body);
    while !reader.0.is_empty() {
        match reader.u8()? {
            SERIES => {
                let place = place(reader.varint()?)?;
                each(Item::Series(place, labels(&mut reader)?));
            }
            SAMPLES => samples(&mut reader, each)?,
            EXEMPLAR => {
                let place = place(reader.varint()?)?;
                let exemplar = Exemplar {
                    t_ms: reader.i64()?,
                    value: value(&mut reader)?,
                    labels: labels(&mut reader)?,
                };
                each(Item::Exemplar(place, exemplar));
            }
            _ => return None,
        }
    }
    Some(())
}

fn samples(reader: &mut Reader<'_>, each: &mut dyn FnMut(Item)) -> Option<()> {
    let count = reader.varint()?;
    let first = reader.i64()?;
    let mut before = 0_i64;
    for _ in 0..count {
        before = before.checked_add(reader.zigzag()?)?;
        let t_ms = first.wrapping_add(reader.zigzag()?);
        let value = value(reader)?;
        let place = u32::try_from(before).ok()?;
        each(Item::Sample(place, Sample { t_ms, value }));
    }
    Some(())
}

fn place(number: u64) -> Option<u32> {
    u32::try_from(number).ok()
}

/// The bytes of a value from the highest, without the zeros at the end: whole numbers have many.
fn push_value(out: &mut Vec<u8>, bits: u64) {
    let bytes = 8 - (bits.trailing_zeros() / 8) as usize;
    out.push(bytes as u8);
    out.extend_from_slice(&bits.to_be_bytes()[..bytes]);
}

fn value(reader: &mut Reader<'_>) -> Option<f64> {
    let length = usize::from(reader.u8()?);
    let mut bytes = [0; 8];
    bytes
        .get_mut(..length)?
        .copy_from_slice(reader.take(length)?);
    Some(f64::from_bits(u64::from_be_bytes(bytes)))
}

fn push_labels(out: &mut Vec<u8>, labels: &Labels) {
    push_varint(out, labels.iter().len() as u64);
    for (name, value) in labels.iter() {
        push_string(out, name);
        push_string(out, value);
    }
}

fn labels(reader: &mut Reader<'_>) -> Option<Labels> {
    let count = reader.length().filter(|count| *count <= LABELS_MAX)?;
    let mut pairs = Vec::with_capacity(count);
    for _ in 0..count {
        pairs.push((reader.string()?, reader.string()?));
    }
    Some(Labels::new(pairs))
}
