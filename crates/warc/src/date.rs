//! Times of captures: seconds since 1970 on one side, the spellings of WARC, ARC and CDX on the other.
//!
//! Left out: time zones other than UTC when writing, and fractions of a second.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

use crate::cdxj::timestamp14;

/// Digits of a fraction that jiff reads; further ones are cut off.
const MAX_FRACTION_DIGITS: usize = 9;

/// A time as `WARC-Date` has it: `2017-12-31T23:59:59Z`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Date(pub String);

impl Date {
    /// The date of records that have none of their own, such as pages packed from a folder of files.
    pub fn epoch() -> Date {
        Date::from_seconds(0)
    }

    /// The time this many seconds after 1970 (UTC); the last that has four digits of a year for any later one.
    ///
    /// ```
    /// assert_eq!(warc::Date::from_seconds(1_514_764_799).0, "2017-12-31T23:59:59Z");
    /// ```
    pub fn from_seconds(seconds: u64) -> Date {
        let time = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
        Date(format!("{:.0}", time.unwrap_or(Timestamp::MAX)))
    }
}

/// A capture's time in seconds since 1970 (UTC), rounded down; `None` for what is no time.
///
/// Read are `WARC-Date` (RFC 3339, with fractions and offsets, and the shorter forms of the W3C's profile), and the
/// digits of ARC and CDX: `YYYYMMDDhhmmss`, its beginnings, and further digits for fractions of a second. A shorter
/// time stands for its beginning, and a time without an offset is in UTC.
///
/// ```
/// use warc::unix_seconds;
///
/// assert_eq!(unix_seconds("2017-12-31T23:59:59.5Z"), Some(1_514_764_799));
/// assert_eq!(unix_seconds("2018-01-01T00:59:59+01:00"), Some(1_514_764_799));
/// assert_eq!(unix_seconds("20171231235959"), Some(1_514_764_799));
/// assert_eq!(unix_seconds("2017-12"), unix_seconds("20171201"));
/// assert_eq!(unix_seconds("last year"), None);
/// ```
pub fn unix_seconds(text: &str) -> Option<i64> {
    unix_microseconds(text).map(|time| time.div_euclid(1_000_000))
}

/// As [`unix_seconds`], in microseconds since 1970 (UTC), rounded down: the order of captures of one second.
///
/// ```
/// use warc::unix_microseconds;
///
/// assert_eq!(unix_microseconds("1970-01-01T00:00:01.5Z"), Some(1_500_000));
/// assert_eq!(unix_microseconds("19700101000001750"), Some(1_750_000));
/// ```
pub fn unix_microseconds(text: &str) -> Option<i64> {
    let text = text.trim();
    let time = if text.bytes().all(|b| b.is_ascii_digit()) { of_digits(text)? } else { of_words(text)? };
    i64::try_from(time.as_nanosecond().div_euclid(1_000)).ok()
}

/// The time of `YYYYMMDDhhmmss` or a part of it that ends with a whole field.
fn of_digits(digits: &str) -> Option<Timestamp> {
    if !matches!(digits.len(), 4 | 6 | 8 | 10 | 12 | 14..=17) {
        return None;
    }
    let fraction = digits.get(14..).filter(|fraction| !fraction.is_empty()).unwrap_or("0");
    let whole = timestamp14(digits);
    let (date, time) = whole.split_at(8);
    format!("{date}T{time}.{fraction}Z").parse().ok()
}

/// The time of an RFC 3339 text or one of the shorter forms.
fn of_words(text: &str) -> Option<Timestamp> {
    let text = with_short_fraction(text);
    if let Ok(time) = text.parse() {
        return Some(time);
    }
    let civil: DateTime = text.parse().or_else(|_| format!("{text}-01").parse()).ok()?;
    Offset::UTC.to_timestamp(civil).ok()
}

/// The text without digits of a fraction beyond the nanosecond.
fn with_short_fraction(text: &str) -> String {
    let Some((whole, rest)) = text.split_once(['.', ',']) else { return text.to_owned() };
    let zone = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = &rest[..rest.len() - zone.len()];
    format!("{whole}.{}{zone}", &digits[..digits.len().min(MAX_FRACTION_DIGITS)])
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use jiff::fmt::temporal::DateTimePrinter;
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: Option<i64>) {
        assert_eq!(unix_seconds(text), expected, "{text:?}");
    }

    #[test]
    fn dates_are_written() {
        assert_eq!(Date::from_seconds(0).0, "1970-01-01T00:00:00Z");
        assert_eq!(Date::from_seconds(951_827_696).0, "2000-02-29T12:34:56Z");
        assert_eq!(Date::from_seconds(1_514_764_799).0, "2017-12-31T23:59:59Z");
        assert_eq!(Date::from_seconds(u64::MAX).0, Date::from_seconds(1 << 40).0);
    }

    #[test]
    fn every_spelling_is_read() {
        let second = Some(1_514_764_799);
        for text in [
            "2017-12-31T23:59:59Z",
            "2017-12-31t23:59:59z",
            "2017-12-31 23:59:59Z",
            "2017-12-31T23:59:59",
            "2017-12-31T23:59:59.9Z",
            "2017-12-31T23:59:59.999999999Z",
            "2017-12-31T23:59:59.9999999999999Z",
            "2017-12-31T23:59:59+00:00",
            "2018-01-01T05:29:59.25+05:30",
            " 2017-12-31T23:59:59Z\n",
            "20171231235959",
            "20171231235959999",
            // A leap second is the one before it.
            "2017-12-31T23:59:60Z",
            "20171231235960",
        ] {
            check(text, second);
        }
    }

    #[test]
    fn a_shorter_time_is_its_beginning() {
        let (year, month, day) = (1_483_228_800, 1_512_086_400, 1_514_678_400);
        check("2017", Some(year));
        check("2017-12", Some(month));
        check("201712", Some(month));
        check("2017-12-31", Some(day));
        check("20171231", Some(day));
        check("2017123123", Some(day + 23 * 3600));
        check("2017-12-31T23:59Z", Some(day + 86_400 - 60));
        check("201712312359", Some(day + 86_400 - 60));
    }

    #[test]
    fn times_before_1970_are_rounded_down() {
        check("1969-12-31T23:59:59.5Z", Some(-1));
        check("1969-12-31T23:59:59Z", Some(-1));
        check("19691231235958", Some(-2));
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "-",
            "now",
            "201",
            "20171",
            "2017123123595",
            "201712312359591234",
            "20171331235959",
            "20170229",
            "2017-02-29",
            "2017-00",
            "2017-12-31T24:00:00Z",
            "2017-12-31T23:59:59X",
            "2017-12-31T23:59:59.Z",
            "2017-12-31T23.5Z",
            "2017-12-31T23:59:59+99:00",
            "Sun, 31 Dec 2017 23:59:59 GMT",
            "٢٠١٧",
        ] {
            check(text, None);
        }
    }

    proptest! {
        /// Whatever jiff writes is read as the second that it was.
        #[test]
        fn what_jiff_writes_is_read(
            second in -62_000_000_000_i64..253_000_000_000,
            nanosecond in 0..1_000_000_000_i32,
            precision in 0..=9_u8,
            offset_minutes in -25 * 60..25 * 60_i32,
        ) {
            let time = Timestamp::from_second(second).unwrap() + SignedDuration::from_nanos(nanosecond.into());
            let printer = DateTimePrinter::new().precision(Some(precision));
            prop_assert_eq!(unix_seconds(&printer.timestamp_to_string(&time)), Some(second));
            let offset = Offset::from_seconds(60 * offset_minutes).unwrap();
            prop_assert_eq!(unix_seconds(&printer.timestamp_with_offset_to_string(&time, offset)), Some(second));
            prop_assert_eq!(unix_seconds(&time.strftime("%Y%m%d%H%M%S").to_string()), Some(second));
            prop_assert_eq!(unix_seconds(&time.strftime("%Y-%m-%dT%H:%M:%S").to_string()), Some(second));
            if let Ok(seconds) = u64::try_from(second) {
                prop_assert_eq!(unix_seconds(&Date::from_seconds(seconds).0), Some(second));
            }
        }

        #[test]
        fn any_text_is_read_without_a_panic(text: String, digits in "[0-9TZ:.,+ -]{0,40}") {
            let _ = (unix_seconds(&text), unix_seconds(&digits));
        }
    }
}
