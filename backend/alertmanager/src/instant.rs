//! Points of time: Unix milliseconds inside, RFC 3339 outside. Finer digits of what comes in are cut.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serializer, de::Error};

/// The first instant of the year 1, which Go takes for no time at all.
const ZERO: &str = "0001-01-01T00:00:00Z";
const ZERO_MS: i64 = -62_135_596_800_000;

/// As the API writes it: always with three digits behind the point.
pub(crate) fn api<S: Serializer>(time_ms: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{:.3}", timestamp(*time_ms)))
}

/// As a webhook has it: with the digits that are needed.
pub(crate) fn webhook<S: Serializer>(time_ms: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&timestamp(*time_ms))
}

/// As [`webhook`]; no time is the year 1.
pub(crate) fn webhook_or_zero<S: Serializer>(
    time_ms: &Option<i64>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match time_ms {
        Some(time_ms) => webhook(time_ms, serializer),
        None => serializer.serialize_str(ZERO),
    }
}

/// Nothing, `null` and the year 1 are no time.
pub(crate) fn optional<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<i64>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else {
        return Ok(None);
    };
    let time: Timestamp = text
        .parse()
        .map_err(|_| D::Error::custom(format!("{text:?} is not a time by RFC 3339")))?;
    Ok(Some(time.as_millisecond()).filter(|time_ms| *time_ms != ZERO_MS))
}

/// The clock of this machine.
pub(crate) fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

/// Times are bounded where they come in; what is added to them may leave the calendar.
fn timestamp(time_ms: i64) -> Timestamp {
    let end = if time_ms < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    };
    Timestamp::from_millisecond(time_ms).unwrap_or(end)
}
