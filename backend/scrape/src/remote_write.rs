//! Remote write 1.0, the receiving side: a snappy block with a protobuf `WriteRequest` becomes a [`Batch`].
//!
//! A request that cannot be read is refused whole, in the words of Prometheus. Series with invalid labels are left out and
//! counted, as there. What storage refuses is told by [`answer`]; all else of the request is stored, where Prometheus stores
//! nothing. Exemplars are taken, metadata is skipped, native histograms are refused.

#[cfg(test)]
mod tests;
mod wire;

use tsdb::{Exemplar, Labels};

use crate::sink::{Batch, ExemplarOf, Outcome, Report, Sample};

use wire::{Field, Fields};

/// The longest request on the wire. Senders stay below a megabyte.
pub const COMPRESSED_BYTES_MAX: usize = 8 << 20;
/// The longest request, uncompressed, as in Prometheus. The block says how long it will be, so that a bomb is refused before
/// it goes off.
pub const REQUEST_BYTES_MAX: usize = 32 << 20;
/// Samples and exemplars of one request; senders stay at 2,000 by default.
pub const SAMPLES_MAX: usize = 500_000;
/// Labels of one series or exemplar.
pub const LABELS_MAX: usize = 500;

const NAME: &str = "__name__";
const MEDIA_TYPE: &str = "application/x-protobuf";
/// The message of version 1, which a request need not name.
const MESSAGE: &str = "prometheus.WriteRequest";

/// What a request holds.
#[derive(Clone, Debug)]
pub struct Decoded<S> {
    pub batch: Batch<S>,
    /// Samples left out because their labels are invalid.
    pub samples_invalid: u64,
}

/// The request is of another kind: 415.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    #[error("{0} encoding (compression) is not accepted by this server; only snappy is acceptable")]
    Encoding(String),
    #[error("expected {MEDIA_TYPE} as the first (media) part, got {0} content-type")]
    MediaType(String),
    #[error("{0} protobuf message is not accepted by this server; only accepts {MESSAGE}")]
    Message(String),
}

/// Why nothing of a request is stored: 400, and it must not be sent again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("request is longer than {COMPRESSED_BYTES_MAX} bytes")]
    CompressedTooLong,
    #[error("decoded size exceeds the {REQUEST_BYTES_MAX} bytes limit")]
    TooLong,
    #[error("s2: corrupt input")]
    Snappy,
    #[error("unexpected EOF")]
    End,
    #[error("proto: {reason} at byte {offset}")]
    Proto { offset: usize, reason: &'static str },
    #[error("request has more than {SAMPLES_MAX} samples")]
    TooManySamples,
    #[error("series has more than {LABELS_MAX} labels")]
    TooManyLabels,
    #[error("native histograms are not supported")]
    NativeHistogram,
}

/// Text of labels, or bytes that are none.
type Text<'a> = &'a [u8];

/// Whether a request with these headers can be read. A header that is missing says what is expected.
///
/// # Errors
/// See [`HeaderError`].
pub fn check_headers(
    encoding: Option<&str>,
    content_type: Option<&str>,
) -> Result<(), HeaderError> {
    if let Some(encoding) = encoding.filter(|encoding| *encoding != "snappy") {
        return Err(HeaderError::Encoding(encoding.to_owned()));
    }
    let mut parts = content_type.unwrap_or(MEDIA_TYPE).split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default();
    if media_type != MEDIA_TYPE {
        return Err(HeaderError::MediaType(media_type.to_owned()));
    }
    let message = parts.find_map(|part| part.strip_prefix("proto="));
    match message {
        Some(other) if other != MESSAGE => Err(HeaderError::Message(other.to_owned())),
        _ => Ok(()),
    }
}

/// Reads a request.
///
/// # Errors
/// See [`DecodeError`].
pub fn decode<S>(compressed: &[u8], now_ms: i64) -> Result<Decoded<S>, DecodeError> {
    if compressed.len() > COMPRESSED_BYTES_MAX {
        return Err(DecodeError::CompressedTooLong);
    }
    if compressed.is_empty() {
        return Err(DecodeError::Snappy);
    }
    let length = snap::raw::decompress_len(compressed).map_err(|error| match error {
        snap::Error::TooBig { .. } => DecodeError::TooLong,
        _ => DecodeError::Snappy,
    })?;
    if length > REQUEST_BYTES_MAX {
        return Err(DecodeError::TooLong);
    }
    let request = snap::raw::Decoder::new().decompress_vec(compressed);
    let request = request.map_err(|_| DecodeError::Snappy)?;
    let mut decoded = Decoded {
        batch: Batch::new(now_ms),
        samples_invalid: 0,
    };
    for field in Fields::new(&request, 0) {
        if let (1, Field::Bytes(series, offset)) = field? {
            time_series(series, offset, &mut decoded)?;
        }
    }
    Ok(decoded)
}

/// Why something was refused for good: 400 with this text. `None`: 204. Exemplars that are refused are no reason to send
/// samples again.
pub fn answer<S>(batch: &Batch<S>, report: &Report<S>) -> Option<String> {
    let mut outcomes = batch.samples.iter().zip(&report.samples);
    outcomes.find_map(|(sample, (outcome, _))| {
        Some(match outcome {
            Outcome::Stored => return None,
            Outcome::Duplicate => {
                format!(
                    "duplicate sample for timestamp {}; overrides not allowed",
                    sample.t_ms
                )
            }
            Outcome::OutOfOrder => "out of order sample".to_owned(),
            Outcome::TooOld => "out of bounds".to_owned(),
            Outcome::TooFarAhead => "out of bounds: timestamp is too far in the future".to_owned(),
            Outcome::SeriesLimit => "too many series".to_owned(),
            Outcome::Invalid => "invalid sample".to_owned(),
        })
    })
}

/// One series with its samples and exemplars. Fields may come in any order.
fn time_series<S>(
    bytes: &[u8],
    offset: usize,
    decoded: &mut Decoded<S>,
) -> Result<(), DecodeError> {
    let labels = series_labels(&labels(bytes, offset)?);
    let Batch {
        samples, exemplars, ..
    } = &mut decoded.batch;
    for field in Fields::new(bytes, offset) {
        let (number, Field::Bytes(message, offset)) = field? else {
            continue;
        };
        match number {
            2 => {
                let (value, t_ms) = value_and_time(message, offset, 1)?;
                match &labels {
                    Some(labels) => samples.push(Sample {
                        labels: labels.clone(),
                        known: None,
                        t_ms,
                        value,
                    }),
                    None => decoded.samples_invalid += 1,
                }
            }
            3 => {
                let (value, t_ms) = value_and_time(message, offset, 2)?;
                let own = exemplar_labels(&self::labels(message, offset)?);
                if let (Some(labels), Some(own)) = (labels.clone(), own) {
                    let exemplar = Exemplar {
                        labels: own,
                        t_ms,
                        value,
                    };
                    exemplars.push(ExemplarOf {
                        labels,
                        known: None,
                        exemplar,
                    });
                }
            }
            4 => return Err(DecodeError::NativeHistogram),
            _ => {}
        }
        if samples.len() + exemplars.len() > SAMPLES_MAX {
            return Err(DecodeError::TooManySamples);
        }
    }
    Ok(())
}

/// The labels of a series or an exemplar: the same field in both.
fn labels(bytes: &[u8], offset: usize) -> Result<Vec<(Text<'_>, Text<'_>)>, DecodeError> {
    let mut labels = Vec::new();
    for field in Fields::new(bytes, offset) {
        if let (1, Field::Bytes(label, offset)) = field? {
            if labels.len() >= LABELS_MAX {
                return Err(DecodeError::TooManyLabels);
            }
            labels.push(label_of(label, offset)?);
        }
    }
    Ok(labels)
}

fn label_of(bytes: &[u8], offset: usize) -> Result<(Text<'_>, Text<'_>), DecodeError> {
    let (mut name, mut value): (Text<'_>, Text<'_>) = (b"", b"");
    for field in Fields::new(bytes, offset) {
        match field? {
            (1, Field::Bytes(bytes, _)) => name = bytes,
            (2, Field::Bytes(bytes, _)) => value = bytes,
            _ => {}
        }
    }
    Ok((name, value))
}

/// Of a sample, or of an exemplar, in which both have the next number.
fn value_and_time(
    bytes: &[u8],
    offset: usize,
    value_number: u64,
) -> Result<(f64, i64), DecodeError> {
    let (mut value, mut t_ms) = (0.0, 0);
    for field in Fields::new(bytes, offset) {
        match field? {
            (number, Field::Fixed64(bits)) if number == value_number => {
                value = f64::from_bits(bits)
            }
            (number, Field::Varint(time)) if number == value_number + 1 => {
                t_ms = time.cast_signed()
            }
            _ => {}
        }
    }
    Ok((value, t_ms))
}

/// `None` where they are no labels of a series: text, each name once and not empty, and a name of the metric.
fn series_labels(labels: &[(Text<'_>, Text<'_>)]) -> Option<Labels> {
    let labels = exemplar_labels(labels)?;
    let is_named = !labels.get(NAME).is_empty();
    is_named.then_some(labels)
}

fn exemplar_labels(labels: &[(Text<'_>, Text<'_>)]) -> Option<Labels> {
    let mut names: Vec<Text<'_>> = labels.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    let is_twice = names.windows(2).any(|pair| pair[0] == pair[1]);
    if is_twice || names.first().is_some_and(|name| name.is_empty()) {
        return None;
    }
    let pairs = labels.iter().map(|(name, value)| {
        Some((
            std::str::from_utf8(name).ok()?,
            std::str::from_utf8(value).ok()?,
        ))
    });
    Some(Labels::new(pairs.collect::<Option<Vec<_>>>()?))
}
