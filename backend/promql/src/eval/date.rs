//! The calendar: seconds since 1970 as a date and a time of day in UTC.

const DAY_SECONDS: i64 = 86_400;

/// What a function asks of a time.
#[derive(Clone, Copy)]
pub(super) enum Part {
    Minute,
    Hour,
    DayOfWeek,
    DayOfMonth,
    DayOfYear,
    DaysInMonth,
    Month,
    Year,
}

impl Part {
    pub(super) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "minute" => Self::Minute,
            "hour" => Self::Hour,
            "day_of_week" => Self::DayOfWeek,
            "day_of_month" => Self::DayOfMonth,
            "day_of_year" => Self::DayOfYear,
            "days_in_month" => Self::DaysInMonth,
            "month" => Self::Month,
            "year" => Self::Year,
            _ => return None,
        })
    }

    /// The part of the time that a value stands for, in seconds. Its fraction is cut.
    pub(super) fn of_value(self, seconds: f64) -> f64 {
        self.of(seconds as i64)
    }

    pub(super) fn of(self, seconds: i64) -> f64 {
        let days = seconds.div_euclid(DAY_SECONDS);
        let of_day = seconds.rem_euclid(DAY_SECONDS);
        let (year, month, day) = civil(days);
        let part = match self {
            Self::Minute => of_day % 3600 / 60,
            Self::Hour => of_day / 3600,
            // 1970 began on a Thursday.
            Self::DayOfWeek => (days + 4).rem_euclid(7),
            Self::DayOfMonth => day,
            Self::DayOfYear => days - days_from_civil(year, 1, 1) + 1,
            Self::DaysInMonth => match month {
                12 => 31,
                _ => days_from_civil(year, month + 1, 1) - days_from_civil(year, month, 1),
            },
            Self::Month => month,
            Self::Year => year,
        };
        part as f64
    }
}

/// Days of an era of 400 years.
const ERA_DAYS: i64 = 146_097;

/// Days from 1 March of year 0 to 1 January 1970.
const EPOCH_DAYS: i64 = 719_468;

/// Year, month and day of a day since 1970, in the Gregorian calendar; years begin in March while computing, so that
/// the leap day is the last.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + EPOCH_DAYS;
    let era = days.div_euclid(ERA_DAYS);
    let of_era = days.rem_euclid(ERA_DAYS);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    era * ERA_DAYS + of_era - EPOCH_DAYS
}

/// A time in text, to the second.
pub(crate) fn rfc3339(t_ms: i64) -> String {
    let seconds = t_ms / 1000;
    let (year, month, day) = civil(seconds.div_euclid(DAY_SECONDS));
    let of_day = seconds.rem_euclid(DAY_SECONDS);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        of_day / 3600,
        of_day % 3600 / 60,
        of_day % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(seconds: i64, expected: [i64; 8]) {
        let parts = [
            Part::Year,
            Part::Month,
            Part::DayOfMonth,
            Part::Hour,
            Part::Minute,
            Part::DayOfWeek,
            Part::DayOfYear,
            Part::DaysInMonth,
        ];
        assert_eq!(
            parts.map(|part| part.of(seconds)),
            expected.map(|part| part as f64)
        );
    }

    #[test]
    fn the_calendar_is_gregorian() {
        check(0, [1970, 1, 1, 0, 0, 4, 1, 31]);
        check(-1, [1969, 12, 31, 23, 59, 3, 365, 31]);
        check(951_782_400, [2000, 2, 29, 0, 0, 2, 60, 29]);
        check(4_107_542_399, [2100, 2, 28, 23, 59, 0, 59, 28]);
        check(4_107_542_400, [2100, 3, 1, 0, 0, 1, 60, 31]);
    }

    #[test]
    fn times_are_written_to_the_second() {
        assert_eq!(rfc3339(951_782_461_999), "2000-02-29T00:01:01Z");
    }
}
