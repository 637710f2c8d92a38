//! Times in the layouts of Go, where a certain moment of 2006 shows what stands where.

use jiff::{Timestamp, Zoned, civil, tz::TimeZone};

/// The parts of a layout, the longer ones first.
const PARTS: [&str; 43] = [
    "January",
    "Monday",
    "Z07:00:00",
    "-07:00:00",
    "Z070000",
    "-070000",
    "Z07:00",
    "-07:00",
    "Z0700",
    "-0700",
    "2006",
    "Jan",
    "Mon",
    "MST",
    "002",
    "Z07",
    "-07",
    "__2",
    "01",
    "02",
    "03",
    "04",
    "05",
    "06",
    "15",
    "PM",
    "pm",
    "_2",
    "1",
    "2",
    "3",
    "4",
    "5",
    ".000000000",
    ",000000000",
    ".999999999",
    ",999999999",
    ".000000",
    ",000000",
    ".000",
    ",000",
    ".999999",
    ".999",
];

const DEFAULT_LAYOUT: &str = "2006-01-02 15:04:05.999999999 -0700 MST";

pub(super) fn now() -> Zoned {
    Timestamp::now().to_zoned(TimeZone::UTC)
}

pub(super) fn from_ns(ns: i64) -> Zoned {
    let timestamp = Timestamp::from_nanosecond(i128::from(ns)).unwrap_or_default();
    timestamp.to_zoned(TimeZone::UTC)
}

/// A time from its digits: days, seconds, milliseconds, microseconds or nanoseconds, by how many there are.
pub(super) fn from_epoch(text: &str) -> Result<Zoned, String> {
    let failed = |why: &str| format!("unable to parse time '{text}': {why}");
    let number: i64 = text.parse().map_err(|_| {
        failed(&format!(
            "strconv.ParseInt: parsing {}: invalid syntax",
            crate::units::quote(text)
        ))
    })?;
    let unit: i64 = match text.len() {
        5 => 86_400_000_000_000,
        10 => 1_000_000_000,
        13 => 1_000_000,
        16 => 1_000,
        19 => 1,
        _ => return Err(failed("%!w(<nil>)")),
    };
    Ok(from_ns(number.saturating_mul(unit)))
}

pub(super) fn default_text(time: &Zoned) -> String {
    format(DEFAULT_LAYOUT, time)
}

pub(super) fn format(layout: &str, time: &Zoned) -> String {
    let mut out = String::with_capacity(layout.len() + 8);
    let mut rest = layout;
    while !rest.is_empty() {
        let (before, part, after) = split(rest);
        out.push_str(before);
        if let Some(part) = part {
            out.push_str(&shown(part, time));
        }
        rest = after;
    }
    out
}

/// The text before the next part, the part, and what follows.
fn split(layout: &str) -> (&str, Option<&str>, &str) {
    for (at, _) in layout.char_indices() {
        let rest = &layout[at..];
        if let Some(length) = fraction(rest) {
            return (&layout[..at], Some(&rest[..length]), &rest[length..]);
        }
        let part = PARTS
            .iter()
            .find(|part| rest.starts_with(**part) && !is_word(part, rest));
        if let Some(part) = part.filter(|part| !part.starts_with(['.', ','])) {
            return (
                &layout[..at],
                Some(&rest[..part.len()]),
                &rest[part.len()..],
            );
        }
    }
    (layout, None, "")
}

/// `Mon` and `Jan` are parts only where no longer word begins with them.
fn is_word(part: &str, rest: &str) -> bool {
    let next = rest[part.len()..].chars().next();
    matches!(part, "Mon" | "Jan") && next.is_some_and(|c| c.is_ascii_lowercase())
}

/// The length of a fraction of a second: a point or comma with zeros or nines, and no digit after them.
fn fraction(text: &str) -> Option<usize> {
    let digits = text.strip_prefix(['.', ','])?;
    let first = digits.chars().next().filter(|c| matches!(c, '0' | '9'))?;
    let count = digits.chars().take_while(|c| *c == first).count();
    let ends = !digits[count..].starts_with(|c: char| c.is_ascii_digit());
    ends.then_some(count + 1)
}

fn shown(part: &str, time: &Zoned) -> String {
    let hour12 = match time.hour() % 12 {
        0 => 12,
        hour => hour,
    };
    match part {
        "January" => time.strftime("%B").to_string(),
        "Jan" => time.strftime("%b").to_string(),
        "Monday" => time.strftime("%A").to_string(),
        "Mon" => time.strftime("%a").to_string(),
        "2006" => format!("{:04}", time.year()),
        "06" => format!("{:02}", time.year().rem_euclid(100)),
        "01" => format!("{:02}", time.month()),
        "1" => time.month().to_string(),
        "02" => format!("{:02}", time.day()),
        "_2" => format!("{:2}", time.day()),
        "2" => time.day().to_string(),
        "002" => format!("{:03}", time.day_of_year()),
        "__2" => format!("{:3}", time.day_of_year()),
        "15" => format!("{:02}", time.hour()),
        "03" => format!("{hour12:02}"),
        "3" => hour12.to_string(),
        "04" => format!("{:02}", time.minute()),
        "4" => time.minute().to_string(),
        "05" => format!("{:02}", time.second()),
        "5" => time.second().to_string(),
        "PM" => if time.hour() < 12 { "AM" } else { "PM" }.into(),
        "pm" => if time.hour() < 12 { "am" } else { "pm" }.into(),
        "MST" => time.strftime("%Z").to_string(),
        _ if part.starts_with(['.', ',']) => {
            let digits = format!("{:09}", time.subsec_nanosecond());
            let count = (part.len() - 1).min(9);
            let shown = format!("{}{}", &part[..1], &digits[..count]);
            if part.contains('9') {
                shown
                    .trim_end_matches('0')
                    .trim_end_matches(['.', ','])
                    .into()
            } else {
                shown
            }
        }
        _ => offset(part, time.offset().seconds()),
    }
}

fn offset(part: &str, seconds: i32) -> String {
    if part.starts_with('Z') && seconds == 0 {
        return "Z".into();
    }
    let sign = if seconds < 0 { '-' } else { '+' };
    let total = seconds.unsigned_abs();
    let between = if part.contains(':') { ":" } else { "" };
    let mut out = format!("{sign}{:02}", total / 3600);
    let digits = part.bytes().filter(u8::is_ascii_digit).count();
    if digits >= 4 {
        out.push_str(&format!("{between}{:02}", total / 60 % 60));
    }
    if digits >= 6 {
        out.push_str(&format!("{between}{:02}", total % 60));
    }
    out
}

/// The time that a text shows in a layout; the first moment of the year one when it does not.
pub(super) fn parse(layout: &str, text: &str, zone: &str) -> Zoned {
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    let first = || civil::date(1, 1, 1).at(0, 0, 0, 0);
    let parsed = Parsed::read(layout, text).and_then(|parsed| parsed.zoned(&zone));
    let zero = || {
        first()
            .to_zoned(TimeZone::UTC)
            .unwrap_or_else(|_| from_ns(0))
    };
    parsed.unwrap_or_else(zero)
}

struct Parsed {
    year: i16,
    month: i8,
    day: i8,
    day_of_year: Option<i16>,
    hour: i8,
    minute: i8,
    second: i8,
    nanosecond: i32,
    afternoon: Option<bool>,
    offset_seconds: Option<i32>,
}

impl Parsed {
    fn read(layout: &str, text: &str) -> Option<Self> {
        let mut parsed = Self {
            year: 0,
            month: 1,
            day: 1,
            day_of_year: None,
            hour: 0,
            minute: 0,
            second: 0,
            nanosecond: 0,
            afternoon: None,
            offset_seconds: None,
        };
        let (mut layout, mut text) = (layout, text);
        loop {
            let (before, part, after) = split(layout);
            text = text.strip_prefix(before)?;
            let Some(part) = part else {
                break;
            };
            text = parsed.part(part, text)?;
            layout = after;
            // A fraction may follow seconds unannounced.
            if matches!(part, "05" | "5")
                && fraction(layout).is_none()
                && fraction_of(text).is_some()
            {
                text = parsed.fraction(text)?;
            }
        }
        text.is_empty().then_some(parsed)
    }

    fn part<'t>(&mut self, part: &str, text: &'t str) -> Option<&'t str> {
        let names = |format: &str, count: i8, date: fn(i8) -> civil::Date| {
            (1..=count).find_map(|index| {
                let name = date(index).strftime(format).to_string();
                let found = text.get(..name.len())?.eq_ignore_ascii_case(&name);
                found.then(|| (index, &text[name.len()..]))
            })
        };
        let (value, rest) = match part {
            "2006" => digits(text, 4, 4)?,
            "06" | "01" | "02" | "04" | "05" | "15" | "03" => digits(text, 2, 2)?,
            "002" => digits(text, 3, 3)?,
            "1" | "2" | "3" | "4" | "5" => digits(text, 1, 2)?,
            "_2" => digits(text.trim_start_matches(' '), 1, 2)?,
            "__2" => digits(text.trim_start_matches(' '), 1, 3)?,
            "January" | "Jan" => {
                let format = if part == "Jan" { "%b" } else { "%B" };
                let (month, rest) = names(format, 12, |month| civil::date(2006, month, 1))?;
                self.month = month;
                return Some(rest);
            }
            "Monday" | "Mon" => {
                let format = if part == "Mon" { "%a" } else { "%A" };
                return Some(names(format, 7, |day| civil::date(2006, 1, day))?.1);
            }
            "PM" | "pm" => {
                let name = text.get(..2)?;
                self.afternoon = Some(name.eq_ignore_ascii_case("pm"));
                let valid = self.afternoon == Some(true) || name.eq_ignore_ascii_case("am");
                return valid.then(|| &text[2..]);
            }
            "MST" => {
                let end = text
                    .find(|c: char| !c.is_ascii_uppercase())
                    .unwrap_or(text.len());
                return (end >= 3).then(|| &text[end..]);
            }
            _ if part.starts_with(['.', ',']) => return self.fraction(text),
            _ => return self.offset(part, text),
        };
        match part {
            "2006" => self.year = value,
            // Two digits are of 1969 to 2068.
            "06" => self.year = if value >= 69 { 1900 } else { 2000 } + value,
            "002" | "__2" => self.day_of_year = Some(value),
            "01" | "1" => self.month = value as i8,
            "02" | "2" | "_2" => self.day = value as i8,
            "15" | "03" | "3" => self.hour = value as i8,
            "04" | "4" => self.minute = value as i8,
            _ => self.second = value as i8,
        }
        Some(rest)
    }

    fn fraction<'t>(&mut self, text: &'t str) -> Option<&'t str> {
        let Some(digits) = fraction_of(text) else {
            return Some(text);
        };
        let padded = format!("{digits:0<9}");
        self.nanosecond = padded.get(..9)?.parse().ok()?;
        Some(&text[digits.len() + 1..])
    }

    fn offset<'t>(&mut self, part: &str, text: &'t str) -> Option<&'t str> {
        if let Some(rest) = text.strip_prefix('Z').filter(|_| part.starts_with('Z')) {
            self.offset_seconds = Some(0);
            return Some(rest);
        }
        let negative = text.starts_with('-');
        let mut rest = text.strip_prefix(['-', '+'])?;
        let colon = part.contains(':');
        let pairs = part.bytes().filter(u8::is_ascii_digit).count() / 2;
        let mut seconds = 0;
        for (index, unit) in [3600, 60, 1].into_iter().take(pairs).enumerate() {
            if colon && index > 0 {
                rest = rest.strip_prefix(':')?;
            }
            let (value, after) = digits(rest, 2, 2)?;
            seconds += i32::from(value) * unit;
            rest = after;
        }
        self.offset_seconds = Some(if negative { -seconds } else { seconds });
        Some(rest)
    }

    fn zoned(self, zone: &TimeZone) -> Option<Zoned> {
        let hour = match self.afternoon {
            Some(true) if self.hour < 12 => self.hour + 12,
            Some(false) if self.hour == 12 => 0,
            _ => self.hour,
        };
        let mut date = civil::Date::new(self.year, self.month, self.day).ok()?;
        if let Some(day) = self.day_of_year {
            date = date.with().day_of_year(day).build().ok()?;
        }
        let time = civil::Time::new(hour, self.minute, self.second, self.nanosecond).ok()?;
        let zone = match self.offset_seconds {
            Some(seconds) => TimeZone::fixed(jiff::tz::Offset::from_seconds(seconds).ok()?),
            None => zone.clone(),
        };
        date.to_datetime(time).to_zoned(zone).ok()
    }
}

/// The digits after a point or comma.
fn fraction_of(text: &str) -> Option<&str> {
    let rest = text.strip_prefix(['.', ','])?;
    let count = rest.bytes().take_while(u8::is_ascii_digit).count();
    (count > 0).then(|| &rest[..count])
}

fn digits(text: &str, least: usize, most: usize) -> Option<(i16, &str)> {
    let count = text
        .bytes()
        .take(most)
        .take_while(u8::is_ascii_digit)
        .count();
    if count < least {
        return None;
    }
    let (number, rest) = text.split_at(count);
    Some((number.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_show_times() {
        let time = from_ns(1_700_000_000_123_000_000);
        for (layout, text) in [
            ("2006-01-02T15:04:05.000Z07:00", "2023-11-14T22:13:20.123Z"),
            (
                "Mon Jan _2 3:04PM 06 -0700 MST",
                "Tue Nov 14 10:13PM 23 +0000 UTC",
            ),
            (
                "Monday, January 2 (002) 15h .999999999",
                "Tuesday, November 14 (318) 22h .123",
            ),
        ] {
            assert_eq!(format(layout, &time), text);
        }
        assert_eq!(default_text(&time), "2023-11-14 22:13:20.123 +0000 UTC");
    }

    #[test]
    fn layouts_read_times() {
        let seconds = |layout, text, zone| parse(layout, text, zone).timestamp().as_second();
        assert_eq!(
            seconds("2006-01-02 15:04:05", "2023-11-14 22:13:20", "UTC"),
            1_700_000_000
        );
        assert_eq!(
            seconds(
                "2006-01-02T15:04:05Z07:00",
                "2023-11-14T23:13:20.5+01:00",
                "UTC"
            ),
            1_700_000_000
        );
        assert_eq!(
            seconds("Jan 2 2006 3PM", "Nov 14 2023 10PM", "UTC"),
            1_699_999_200
        );
        assert_eq!(parse("2006", "x", "UTC").year(), 1);
        assert_eq!(parse("2006-01-02", "2023-02-30", "Nowhere").year(), 1);
    }

    #[test]
    fn epochs_are_told_apart_by_their_length() {
        for text in ["1700000000", "1700000000000", "1700000000000000000"] {
            assert_eq!(
                from_epoch(text).map(|time| time.timestamp().as_second()),
                Ok(1_700_000_000)
            );
        }
        assert!(from_epoch("17").is_err() && from_epoch("x").is_err());
    }
}
