//! RFC 3339 timestamps in UTC with microseconds, the form `tracing-subscriber` writes by default.

use std::cell::Cell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// `2026-11-23T06:01:02.` is the same for every line of a second.
const PREFIX: usize = 20;

const SECONDS_PER_DAY: u64 = 86_400;

/// The last moment with a year of four digits, in seconds since 1970.
const LAST_SECOND: u64 = 253_402_300_799;

thread_local! {
    /// The second of the thread's last line, and its text.
    static LAST: Cell<(u64, [u8; PREFIX])> = const { Cell::new((u64::MAX, [0; PREFIX])) };
}

/// Appends `time`. A clock outside the years 1970 to 9999 counts as the nearer bound.
pub(super) fn write(out: &mut Vec<u8>, time: SystemTime) {
    let last = Duration::new(LAST_SECOND, 999_999_999);
    let since_epoch = time
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .min(last);
    out.extend_from_slice(&prefix(since_epoch.as_secs()));
    let mut micros = *b"000000Z";
    decimal(&mut micros[..6], u64::from(since_epoch.subsec_micros()));
    out.extend_from_slice(&micros);
}

fn prefix(second: u64) -> [u8; PREFIX] {
    let (last_second, text) = LAST.get();
    if second == last_second {
        return text;
    }
    let text = format_prefix(second);
    LAST.set((second, text));
    text
}

fn format_prefix(second: u64) -> [u8; PREFIX] {
    let mut text = *b"0000-00-00T00:00:00.";
    let (year, month, day) = date(second / SECONDS_PER_DAY);
    let in_day = second % SECONDS_PER_DAY;
    decimal(&mut text[0..4], year);
    decimal(&mut text[5..7], month);
    decimal(&mut text[8..10], day);
    decimal(&mut text[11..13], in_day / 3600);
    decimal(&mut text[14..16], in_day / 60 % 60);
    decimal(&mut text[17..19], in_day % 60);
    text
}

/// Year, month and day of a day since 1970 in the Gregorian calendar, by counting from 1 March of year 0, so that
/// leap days come last (<https://howardhinnant.github.io/date_algorithms.html#civil_from_days>).
fn date(days_since_1970: u64) -> (u64, u64, u64) {
    const DAYS_TO_1970: u64 = 719_468;
    const DAYS_PER_ERA: u64 = 146_097;
    let days = days_since_1970 + DAYS_TO_1970;
    let (era, day_of_era) = (days / DAYS_PER_ERA, days % DAYS_PER_ERA);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = match month_from_march {
        0..=9 => month_from_march + 3,
        _ => month_from_march - 9,
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

/// Fills `text` with the last digits of `value`.
fn decimal(text: &mut [u8], mut value: u64) {
    for digit in text.iter_mut().rev() {
        *digit = b'0' + u8::try_from(value % 10).expect("a digit fits");
        value /= 10;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn written(time: SystemTime) -> String {
        let mut out = Vec::new();
        write(&mut out, time);
        String::from_utf8(out).unwrap()
    }

    proptest! {
        #[test]
        fn every_moment_is_what_a_calendar_library_says(
            seconds in 0..=253_402_207_200u64,
            nanos in 0..1_000_000_000u32,
        ) {
            let nanos_written = nanos / 1_000 * 1_000;
            let timestamp =
                jiff::Timestamp::new(i64::try_from(seconds).unwrap(), i32::try_from(nanos_written).unwrap()).unwrap();
            prop_assert_eq!(written(UNIX_EPOCH + Duration::new(seconds, nanos)), format!("{timestamp:.6}"));
        }
    }

    #[test]
    fn a_clock_beyond_the_calendar_is_held_at_its_bounds() {
        assert_eq!(
            written(UNIX_EPOCH - Duration::from_secs(1)),
            "1970-01-01T00:00:00.000000Z"
        );
        let beyond = UNIX_EPOCH + Duration::from_secs(LAST_SECOND + 1);
        assert_eq!(written(beyond), "9999-12-31T23:59:59.999999Z");
    }

    #[test]
    fn lines_of_different_seconds_on_one_thread_do_not_share_text() {
        let (first, second) = (UNIX_EPOCH, UNIX_EPOCH + Duration::from_secs(1));
        let expected = ["1970-01-01T00:00:00.000000Z", "1970-01-01T00:00:01.000000Z"];
        assert_eq!([written(first), written(second)], expected);
        assert_eq!(written(first), expected[0]);
    }
}
