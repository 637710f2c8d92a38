//! The ranges of a time interval: `monday:friday`, `-1`, `09:00`.

use jiff::tz::TimeZone;

use super::{
    ConfigError,
    checks::error,
    yaml::{self, At},
};
use crate::interval::{Range, TimeInterval};

const WEEKDAYS: [&str; 7] = [
    "sunday",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
];
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
/// Days that every month has: what ends before it begins in such a month never holds.
const MONTH_DAYS_MIN: i32 = 28;

type Texts = Option<Vec<At<String>>>;

pub(super) fn read(
    written: &yaml::TimeInterval,
    option: &str,
) -> Result<TimeInterval, ConfigError> {
    let ranges = |texts: &Texts, name: &str, read: fn(&str) -> Option<Range>| {
        let option = format!("{option}.{name}");
        let range = |text: &At<String>| {
            let wrong = || error(text, &option, format!("{:?} is not a range", text.value));
            read(&text.value.to_lowercase()).ok_or_else(wrong)
        };
        let texts = texts.as_ref();
        let ranges = texts.map(|texts| texts.iter().map(range).collect::<Result<_, _>>());
        ranges.transpose()
    };
    let times = written.times.as_ref().map(|times| {
        let range = |time: &At<yaml::TimeRange>| {
            let wrong = || error(time, &format!("{option}.times"), "not a range of times");
            times_of_day(&time.value).ok_or_else(wrong)
        };
        times.iter().map(range).collect::<Result<_, _>>()
    });
    let location = written.location.as_ref().map(|name| {
        TimeZone::get(&name.value).map_err(|_| {
            let reason = format!("this machine knows no time zone {:?}", name.value);
            error(name, &format!("{option}.location"), reason)
        })
    });
    Ok(TimeInterval {
        times: times.transpose()?,
        weekdays: ranges(&written.weekdays, "weekdays", weekdays)?,
        days_of_month: ranges(&written.days_of_month, "days_of_month", days_of_month)?,
        months: ranges(&written.months, "months", months)?,
        years: ranges(&written.years, "years", |text| range(text, number))?,
        location: location.transpose()?,
    })
}

fn range(text: &str, member: impl Fn(&str) -> Option<i32>) -> Option<Range> {
    let (begin, end) = text.split_once(':').unwrap_or((text, text));
    let range = Range {
        begin: member(begin)?,
        end: member(end)?,
    };
    (range.begin <= range.end).then_some(range)
}

fn number(text: &str) -> Option<i32> {
    text.parse().ok()
}

fn position(names: &[&str], text: &str) -> Option<i32> {
    let position = names.iter().position(|name| *name == text)?;
    i32::try_from(position).ok()
}

fn weekdays(text: &str) -> Option<Range> {
    range(text, |day| position(&WEEKDAYS, day))
}

fn months(text: &str) -> Option<Range> {
    range(text, |month| match position(&MONTHS, month) {
        Some(index) => Some(index + 1),
        None => number(month),
    })
}

fn days_of_month(text: &str) -> Option<Range> {
    let (begin, end) = text.split_once(':').unwrap_or((text, text));
    let (begin, end) = (number(begin)?, number(end)?);
    let is_day = |day: i32| day != 0 && (-31..=31).contains(&day);
    let from_start = |day: i32| if day < 0 { MONTH_DAYS_MIN + day } else { day };
    let holds_once = !(begin < 0 && end > 0) && from_start(begin) <= from_start(end);
    (is_day(begin) && is_day(end) && holds_once).then_some(Range { begin, end })
}

/// `HH:MM`, up to 24:00.
fn times_of_day(written: &yaml::TimeRange) -> Option<Range> {
    let minutes = |text: &str| {
        let (hours, minutes) = text.split_once(':')?;
        if hours.len() != 2
            || minutes.len() != 2
            || !text.bytes().all(|b| b.is_ascii_digit() || b == b':')
        {
            return None;
        }
        let (hours, minutes) = (number(hours)?, number(minutes)?);
        let total = hours * 60 + minutes;
        (minutes < 60 && total <= 24 * 60).then_some(total)
    };
    let (begin, end) = (minutes(&written.start_time)?, minutes(&written.end_time)?);
    (begin < end).then_some(Range { begin, end })
}
