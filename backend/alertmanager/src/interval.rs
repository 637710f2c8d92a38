//! Time intervals: when a route is muted or active. Reading them from a file is the matter of `config`.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

/// Holds at a time that is in one of the ranges of every kind that is given.
#[derive(Clone, Debug, Default)]
pub struct TimeInterval {
    /// Minutes of the day; the end is not part of it.
    pub times: Option<Vec<Range>>,
    /// Sunday is 0.
    pub weekdays: Option<Vec<Range>>,
    /// From 1; from the end of the month if negative.
    pub days_of_month: Option<Vec<Range>>,
    pub months: Option<Vec<Range>>,
    pub years: Option<Vec<Range>>,
    /// UTC if there is none.
    pub location: Option<TimeZone>,
}

/// From and to, both part of it unless said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    pub begin: i32,
    pub end: i32,
}

impl TimeInterval {
    pub fn contains(&self, time_ms: i64) -> bool {
        let Ok(timestamp) = Timestamp::from_millisecond(time_ms) else {
            return false;
        };
        let zone = self.location.clone().unwrap_or(TimeZone::UTC);
        let time = timestamp.to_zoned(zone).datetime();
        let minute = i32::from(time.hour()) * 60 + i32::from(time.minute());
        let is_in =
            |ranges: &Option<Vec<Range>>, value: i32| holds(ranges, |range| range.has(value));
        holds(&self.times, |range| {
            (range.begin..range.end).contains(&minute)
        }) && is_in(
            &self.weekdays,
            time.weekday().to_sunday_zero_offset().into(),
        ) && holds(&self.days_of_month, |range| range.has_day(time))
            && is_in(&self.months, time.month().into())
            && is_in(&self.years, time.year().into())
    }
}

impl Range {
    fn has(&self, value: i32) -> bool {
        (self.begin..=self.end).contains(&value)
    }

    /// What lies beyond the month's end ends with it; what begins there is empty.
    fn has_day(&self, time: DateTime) -> bool {
        let length = i32::from(time.date().days_in_month());
        let from_start = |day: i32| if day < 0 { length + day + 1 } else { day };
        let begin = from_start(self.begin);
        let range = Self {
            begin,
            end: from_start(self.end).min(length),
        };
        begin <= length && range.has(time.day().into())
    }
}

/// No ranges at all hold always.
fn holds(ranges: &Option<Vec<Range>>, has: impl Fn(&Range) -> bool) -> bool {
    ranges.as_ref().is_none_or(|ranges| ranges.iter().any(has))
}
