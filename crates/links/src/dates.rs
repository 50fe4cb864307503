//! Days, months and years as seconds.

use std::ops::Range;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time, date};
use jiff::fmt::rfc2822;
use jiff::tz::TimeZone;

const DAY_SECONDS: i64 = 86_400;

/// The seconds since 1970 (UTC) of a day, month or year, written `YYYY-MM-DD`, `YYYY-MM` or `YYYY`; the end is
/// excluded. `None` for any other text, and for dates before 1970.
///
/// ```
/// let leap_day = links::period("2016-02-29").unwrap();
/// assert_eq!(leap_day, 1456704000..1456790400);
/// assert_eq!(links::period("2016-02").unwrap().end, leap_day.end);
/// assert_eq!(links::period("2017-02-29"), None);
/// ```
pub fn period(text: &str) -> Option<Range<i64>> {
    let (year, rest) = text.split_once('-').map_or((text, None), |(year, rest)| (year, Some(rest)));
    let (month, day) = rest.map_or((None, None), |rest| match rest.split_once('-') {
        Some((month, day)) => (Some(month), Some(day)),
        None => (Some(rest), None),
    });
    let first_day = Date::new(
        year.parse().ok().filter(|&year| year >= 1970)?,
        month.map_or(Ok(1), str::parse).ok()?,
        day.map_or(Ok(1), str::parse).ok()?,
    )
    .ok()?;
    let last_day = match (month, day) {
        (None, _) => first_day.last_of_year(),
        (_, None) => first_day.last_of_month(),
        _ => first_day,
    };
    Some(seconds_at_midnight(first_day)..seconds_at_midnight(last_day) + DAY_SECONDS)
}

/// The seconds since 1970 of a date, or of a date and a time, as programs write them: ISO 8601 with `T` or a blank, with an
/// offset, `Z`, `UTC` or none (which is UTC, too), and RFC 2822. `None` for any other text.
pub(crate) fn moment(text: &str) -> Option<i64> {
    // BigQuery, which had Reddit's submissions as tables, writes `2016-03-01 00:00:00 UTC`.
    let iso = text.strip_suffix("UTC").map_or(text, str::trim_end);
    if let Ok(moment) = iso.parse::<Timestamp>() {
        return Some(moment.as_second());
    }
    if let Ok(moment) = iso.parse::<DateTime>() {
        return TimeZone::UTC.to_timestamp(moment).ok().map(Timestamp::as_second);
    }
    match rfc2822::DateTimeParser::new().parse_timestamp(text) {
        Ok(moment) => Some(moment.as_second()),
        Err(_) => period(text).map(|period| period.start),
    }
}

/// The seconds since 1970 (UTC) of a date that is written without marks: `YYYY`, `YYYYMM`, `YYYYMMDD`, `YYYYMMDDhhmm` or
/// `YYYYMMDDhhmmss`, in the years from 1990 to 2099. As a number of seconds, or of less, it would be long before.
pub(crate) fn of_digits(number: i64) -> Option<i64> {
    let digits = number.to_string();
    if !matches!(digits.len(), 4 | 6 | 8 | 12 | 14) {
        return None;
    }
    let part =
        |from: usize, to: usize, default: i8| digits.get(from..to).map_or(Some(default), |part| part.parse().ok());
    let year: i16 = digits[..4].parse().ok().filter(|year| (1990..2100).contains(year))?;
    let day = Date::new(year, part(4, 6, 1)?, part(6, 8, 1)?).ok()?;
    let time = Time::new(part(8, 10, 0)?, part(10, 12, 0)?, part(12, 14, 0)?, 0).ok()?;
    TimeZone::UTC.to_timestamp(day.to_datetime(time)).ok().map(Timestamp::as_second)
}

fn seconds_at_midnight(day: Date) -> i64 {
    day.duration_since(date(1970, 1, 1)).as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<Range<i64>>) {
        assert_eq!(period(text), expected, "{text}");
    }

    #[test]
    fn days_months_and_years() {
        check("1970-01-01", Some(0..86_400));
        check("2000-02-29", Some(951_782_400..951_868_800));
        check("2017", Some(1_483_228_800..1_514_764_800));
        check("2017-12", Some(1_512_086_400..1_514_764_800));
        check("9999-12-31", Some(253_402_214_400..253_402_300_800));
    }

    #[test]
    fn moments_as_programs_write_them() {
        for text in [
            "2016-03-01T00:00:00Z",
            "2016-03-01 00:00:00",
            "2016-03-01T00:00:00",
            "2016-03-01 00:00:00.000",
            "2016-03-01T00:00:00.999Z",
            "2016-03-01T00:00:00+00:00",
            "2016-03-01T01:30:00+01:30",
            "2016-02-29 16:00:00-08:00",
            "2016-03-01 00:00:00 UTC",
            "2016-03-01 00:00:00+00",
            "2016-03-01",
            "2016-03",
            "20160301T000000Z",
            "Tue, 01 Mar 2016 00:00:00 GMT",
            "Tue, 1 Mar 2016 01:00:00 +0100",
        ] {
            assert_eq!(moment(text), Some(1_456_790_400), "{text}");
        }
        for text in ["", "soon", "01.03.2016", "3/1/2016", "2016-03-01 25:00:00", "2016-02-30", "UTC"] {
            assert_eq!(moment(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_date() {
        for text in
            ["", "-", "2017-13", "2017-02-29", "2017-01-45", "2017-1-1-1", "1969", "99999999999999999-01", "soon"]
        {
            check(text, None);
        }
    }
}
