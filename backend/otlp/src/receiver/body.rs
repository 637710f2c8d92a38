//! The body of an HTTP request: read and decompressed within its bounds.

use std::{io::Read, time::Duration};

use bytes::{Bytes, BytesMut};
use flate2::bufread::MultiGzDecoder;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};

use super::{budget::Share, failure::Failure};

/// How long the rest of a body is read and thrown away.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// First guess of how much longer a body is decompressed.
const GZIP_RATIO: usize = 4;

/// Reads a body of at most `bytes_max` within `timeout`.
pub(super) async fn read(
    body: &mut Incoming,
    bytes_max: usize,
    timeout: Duration,
    share: &mut Share,
) -> Result<Bytes, Failure> {
    let all = tokio::time::timeout(timeout, collect(body, bytes_max, share)).await;
    all.unwrap_or(Err(Failure::Timeout))
}

/// Throws away what a client still sends, so that it gets to read an answer that comes before it is done. Whoever goes on
/// for longer sees the connection end.
pub(super) fn drain(mut body: Incoming) {
    tokio::spawn(async move {
        let rest = async { while let Some(Ok(_)) = body.frame().await {} };
        let _ = tokio::time::timeout(DRAIN_TIMEOUT, rest).await;
    });
}

async fn collect(
    body: &mut Incoming,
    bytes_max: usize,
    share: &mut Share,
) -> Result<Bytes, Failure> {
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(Failure::TooLarge);
    }
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Failure::BrokenOff)?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let length = first.len() + all.len() + data.len();
        if length > bytes_max {
            return Err(Failure::TooLarge);
        }
        share.grow(length)?;
        // Most bodies come in one piece, which needs no copy.
        if length == data.len() {
            first = data;
        } else {
            all.extend_from_slice(&std::mem::take(&mut first));
            all.extend_from_slice(&data);
        }
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

/// Decompresses to at most `bytes_max`. Takes its time: not for a thread of the runtime.
pub(super) fn gunzip(
    compressed: &[u8],
    bytes_max: usize,
    share: &mut Share,
) -> Result<Bytes, Failure> {
    let mut decoder = MultiGzDecoder::new(compressed);
    let mut out = Vec::new();
    let mut room = (compressed.len() * GZIP_RATIO).clamp(1 << 10, bytes_max.max(1 << 10));
    loop {
        share.grow(compressed.len() + out.len() + room)?;
        out.reserve(room);
        let more = decoder.by_ref().take(room as u64).read_to_end(&mut out);
        let more = more.map_err(|error| Failure::Malformed(format!("gzip: {error}")))?;
        if out.len() > bytes_max {
            return Err(Failure::TooLarge);
        }
        if more < room {
            return Ok(out.into());
        }
        room = out.len().min(bytes_max + 1 - out.len());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;
    use crate::receiver::budget::Budget;

    #[test]
    fn a_body_is_decompressed_up_to_its_bound() {
        const BYTES_MAX: usize = 100_000;
        let mut share = Budget::new(1 << 20).share().unwrap();
        let mut check = |bytes: usize, members: usize| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(&vec![7; bytes]).unwrap();
            let compressed = encoder.finish().unwrap().repeat(members);
            gunzip(&compressed, BYTES_MAX, &mut share).map(|body| body.len())
        };
        for bytes in [0, 1, 1023, 1024, 1025, BYTES_MAX - 1, BYTES_MAX] {
            assert_eq!(check(bytes, 1), Ok(bytes));
        }
        assert_eq!(check(BYTES_MAX / 2, 2), Ok(BYTES_MAX));
        assert_eq!(check(BYTES_MAX + 1, 1), Err(Failure::TooLarge));
        assert_eq!(check(BYTES_MAX / 2, 3), Err(Failure::TooLarge));
    }

    #[test]
    fn what_a_body_grows_to_comes_out_of_the_budget() {
        let budget = Budget::new(1 << 20);
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&vec![7; 2 << 20]).unwrap();
        let compressed = encoder.finish().unwrap();
        let mut share = budget.share().unwrap();
        let refused = gunzip(&compressed, 4 << 20, &mut share);
        assert!(
            matches!(refused, Err(Failure::Overloaded { .. })),
            "{refused:?}"
        );
    }
}
